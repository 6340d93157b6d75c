CREATE TABLE `version_vectors` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`version` text NOT NULL,
	`state` text NOT NULL,
	`from_item` integer NOT NULL,
	`items` integer NOT NULL,
	`next` integer NOT NULL,
	`ticket` text NOT NULL,
	`changed_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `name`, `version`)
);

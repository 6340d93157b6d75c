CREATE TABLE `api_keys` (
	`key_id` text PRIMARY KEY NOT NULL,
	`tenant` text NOT NULL,
	`key_hash` text NOT NULL,
	`subject` text NOT NULL,
	`roles` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `api_keys_by_hash` ON `api_keys` (`key_hash`);--> statement-breakpoint
CREATE INDEX `api_keys_by_tenant` ON `api_keys` (`tenant`,`created_at`);--> statement-breakpoint
CREATE TABLE `dead_letters` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`tenant` text NOT NULL,
	`source` text,
	`event_id` text,
	`type` text,
	`reason` text NOT NULL,
	`detail` text NOT NULL,
	`event` text NOT NULL,
	`fingerprint` text NOT NULL,
	`stored_at` integer NOT NULL,
	`replayed_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `dead_letters_by_fingerprint` ON `dead_letters` (`tenant`,`fingerprint`);--> statement-breakpoint
CREATE INDEX `dead_letters_by_reason` ON `dead_letters` (`tenant`,`reason`,`id`);--> statement-breakpoint
CREATE TABLE `model_versions` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`version` text NOT NULL,
	`kind` text NOT NULL,
	`engine` text NOT NULL,
	`status` text NOT NULL,
	`feature_service` text NOT NULL,
	`feature_hash` text NOT NULL,
	`parent` text,
	`run_id` text NOT NULL,
	`data_hash` text NOT NULL,
	`code_version` text NOT NULL,
	`registered_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `name`, `version`)
);
--> statement-breakpoint
CREATE INDEX `model_versions_by_time` ON `model_versions` (`tenant`,`name`,`registered_at`);--> statement-breakpoint
CREATE TABLE `models` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`kind` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `name`)
);
--> statement-breakpoint
CREATE TABLE `routing_history` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`epoch` integer NOT NULL,
	`serving` text,
	`previous` text,
	`changed_at` integer NOT NULL,
	`changed_by` text NOT NULL,
	`reason` text,
	PRIMARY KEY(`tenant`, `name`, `epoch`)
);
--> statement-breakpoint
CREATE TABLE `version_metrics` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`version` text NOT NULL,
	`metric` text NOT NULL,
	`slice` text NOT NULL,
	`value` real NOT NULL,
	`low` real,
	`high` real,
	PRIMARY KEY(`tenant`, `name`, `version`, `metric`, `slice`)
);
--> statement-breakpoint
CREATE TABLE `version_status_history` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`version` text NOT NULL,
	`status` text NOT NULL,
	`changed_at` integer NOT NULL,
	`changed_by` text NOT NULL
);
--> statement-breakpoint
CREATE INDEX `version_status_history_by_version` ON `version_status_history` (`tenant`,`name`,`version`);
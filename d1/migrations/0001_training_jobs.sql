CREATE TABLE `registration_refusals` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`version` text NOT NULL,
	`code` text NOT NULL,
	`detail` text NOT NULL,
	`refused_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `name`, `version`)
);
--> statement-breakpoint
CREATE TABLE `training_jobs` (
	`tenant` text NOT NULL,
	`job_id` text NOT NULL,
	`model` text NOT NULL,
	`request` text NOT NULL,
	`request_hash` text NOT NULL,
	`idempotency_key` text,
	`state` text NOT NULL,
	`created_at` integer NOT NULL,
	`created_by` text NOT NULL,
	`not_before` integer NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`max_attempts` integer NOT NULL,
	`cancel_requested` integer DEFAULT false NOT NULL,
	`fence` integer DEFAULT 0 NOT NULL,
	`lease_worker` text,
	`lease_expires_at` integer,
	`heartbeat_at` integer,
	`progress` text,
	`result` text,
	`error` text,
	`finished_at` integer,
	PRIMARY KEY(`tenant`, `job_id`)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `training_jobs_by_key` ON `training_jobs` (`tenant`,`idempotency_key`);--> statement-breakpoint
CREATE INDEX `training_jobs_by_state` ON `training_jobs` (`tenant`,`state`,`created_at`);
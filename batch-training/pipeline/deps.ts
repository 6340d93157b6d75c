/** Everything a run takes from outside. Nothing in the pipeline reads a clock, a disk, a network or a terminal by itself. */
import type { Manifest } from "../../models/contract/manifest.ts";
import type { ModelFileContent } from "../publish/publish-model.ts";
import type { FileSystem } from "./file-system.ts";
import type { RunEnvironment, RunRecord, StageName } from "./run-record.ts";

export interface PipelineDeps {
  readonly files: FileSystem;
  /** Where stage outputs and run records lie; several processes may share it. */
  readonly home: string;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Distinguishes runs that begin in the same second: eight characters, lower case. */
  readonly randomName: () => string;
  /** Where versions go; null: nowhere, the run ends with its record. */
  readonly publisher: Publisher | null;
  readonly environment: RunEnvironment;
  readonly report: (event: PipelineEvent) => void;
  readonly signal?: AbortSignal;
}

/** All of it may be repeated: a run that was killed while publishing publishes again. */
export interface Publisher {
  /** For people, such as the address. */
  readonly target: string;
  /** Files first, manifest last. */
  publish(manifest: Manifest, files: readonly ModelFileContent[]): Promise<void>;
  /** Makes the version known, and serving where it is to be promoted. */
  register(manifest: Manifest, options: { readonly promote: boolean }): Promise<void>;
}

export type PipelineEvent =
  | { readonly type: "run"; readonly record: RunRecord }
  | { readonly type: "stage"; readonly stage: StageName; readonly status: StageStatus; readonly detail: string }
  | {
      readonly type: "progress";
      readonly stage: StageName;
      readonly done: number;
      readonly total: number;
      readonly note: string;
    }
  | { readonly type: "warning"; readonly text: string };

export type StageStatus = "begins" | "done" | "reused" | "skipped";

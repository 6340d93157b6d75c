/** What the service and the process that does a job tell each other. */
import type { JobProgress, JobRequest, JobResult } from "../../models/contract/api/jobs.ts";

/** Everything the process of a job needs; sent once, so that no secret is in its command line. */
export interface JobOrder {
  readonly type: "order";
  readonly jobId: string;
  readonly fence: number;
  readonly request: JobRequest;
  /** The run of an earlier attempt, to be gone on with if this machine has it. */
  readonly run: string | null;
  readonly url: string;
  readonly token: string | undefined;
  /** Where stage outputs and run records lie. */
  readonly home: string;
  /** Where versions go: through the Worker, or straight into the bucket that the environment names. */
  readonly to: "worker" | "s3";
  /** Whose part of the bucket. */
  readonly tenant: string;
  /** The key that signs where the environment names none. */
  readonly signingKeyFile: string | null;
  /** Name and version of the program: part of the artefact. */
  readonly codeVersion: string;
}

export type ToJob = JobOrder | { readonly type: "cancel" };

export type FromJob =
  | { readonly type: "progress"; readonly progress: JobProgress }
  | { readonly type: "done"; readonly result: JobResult }
  | { readonly type: "failed"; readonly reason: string; readonly retryable: boolean };

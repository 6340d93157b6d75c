import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { JobLease, JobProgress } from "../../models/contract/api/jobs.ts";
import type { FromJob, JobOrder, ToJob } from "./job-messages.ts";
import type { JobOutcome, RunningJob } from "./training-worker.ts";

export interface JobProcessOptions extends Pick<
  JobOrder,
  "url" | "token" | "home" | "to" | "tenant" | "signingKeyFile" | "codeVersion"
> {
  /** Ends a process that was asked to stop and does not, in milliseconds. */
  readonly graceMs: number;
  /** What the process writes: nothing is expected there but the words of a crash. */
  readonly onOutput: (line: string) => void;
  readonly onProgress: (progress: JobProgress) => void;
}

const PROGRAM = join(import.meta.dirname, "job-process.ts");
/** What is kept of a crash's last words, in characters. */
const MAX_OUTPUT_CHARACTERS = 2_000;

/**
 * Does a job in a process of its own: one that blocks, runs out of memory or crashes takes neither the heartbeat nor the service with
 * it, and one that must end can be ended.
 */
export function startJob(lease: JobLease, options: JobProcessOptions): RunningJob {
  const child = fork(PROGRAM, [], { stdio: ["ignore", "pipe", "pipe", "ipc"], serialization: "advanced" });
  let progress: JobProgress | null = null;
  const begun = Promise.withResolvers<void>();
  let output = "";
  let last: JobOutcome | null = null;
  let graceTimer: NodeJS.Timeout | undefined;
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString("utf8")).slice(-MAX_OUTPUT_CHARACTERS);
    for (const line of chunk.toString("utf8").split("\n")) if (line !== "") options.onOutput(line);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  child.on("message", (message: FromJob) => {
    if (message.type === "progress") {
      progress = message.progress;
      if (progress.run !== null) begun.resolve();
      options.onProgress(progress);
    } else if (message.type === "done") last = { kind: "done", result: message.result };
    else last = { kind: "failed", reason: message.reason, retryable: message.retryable };
  });
  const outcome = new Promise<JobOutcome>((resolve) => {
    child.once("error", (error) =>
      resolve({ kind: "failed", reason: `no process: ${error.message}`, retryable: true }),
    );
    child.once("close", (code, signal) => {
      clearTimeout(graceTimer);
      resolve(last ?? { kind: "failed", reason: describeDeath(code, signal, output), retryable: true });
    });
  });
  send(child, orderOf(lease, options));
  return {
    processId: child.pid ?? null,
    outcome,
    begun: begun.promise,
    progress: () => progress,
    stop: () => {
      send(child, { type: "cancel" });
      graceTimer ??= setTimeout(() => child.kill("SIGKILL"), options.graceMs).unref();
    },
    kill: () => void child.kill("SIGKILL"),
  };
}

function orderOf({ job, fence }: JobLease, options: JobProcessOptions): JobOrder {
  const { jobId, request, progress } = job;
  const { url, token, home, to, tenant, signingKeyFile, codeVersion } = options;
  const run = progress?.run ?? null;
  return { type: "order", jobId, fence, request, run, url, token, home, to, tenant, signingKeyFile, codeVersion };
}

function send(child: ChildProcess, message: ToJob): void {
  // A process that is gone by now says so by its end.
  if (child.connected) child.send(message, () => {});
}

function describeDeath(code: number | null, signal: string | null, output: string): string {
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  const words = output.trim().split("\n").at(-1) ?? "";
  return `the process of the job ended with ${how}${words === "" ? "" : `: ${words}`}`.slice(0, 500);
}

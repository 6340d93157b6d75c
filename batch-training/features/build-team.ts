import { Worker } from "node:worker_threads";
import type { BuildAnswer, BuildJob, BuildResults } from "./build-worker.ts";

type Kind = BuildJob["kind"];
type JobOf<K extends Kind> = Extract<BuildJob, { kind: K }>;

/** The threads of a build. */
export class BuildTeam {
  readonly #workers: readonly Worker[];

  constructor(threads: number) {
    this.#workers = Array.from({ length: threads }, () => new Worker(new URL("./build-worker.ts", import.meta.url)));
  }

  /** One job for every thread. */
  async all<K extends Kind>(jobOf: (thread: number) => JobOf<K>): Promise<BuildResults[K][]> {
    return await Promise.all(this.#workers.map((worker, thread) => ask<K>(worker, jobOf(thread))));
  }

  /**
   * Jobs one after the other to whichever thread is free; `take` sees the results in the order of the jobs. A thread that is two rounds
   * ahead of the slowest waits, so that few results are kept.
   */
  async each<K extends Kind>(jobs: readonly JobOf<K>[], take: (result: BuildResults[K]) => void): Promise<void> {
    const waiting = new Map<number, BuildResults[K]>();
    let next = 0;
    let taken = 0;
    let wake = Promise.withResolvers<void>();
    const serve = async (worker: Worker): Promise<void> => {
      for (let at = next++; at < jobs.length; at = next++) {
        while (at - taken >= 2 * this.#workers.length) await wake.promise;
        waiting.set(at, await ask<K>(worker, jobs[at] as JobOf<K>));
        for (let result = waiting.get(taken); result !== undefined; result = waiting.get(taken)) {
          waiting.delete(taken++);
          take(result);
        }
        wake.resolve();
        wake = Promise.withResolvers<void>();
      }
    };
    await Promise.all(this.#workers.map(serve));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

async function ask<K extends Kind>(worker: Worker, job: JobOf<K>): Promise<BuildResults[K]> {
  const answer = await new Promise<BuildAnswer>((resolve, reject) => {
    const settle = (use: () => void): void => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      use();
    };
    const onMessage = (message: BuildAnswer): void => settle(() => resolve(message));
    const onError = (error: unknown): void => settle(() => reject(error));
    worker.on("message", onMessage);
    worker.on("error", onError);
    // A worker thread's port, not a window: there is no origin.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    worker.postMessage(job);
  });
  if (!answer.ok) throw new Error(answer.message);
  return answer.result as BuildResults[K];
}

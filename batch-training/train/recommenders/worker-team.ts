import { Worker } from "node:worker_threads";

/** Something that runs a list of tasks, in this thread or in several. Results come in the order of the tasks. */
export interface Team<Task, Result> {
  run(tasks: readonly Task[]): Promise<Result[]>;
  close(): Promise<void>;
}

/** The one-thread team: no start-up cost. */
export function inlineTeam<Task, Result>(execute: (task: Task) => Result): Team<Task, Result> {
  return {
    run: (tasks) => Promise.resolve(tasks.map(execute)),
    close: () => Promise.resolve(),
  };
}

export interface TaskMessage<Task> {
  readonly index: number;
  readonly task: Task;
}

export interface ResultMessage<Result> {
  readonly index: number;
  readonly result: Result;
}

/**
 * Worker threads that take the next task when they have finished one. Which thread runs a task must not show in its result.
 * @param script a module that calls `serveTasks`; @param data its `workerData`, shared buffers inside.
 */
export function threadTeam<Task, Result>(script: URL, data: unknown, threads: number): Team<Task, Result> {
  const workers = Array.from({ length: threads }, () => new Worker(script, { workerData: data }));
  const runOn = (worker: Worker, tasks: readonly Task[], take: () => number, results: Result[]): Promise<void> =>
    new Promise((resolve, reject) => {
      const finish = (error?: Error): void => {
        worker.off("message", onMessage);
        worker.off("error", finish);
        if (error === undefined) resolve();
        else reject(error);
      };
      const next = (): void => {
        const index = take();
        const task = tasks[index];
        if (task === undefined) finish();
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
        else worker.postMessage({ index, task } satisfies TaskMessage<Task>);
      };
      const onMessage = (message: ResultMessage<Result>): void => {
        results[message.index] = message.result;
        next();
      };
      worker.on("message", onMessage);
      worker.on("error", finish);
      next();
    });
  return {
    run: async (tasks) => {
      let taken = 0;
      const results: Result[] = [];
      await Promise.all(workers.map((worker) => runOn(worker, tasks, () => taken++, results)));
      return results;
    },
    close: async () => {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

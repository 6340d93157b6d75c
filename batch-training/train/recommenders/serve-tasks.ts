import { parentPort } from "node:worker_threads";
import type { ResultMessage, TaskMessage } from "./worker-team.ts";

/** The worker's side of `threadTeam`: answers each task with its result until the thread is terminated. */
export function serveTasks<Task, Result>(execute: (task: Task) => Result): void {
  const port = parentPort;
  if (port === null) throw new Error("serveTasks runs in a worker thread only");
  port.on("message", (message: TaskMessage<Task>) => {
    port.postMessage({ index: message.index, result: execute(message.task) } satisfies ResultMessage<Result>);
  });
}

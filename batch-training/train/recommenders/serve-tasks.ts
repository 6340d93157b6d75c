import { parentPort } from "node:worker_threads";
import type { ResultMessage, TaskMessage } from "./worker-team.ts";

/** The worker's side of `threadTeam`: answers each task with its result until the thread is terminated. */
export function serveTasks(execute: (task: never) => unknown): void {
  const port = parentPort;
  if (port === null) throw new Error("serveTasks runs in a worker thread only");
  port.on("message", (message: TaskMessage<never>) => {
    port.postMessage({ index: message.index, result: execute(message.task) } satisfies ResultMessage<unknown>);
  });
}

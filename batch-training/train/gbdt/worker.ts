import { parentPort, workerData } from "node:worker_threads";
import { Booster, type BoostProgress, type BoostResult } from "./boost.ts";
import { COMMAND, Executor } from "./executor.ts";
import { type LayoutInput, planLayout } from "./layout.ts";
import type { GbdtParameters } from "./parameters.ts";
import { Team } from "./team.ts";

/**
 * One thread of a training run. Thread 0 coordinates: it answers messages while data is staged, then blocks in the
 * boosting loop. The others only serve phases until dismissed.
 */
export interface WorkerInput {
  readonly index: number;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly layout: LayoutInput;
  readonly parameters: GbdtParameters;
  readonly seed: number;
}

export type WorkerRequest =
  | { readonly type: "bin"; readonly firstFeature: number; readonly count: number }
  | { readonly type: "boost" };

export type WorkerReply =
  | { readonly type: "binned" }
  | { readonly type: "progress"; readonly progress: BoostProgress }
  | { readonly type: "boosted"; readonly result: BoostResult };

function coordinate(team: Team, executor: Executor, input: WorkerInput): void {
  const port = parentPort;
  if (port === null) throw new Error("worker.ts runs in a worker thread only");
  const reply = (message: WorkerReply): void => port.postMessage(message);
  port.on("message", (request: WorkerRequest) => {
    if (request.type === "bin") {
      executor.setArguments(request.firstFeature);
      team.run(COMMAND.bin, request.count);
      reply({ type: "binned" });
      return;
    }
    const booster = new Booster(executor, team, input.parameters, input.seed);
    const result = booster.run((progress) => reply({ type: "progress", progress }));
    reply({ type: "boosted", result });
    team.dismiss();
    port.close();
  });
}

const input = workerData as WorkerInput;
const layout = planLayout(input.layout);
const executor = new Executor(input.module, input.memory, layout, input.parameters, input.index);
const team = new Team(input.memory, layout.control, layout.threads - 1, executor.execute);
if (input.index === 0) coordinate(team, executor, input);
else team.serve();

/** `npm start -- --once` over the small shop: the program that a test kills. Prints every stage as a line of JSON. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BuiltWorker } from "../../batch-training/local/build-workers.ts";
import { LocalState } from "../../batch-training/local/local-state.ts";
import { runLocalSystem } from "../../batch-training/local/run-local-system.ts";
import { smallShop } from "./small-shop.ts";

export interface SmallRun {
  readonly folder: string;
  readonly port: number;
  readonly seed: number;
  readonly end: number;
  readonly workers: readonly BuiltWorker[];
  /** A run that is to be killed does not end by itself, however fast the machine is. */
  readonly untilKilled: boolean;
}

const { folder, port, seed, end, workers, untilKilled } = JSON.parse(process.argv[2] ?? "") as SmallRun;
const state = new LocalState(folder);
const { edge, summary } = await runLocalSystem({
  state,
  serverFile: join(folder, "server.json"),
  parameters: state.parameters({ source: "shop", seed, scale: 1, end, folder: null, days: null }),
  history: smallShop({ seed, end }),
  port,
  codeVersion: "harness",
  workers,
  onStage: (stage, detail) => console.log(JSON.stringify({ stage, detail })),
  onLog: (line, level) => {
    if (level === "error") console.error(line);
  },
});
writeFileSync(join(folder, "summary.json"), JSON.stringify(summary));
console.log(JSON.stringify({ stage: "finished", detail: "" }));
if (untilKilled) {
  setInterval(() => {}, 1_000);
  await new Promise(() => {});
}
await edge.stop();

/** Contender: the project's own trainer. `node own.ts FOLDER` */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fitGbdt } from "../../../batch-training/train/gbdt/train-gbdt.ts";
import { scoreRows } from "../../../batch-training/train/gbdt/tree.ts";
import { columnsOf, FILES, readFloats, readTask, type TrainingOutcome } from "./task.ts";

const folder = process.argv[2] ?? ".";
const task = readTask(folder);
const columns = columnsOf(readFloats(folder, FILES.trainColumns), task.features);
const labels = readFloats(folder, FILES.trainLabels);
const started = performance.now();
const { model } = await fitGbdt(
  {
    features: columns.map((_, f) => ({ name: `f${f}`, kind: "numeric" })),
    train: { columns, labels, weights: null, groups: null },
    validation: null,
  },
  {
    trees: task.trees,
    leaves: task.leaves,
    maxBins: task.bins,
    learningRate: task.learningRate,
    l2: task.l2,
    minRowsPerLeaf: task.minRowsPerLeaf,
    threads: task.threads,
  },
  1,
);
const outcome: TrainingOutcome = {
  seconds: (performance.now() - started) / 1000,
  peakBytes: process.resourceUsage().maxRSS * 1024,
  version: process.version,
};
const test = columnsOf(readFloats(folder, FILES.testColumns), task.features);
writeFileSync(join(folder, FILES.scores), scoreRows(model, test, task.testRows));
process.stdout.write(`${JSON.stringify(outcome)}\n`);

/** Runs one build of features as a process of its own, so that its peak of memory is its own: options as JSON in the first argument, report on standard output. */
import { buildFeatures } from "../../../batch-training/features/build-features.ts";
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as { files: string[]; out: string; threads: number; from: number };
const report = await buildFeatures({
  ...options,
  service: FRAUD_FEATURES,
  maturityMs: 0,
  onStage: (text) => process.stderr.write(`offline: ${text}\n`),
});
process.stdout.write(JSON.stringify({ ...report, peakMegabytes: process.resourceUsage().maxRSS / 1024 }));

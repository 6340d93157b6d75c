/** `npm run bench -- NAME [--json FILE] [--quick] [--gate]`: runs one benchmark, prints its table, writes its report. */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Report } from "../../models/contract/report.ts";
import { missedFloors, reportTable } from "./report.ts";

/** What a benchmark is given, and what it returns. */
export interface BenchOptions {
  /** Says what is going on, on standard error. */
  readonly onStage: (text: string) => void;
  /** Few and short rounds: enough to see that it runs, not to believe the figures. */
  readonly quick: boolean;
}
type Benchmark = (options: BenchOptions) => Promise<Report>;

/** Benchmarks by name, imported only when asked for. */
const BENCHMARKS: Readonly<Record<string, () => Promise<Benchmark>>> = {
  engine: async () => (await import("./engine.ts")).benchEngine,
  features: async () => (await import("./features.ts")).benchFeatures,
  http: async () => (await import("./http.ts")).benchHttp,
  recommend: async () => (await import("./recommend.ts")).benchRecommend,
  recommenders: async () => (await import("./recommenders.ts")).benchRecommenders,
  training: async () => (await import("./training.ts")).benchTraining,
  quality: async () => (await import("./quality.ts")).benchQuality,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "string" },
    quick: { type: "boolean", default: false },
    /** Fail when a figure misses its floor. */
    gate: { type: "boolean", default: false },
  },
});
const [name = ""] = positionals;
const load = Object.hasOwn(BENCHMARKS, name) ? BENCHMARKS[name] : undefined;
if (!load) {
  process.stderr.write(
    `usage: npm run bench -- NAME [--json FILE] [--quick] [--gate]\nbenchmarks: ${Object.keys(BENCHMARKS).join(", ")}\n`,
  );
  process.exit(2);
}
const run = await load();
const report = Report.parse(await run({ quick: values.quick, onStage: (text) => process.stderr.write(`${text}\n`) }));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
process.stdout.write(`${reportTable(report)}\n`);
if (values.gate && missedFloors(report).length > 0) process.exitCode = 1;

/** `npm run size`: what a deployment of both Workers uploads, against stated budgets. Exit code 1 when one is exceeded. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { buildWorkers, type BuiltWorker } from "../../batch-training/local/build-workers.ts";

interface Budget {
  readonly rawBytes: number;
  readonly gzipBytes: number;
  readonly reason: string;
}

/** By configuration file. The platform takes 64 MiB uncompressed; older accounts 3 MB (free) or 10 MB (paid) after gzip. */
const BUDGETS: Readonly<Record<string, Budget>> = {
  "wrangler.toml": {
    rawBytes: 800_000,
    gzipBytes: 250_000,
    reason: "half as much again as now: compiled for every fresh isolate, and far inside the smallest plan",
  },
  "workers/ort/wrangler.toml": {
    rawBytes: 16_000_000,
    gzipBytes: 4_000_000,
    reason: "ONNX Runtime itself is 14.2 MB, 3.7 MB compressed; the rest is ours and stays small",
  },
};

const folder = mkdtempSync(join(tmpdir(), "edgewise-size-"));
try {
  for (const worker of await buildWorkers(folder)) report(worker);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function report(worker: BuiltWorker): void {
  const budget = BUDGETS[worker.config];
  if (!budget) throw new Error(`${worker.config} has no budget in test/bench/size.ts; add one with its reason`);
  const modules = worker.modules.map(({ path }) => {
    const bytes = readFileSync(join(worker.folder, path));
    return { path, raw: bytes.byteLength, gzip: gzipSync(bytes).byteLength };
  });
  const total = (of: "raw" | "gzip"): number => modules.reduce((sum, module) => sum + module[of], 0);
  const line = (name: string, raw: string, gzip: string): string =>
    `${name.padEnd(44)} ${raw.padStart(12)} ${gzip.padStart(12)}`;
  const lines = [
    line(worker.config, "bytes", "gzip"),
    ...modules.map(({ path, raw, gzip }) => line(`  ${path.slice(-40)}`, String(raw), String(gzip))),
    line(`  all ${modules.length} modules`, String(total("raw")), String(total("gzip"))),
    line("  budget", String(budget.rawBytes), String(budget.gzipBytes)),
    `  ${budget.reason}`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  if (total("raw") <= budget.rawBytes && total("gzip") <= budget.gzipBytes) return;
  process.stdout.write(`OVER BUDGET: ${worker.config}. Find out what came in before raising the budget.\n`);
  process.exitCode = 1;
}

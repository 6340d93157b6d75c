import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { BuildReport } from "../../../batch-training/features/build-features.ts";
import { readLines } from "../../../batch-training/features/log-lines.ts";
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import type { ReportRow } from "../../../models/contract/report.ts";
import { rowOf } from "../report.ts";
import { LOG_DAYS, writeOrderLog } from "./order-log.ts";

const DAY_MS = 86_400_000;
const GOAL = { floor: 100_000, aim: 500_000, better: "higher" } as const;
/** End of the generated log: 2026-09-21T15:33:20Z. */
const UNTIL = 1_790_000_000_000;

/**
 * Log rows replayed per second, from NDJSON files to a Parquet file, start of the threads included. A log is mostly history: training rows are
 * wanted for the orders of its newest tenth, and the rest is replayed for their features. `EDGEWISE_BENCH_EVENTS` sets the size of the log.
 */
export async function offline(quick: boolean, onStage: (text: string) => void): Promise<ReportRow[]> {
  const events = Number(process.env["EDGEWISE_BENCH_EVENTS"] ?? (quick ? 100_000 : 1_000_000));
  const folder = mkdtempSync(join(tmpdir(), "bench-features-"));
  try {
    onStage(`offline: writing a log of ${events} events`);
    const files = writeOrderLog({ folder, events, until: UNTIL });
    const threads = Math.min(8, availableParallelism());
    const build = async (from: number): Promise<BuildReport & { readonly peakMegabytes: number }> => {
      const options = { files, out: join(folder, "rows.parquet"), threads, from };
      const program = join(import.meta.dirname, "build-process.ts");
      const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(options)]);
      return JSON.parse(stdout) as BuildReport & { peakMegabytes: number };
    };
    const tenth = await build(UNTIL - (LOG_DAYS / 10) * DAY_MS);
    const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0) / events;
    const [read, replayed, written] = tenth.stages.map((seconds) => seconds.toFixed(1));
    const rows: ReportRow[] = [
      {
        // Of a small log the start of the threads is most: floor and aim are for large ones.
        ...rowOf("offline.rows_per_second", "1/s", [tenth.events / tenth.seconds], events < 1_000_000 ? {} : GOAL),
        note:
          `${events} log rows of ${bytes.toFixed(0)} B to ${tenth.rows} rows of ${FRAUD_FEATURES.width} features, ${threads} threads; ` +
          `reading ${read} s, replaying ${replayed} s, writing ${written} s`,
      },
      rowOf("offline.peak_memory", "MB", [tenth.peakMegabytes]),
      {
        ...rowOf("offline.lines_per_second", "1/s", [await linesPerSecond(files)]),
        note: "one thread cutting lines, nothing else",
      },
    ];
    if (events > 2_000_000) return rows;
    const all = await build(0);
    const note = `a row for every order, ${all.rows} of ${events} log rows`;
    rows.push({ ...rowOf("offline.feature_rows_per_second", "1/s", [all.rows / all.seconds]), note });
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What reading alone allows. */
async function linesPerSecond(files: readonly string[]): Promise<number> {
  const started = performance.now();
  let lines = 0;
  for (const path of files.slice(0, 10)) {
    await readLines({ path, from: 0, to: Number.POSITIVE_INFINITY }, () => {
      lines++;
    });
  }
  return lines / ((performance.now() - started) / 1000);
}

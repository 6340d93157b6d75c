import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { BuildTeam } from "./build-team.ts";
import type { LogPart } from "./log-lines.ts";
import { ParquetParts } from "./parquet-parts.ts";
import { splitRows } from "./row-sample.ts";

export interface BuildOptions {
  /** NDJSON files of stored events, in any order, gzipped where the name ends with .gz. */
  readonly files: readonly string[];
  readonly service: CompiledService;
  readonly out: string;
  /** A row is a negative when it is this old and not labelled; younger rows are left out. */
  readonly maturityMs: number;
  /** The time from which on nothing was known; default: the newest event's. */
  readonly knownAt?: number;
  readonly from?: number;
  readonly to?: number;
  readonly threads: number;
  /** Rows that are wanted, by order id; default all. */
  readonly wanted?: ReadonlySet<string>;
  /** Log bytes behind one partition; less means less memory. */
  readonly partitionBytes?: number;
  /** Rows assembled together: one row group of the file. */
  readonly rangeRows?: number;
  readonly onStage: (text: string) => void;
}

export interface BuildReport {
  readonly events: number;
  readonly rows: number;
  readonly positives: number;
  readonly immature: number;
  readonly partitions: number;
  readonly seconds: number;
  /** Seconds of reading, replaying and assembling. */
  readonly stages: readonly [number, number, number];
}

/** Log bytes behind one partition: its records stay within a hundred megabytes of memory per thread. */
const PARTITION_BYTES = 32 * 1024 * 1024;
/** Beyond 32 GB of log partitions grow with it. */
const MAX_PARTITIONS = 1_024;
/** Compressed logs are about this much larger when read. */
const GZIP_FACTOR = 8;
/** Plain files are divided into parts of this size, so that one large file keeps every thread busy. */
const PART_BYTES = 32 * 1024 * 1024;
const RANGE_ROWS = 20_000;

/**
 * Builds training rows from a log of any size in bounded memory, in three passes that share their work by thread: events are taken apart by
 * entity onto disk; each partition of entities is replayed and its rows' questions answered; the answers are put together in ranges of the
 * log and written as Parquet, in the order of the log. The file appears when it is complete.
 */
export async function buildFeatures(options: BuildOptions): Promise<BuildReport> {
  const started = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "edgewise-features-"));
  const team = new BuildTeam(Math.max(1, options.threads));
  const parquet = new ParquetParts(options.out, options.service);
  try {
    const partitions = partitionCount(options.files, options.partitionBytes ?? PARTITION_BYTES);
    const lap = stopwatch();
    options.onStage(`reading ${options.files.length} files into ${partitions} partitions`);
    const log = await readLog(options, { team, folder, partitions });
    const read = lap();
    options.onStage(`${log.events} events read in ${read.toFixed(1)} s; replaying ${partitions} partitions`);
    const splits = splitRows(log.samples, options.rangeRows ?? RANGE_ROWS);
    await team.all<"replay">(() => ({
      kind: "replay",
      spills: log.spills,
      splits,
      knownAt: options.knownAt ?? log.newest,
    }));
    const counts = { rows: 0, positives: 0, immature: 0 };
    const all = Array.from({ length: partitions }, (_, partition) => ({ kind: "partition", partition }) as const);
    await team.each<"partition">(all, (part) => {
      counts.rows += part.rows;
      counts.positives += part.positives;
      counts.immature += part.immature;
    });
    const spills = await team.all<"end-partitions">(() => ({ kind: "end-partitions" }));
    for (const { path } of log.spills) rmSync(path, { force: true });
    const replayed = lap();
    options.onStage(`${counts.rows} rows answered in ${replayed.toFixed(1)} s; writing ${options.out}`);
    await team.all<"assemble">(() => ({ kind: "assemble", spills }));
    const ranges = Array.from({ length: splits.length / 2 + 1 }, (_, range) => ({ kind: "range", range }) as const);
    await team.each<"range">(ranges, (rows) => {
      if (rows.rows > 0) parquet.add(rows);
    });
    await parquet.finish();
    const stages = [read, replayed, lap()] as const;
    return { events: log.events, partitions, seconds: (performance.now() - started) / 1000, stages, ...counts };
  } finally {
    parquet.discard();
    await team.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Seconds since the last call. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const seconds = (performance.now() - last) / 1000;
    last = performance.now();
    return seconds;
  };
}

function partitionCount(files: readonly string[], partitionBytes: number): number {
  const bytes = files.reduce((sum, file) => sum + statSync(file).size * (file.endsWith(".gz") ? GZIP_FACTOR : 1), 0);
  return Math.min(MAX_PARTITIONS, Math.max(1, Math.ceil(bytes / partitionBytes)));
}

interface FirstPass {
  readonly team: BuildTeam;
  readonly folder: string;
  readonly partitions: number;
}

async function readLog(options: BuildOptions, { team, folder, partitions }: FirstPass) {
  await team.all<"start">((thread) => ({
    kind: "start",
    folder,
    thread,
    service: options.service.name,
    partitions,
    from: options.from ?? Number.NEGATIVE_INFINITY,
    to: options.to ?? Number.POSITIVE_INFINITY,
    wanted: options.wanted ?? null,
    maturityMs: options.maturityMs,
  }));
  const jobs = options.files.flatMap((path, number) =>
    partsOf(path).map((part) => ({ kind: "part", part, number }) as const),
  );
  await team.each<"part">(jobs, () => {});
  const logs = await team.all<"end-parts">(() => ({ kind: "end-parts" }));
  return {
    spills: logs.map((log) => log.spill),
    samples: logs.map((log) => log.sample),
    events: logs.reduce((sum, log) => sum + log.events, 0),
    newest: logs.reduce((newest, log) => Math.max(newest, log.newest), Number.NEGATIVE_INFINITY),
  };
}

function partsOf(path: string): LogPart[] {
  if (path.endsWith(".gz")) return [{ path, from: 0, to: Number.POSITIVE_INFINITY }];
  const count = Math.max(1, Math.ceil(statSync(path).size / PART_BYTES));
  return Array.from({ length: count }, (_, at) => ({
    path,
    from: at * PART_BYTES,
    // The last part has no end: a line that is being written belongs to it.
    to: at === count - 1 ? Number.POSITIVE_INFINITY : (at + 1) * PART_BYTES,
  }));
}

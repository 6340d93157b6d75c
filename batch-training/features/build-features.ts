import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { ParquetWriter, fileWriter } from "hyparquet-writer";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { type AssembledRow, assembleRows } from "./assemble-rows.ts";
import type { BuildAnswer, BuildJob } from "./build-worker.ts";

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
  /** Log bytes behind one partition; less means less memory and more files. */
  readonly partitionBytes?: number;
  readonly onStage: (text: string) => void;
  /** Called with every row that is written. */
  readonly onRow?: (row: AssembledRow) => void;
}

export interface BuildReport {
  readonly events: number;
  readonly rows: number;
  readonly positives: number;
  readonly immature: number;
  readonly partitions: number;
  readonly seconds: number;
}

/** Log bytes behind one partition: its records and its entities' state stay within a few hundred megabytes of memory. */
const PARTITION_BYTES = 48 * 1024 * 1024;
const MAX_PARTITIONS = 256;
/** Compressed logs are about this much larger when read. */
const GZIP_FACTOR = 8;
const ROW_GROUP = 20_000;

/**
 * Builds training rows from a log of any size in bounded memory: events are taken apart by entity onto disk, each partition is
 * replayed on its own, several at a time, and the parts of a row are merged in the order of the log. Writes Parquet.
 */
export async function buildFeatures(options: BuildOptions): Promise<BuildReport> {
  const started = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "edgewise-features-"));
  const threads = Math.max(1, options.threads);
  const workers = Array.from({ length: threads }, () => new Worker(new URL("./build-worker.ts", import.meta.url)));
  try {
    const partitions = partitionCount(options.files, options.partitionBytes ?? PARTITION_BYTES);
    options.onStage(`reading ${options.files.length} files into ${partitions} partitions`);
    const counts = await firstPass(options, { folder, workers, partitions });
    options.onStage(`${counts.events} events read; replaying ${partitions} partitions on ${threads} threads`);
    await secondPass(options, { folder, workers, partitions });
    options.onStage("merging rows");
    const knownAt = options.knownAt ?? counts.newest;
    const written = await writeParquet(options, assembleRows(folder, partitions, options.service), knownAt);
    return { events: counts.events, partitions, seconds: (performance.now() - started) / 1000, ...written };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
    rmSync(folder, { recursive: true, force: true });
  }
}

function partitionCount(files: readonly string[], partitionBytes: number): number {
  const bytes = files.reduce((sum, file) => sum + statSync(file).size * (file.endsWith(".gz") ? GZIP_FACTOR : 1), 0);
  return Math.min(MAX_PARTITIONS, Math.max(1, Math.ceil(bytes / partitionBytes)));
}

interface Team {
  readonly folder: string;
  readonly workers: readonly Worker[];
  readonly partitions: number;
}

async function firstPass(options: BuildOptions, team: Team): Promise<{ events: number; newest: number }> {
  const numbered = options.files.map((path, number) => ({ path, number }));
  const answers = await Promise.all(
    team.workers.map((worker, writer) =>
      ask(worker, {
        pass: 1,
        folder: team.folder,
        service: options.service.name,
        partitions: team.partitions,
        files: numbered.filter(({ number }) => number % team.workers.length === writer),
        writer,
        from: options.from ?? Number.NEGATIVE_INFINITY,
        to: options.to ?? Number.POSITIVE_INFINITY,
      }),
    ),
  );
  return {
    events: answers.reduce((sum, answer) => sum + answer.events, 0),
    newest: Math.max(...answers.map((answer) => answer.newest)),
  };
}

async function secondPass(options: BuildOptions, team: Team): Promise<void> {
  let next = 0;
  await Promise.all(
    team.workers.map(async (worker) => {
      while (next < team.partitions) {
        const partition = next++;
        await ask(worker, {
          pass: 2,
          folder: team.folder,
          service: options.service.name,
          partition,
          writers: team.workers.length,
          maturityMs: options.maturityMs,
        });
      }
    }),
  );
}

async function ask(worker: Worker, job: BuildJob): Promise<Extract<BuildAnswer, { ok: true }>> {
  const answer = await new Promise<BuildAnswer>((resolve, reject) => {
    const settle = (use: () => void): void => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      use();
    };
    const onMessage = (message: BuildAnswer): void => settle(() => resolve(message));
    const onError = (error: unknown): void => settle(() => reject(error));
    worker.on("message", onMessage);
    worker.on("error", onError);
    // A worker thread's port, not a window: there is no origin.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    worker.postMessage(job);
  });
  if (!answer.ok) throw new Error(answer.message);
  return answer;
}

async function writeParquet(
  options: BuildOptions,
  rows: Iterable<AssembledRow>,
  knownAt: number,
): Promise<{ rows: number; positives: number; immature: number }> {
  const { service } = options;
  const text = (name: string) =>
    ({ name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "REQUIRED" }) as const;
  const number = (name: string, type: "DOUBLE" | "FLOAT") => ({ name, type, repetition_type: "REQUIRED" }) as const;
  const columns = [
    text("order_id"),
    text("subject"),
    number("as_of", "DOUBLE"),
    number("label", "FLOAT"),
    number("labelled_at", "DOUBLE"),
    ...service.names.map((name) => number(name, "FLOAT")),
  ];
  const writer = new ParquetWriter({
    writer: fileWriter(options.out),
    schema: [{ name: "root", num_children: columns.length }, ...columns],
    kvMetadata: [
      { key: "feature_service", value: service.name },
      { key: "feature_service_hash", value: service.hash },
    ],
  });
  const counts = { rows: 0, positives: 0, immature: 0 };
  let group: AssembledRow[] = [];
  const flush = async (): Promise<void> => {
    if (group.length > 0) await writer.write({ columnData: columnData(group, columns, service) });
    group = [];
  };
  for (const row of rows) {
    if (options.wanted && !options.wanted.has(row.id)) continue;
    if (row.asOf + options.maturityMs > knownAt) {
      counts.immature++;
      continue;
    }
    counts.rows++;
    if (!Number.isNaN(row.labelledAt)) counts.positives++;
    options.onRow?.(row);
    group.push(row);
    if (group.length === ROW_GROUP) await flush();
  }
  await flush();
  await writer.finish();
  return counts;
}

function columnData(
  rows: readonly AssembledRow[],
  columns: readonly { name: string; type: string }[],
  service: CompiledService,
) {
  const fixed = [
    rows.map((row) => row.id),
    rows.map((row) => row.subject),
    Float64Array.from(rows, (row) => row.asOf),
    Float32Array.from(rows, (row) => (Number.isNaN(row.labelledAt) ? 0 : 1)),
    Float64Array.from(rows, (row) => row.labelledAt),
  ];
  const features = service.names.map((_, at) => Float32Array.from(rows, (row) => row.vector[at] ?? Number.NaN));
  return [...fixed, ...features].map((data, at) => ({ name: columns[at]?.name ?? "", data }));
}

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare, type V4MiniflareOptions } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_readConfig } from "wrangler";
import { type BuiltWorker, PROJECT_ROOT } from "./build-workers.ts";
import { endOrphan, superviseWorkerd } from "./workerd-process.ts";

export interface EdgeOptions {
  readonly workers: readonly BuiltWorker[];
  /** Where D1, R2, KV and Durable Objects keep their data between runs; null keeps nothing. */
  readonly stateFolder: string | null;
  /** 0 picks a free port. */
  readonly port: number;
  /** Secrets and overridden variables of the main Worker. */
  readonly bindings: Readonly<Record<string, string>>;
  readonly onLog?: (line: string, level: string) => void;
  /** False leaves out the files of the API reference, and with them the simulator's own Workers that every request passes. */
  readonly assets?: boolean;
}

export interface Edge {
  readonly url: string;
  readonly miniflare: Miniflare;
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
/** The runtime is handed its secrets below; wrangler, which only reads the configuration here, would warn that it has none. */
process.env["WRANGLER_LOG"] ??= "error";

/**
 * Runs the built Workers in workerd on this machine: the same bundles that a deployment uploads, with local storage behind the
 * same bindings. Requests reach the first Worker straight from the socket: the development proxy would be the bottleneck, and the
 * simulator's own entry costs two to three times an empty request.
 */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  if (options.stateFolder !== null) {
    await endOrphan(options.stateFolder);
    superviseWorkerd(options.stateFolder);
  }
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: HOST,
      port: 0,
      log: new Log(LogLevel.ERROR),
      handleStructuredLogs: ({ message, level }) => options.onLog?.(message, level),
      ...(options.stateFolder !== null && { resourcePersistencePath: options.stateFolder }),
      workers: options.workers.map((worker, index) =>
        index === 0
          ? {
              ...workerOptions(worker, options.bindings),
              ...(options.assets === false && { assets: undefined }),
              unsafeDirectSockets: [{ host: HOST, port: options.port }],
            }
          : workerOptions(worker, {}),
      ),
    } as V4MiniflareOptions),
  );
  await miniflare.ready;
  const url = (await miniflare.unsafeGetDirectURL()).origin;
  await applyMigrations(miniflare);
  return { url, miniflare, stop: () => miniflare.dispose() };
}

function workerOptions(worker: BuiltWorker, bindings: Readonly<Record<string, string>>): object {
  // Wrangler would warn about secrets that it does not see: they are handed to the Workers as bindings.
  process.env["WRANGLER_LOG"] ??= "error";
  const config = unstable_readConfig({ config: join(PROJECT_ROOT, worker.config) });
  const { workerOptions: options } = unstable_getMiniflareWorkerOptions(config);
  return {
    ...options,
    name: config.name,
    bindings: { ...(options.bindings as Record<string, unknown> | undefined), ...bindings },
    modules: worker.modules.map(({ type, path }) => ({ type, path: join(worker.folder, path) })),
    modulesRoot: worker.folder,
  };
}

/** Applies the generated D1 migrations that this database has not seen, in order, each with its record in one batch. */
async function applyMigrations(miniflare: Miniflare): Promise<void> {
  const db = await miniflare.getD1Database("DB");
  await db
    .prepare(
      "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TEXT)",
    )
    .run();
  const { results } = await db.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map((row) => row.name));
  const folder = join(PROJECT_ROOT, "d1/migrations");
  for (const name of (await readdir(folder)).filter((file) => file.endsWith(".sql")).toSorted()) {
    if (applied.has(name)) continue;
    const statements = (await readFile(join(folder, name), "utf8")).split("--> statement-breakpoint");
    await db.batch([
      ...statements.map((statement) => db.prepare(statement)),
      db.prepare("INSERT INTO d1_migrations (name, applied_at) VALUES (?, datetime('now'))").bind(name),
    ]);
  }
}

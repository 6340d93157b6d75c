import { join, resolve } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";

const root = resolve(import.meta.dirname, "../../..");

/** The bench Worker in workerd, with storage that ends with it. Without a development server in between. */
export interface BenchEdge {
  call<T>(path: string, body: unknown): Promise<T>;
  stop(): Promise<void>;
}

export async function startBenchEdge(): Promise<BenchEdge> {
  const bundled = await build({
    entryPoints: [join(root, "test/workerd/features/bench-worker.ts")],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    external: ["cloudflare:*"],
  });
  const script = bundled.outputFiles[0]?.text ?? "";
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      log: new Log(LogLevel.ERROR),
      handleStructuredLogs: ({ message }) => process.stderr.write(`${message}\n`),
      workers: [
        {
          name: "bench",
          modules: [{ type: "ESModule", path: "index.js", contents: script }],
          compatibilityDate: "2026-09-01",
          durableObjects: { ENTITY_SHARDS: { className: "EntityShard", useSQLite: true } },
        },
      ],
    }),
  );
  const { origin } = await miniflare.ready;
  return {
    call: async <T>(path: string, body: unknown): Promise<T> => {
      // Every operation of the bench Worker counts once, so a connection that broke is simply tried again.
      const send = (): Promise<Response> => fetch(`${origin}${path}`, { method: "POST", body: JSON.stringify(body) });
      const response = await send().catch(send);
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as T;
    },
    stop: () => miniflare.dispose(),
  };
}

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build } from "esbuild";
import { convertV4MiniflareOptions, Log, LogLevel, Miniflare } from "miniflare";
import type { BenchModel } from "./bench-models.ts";

const root = resolve(import.meta.dirname, "../../..");
const ORT_WASM = "onnxruntime-web/ort-wasm-simd-threaded.wasm";

/** The engines in workerd, reached by HTTP without a development server in between. */
export interface EngineEdge {
  /** Milliseconds that a request takes, as its client sees it. */
  readonly time: (path: string) => Promise<number>;
  readonly stop: () => Promise<void>;
}

/** A Worker with the models; with ONNX Runtime only where it is asked for, because 14 MB of it change every start. */
export async function startEngineEdge(models: readonly BenchModel[], withOrt: boolean): Promise<EngineEdge> {
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      host: "127.0.0.1",
      port: 0,
      log: new Log(LogLevel.ERROR),
      workers: [
        { name: "engine-bench", compatibilityDate: "2026-09-01", modules: await workerModules(models, withOrt) },
      ],
    }),
  );
  const { origin } = await miniflare.ready;
  return {
    time: async (path) => {
      const start = performance.now();
      const response = await fetch(`${origin}${path}`);
      const text = await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
      return performance.now() - start;
    },
    stop: async () => miniflare.dispose(),
  };
}

async function workerModules(models: readonly BenchModel[], withOrt: boolean) {
  const names = models.map(({ id }) => id);
  const bundled = await build({
    stdin: {
      contents: [
        `import ENGINE_KERNELS from "./kernels.wasm";`,
        ...names.map((name, at) => `import model${at} from "./${name}.bin";`),
        `globalThis.ENGINE_KERNELS = ENGINE_KERNELS;`,
        `globalThis.BENCH_MODELS = { ${names.map((name, at) => `"${name}": model${at}`).join(", ")} };`,
        `export { default } from "./test/workerd/engine/bench-worker.ts";`,
      ].join("\n"),
      resolveDir: root,
    },
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    minify: true,
    external: ["./kernels.wasm", "./*.bin", ORT_WASM],
    ...(withOrt ? {} : { alias: { "onnxruntime-web/wasm": join(import.meta.dirname, "no-ort.ts") } }),
  });
  // The runtime's module is imported by a name that a Worker's modules cannot have.
  const script = (bundled.outputFiles[0]?.text ?? "").replaceAll(ORT_WASM, "./ort.wasm");
  const ortFile = withOrt
    ? readFileSync(join(root, "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"))
    : EMPTY_WASM;
  return [
    { type: "ESModule" as const, path: "index.js", contents: script },
    {
      type: "CompiledWasm" as const,
      path: "kernels.wasm",
      contents: readFileSync(join(root, "models/engine/kernels/kernels.wasm")),
    },
    { type: "CompiledWasm" as const, path: "ort.wasm", contents: ortFile },
    ...models.map(({ id, bytes }) => ({ type: "Data" as const, path: `${id}.bin`, contents: bytes })),
  ];
}

/** A module of nothing. */
const EMPTY_WASM = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

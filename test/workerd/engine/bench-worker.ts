/**
 * The Worker of the engine benchmark: scores rows many times within one request, because clocks in workerd stand still
 * while code runs. Started by `test/bench/engine/edge.ts`.
 */
import * as ort from "onnxruntime-web/wasm";
import { type CompactSession, compileSession } from "../../../models/engine/compile-session.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { startRuntime } from "../../../workers/ort/runtime.ts";

interface Env {
  readonly MODELS: { readonly [id: string]: ArrayBuffer };
}

/** Set by the bundle: the compiled kernels and the models are modules of the Worker. */
declare const ENGINE_KERNELS: WebAssembly.Module;
declare const BENCH_MODELS: Env["MODELS"];

const TURNS = 64;

const compact = new Map<string, CompactSession>();
const web = new Map<string, ort.InferenceSession>();

function compactSession(id: string): CompactSession {
  let session = compact.get(id);
  if (session === undefined) {
    session = compileSession(readModel(new Uint8Array(BENCH_MODELS[id] ?? new ArrayBuffer(0))), {
      kernels: ENGINE_KERNELS,
    });
    compact.set(id, session);
  }
  return session;
}

async function webSession(id: string): Promise<ort.InferenceSession> {
  const known = web.get(id);
  if (known !== undefined) return known;
  const runtime = await startRuntime();
  const session = await runtime.InferenceSession.create(new Uint8Array(BENCH_MODELS[id] ?? new ArrayBuffer(0)));
  web.set(id, session);
  return session;
}

export default {
  /** `/ENGINE/MODEL?rows=N&columns=N&times=N`; `/empty` does nothing. */
  async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const [, engine = "", id = ""] = url.pathname.split("/");
    if (engine === "empty") return new Response("0");
    const [rows, columns, times] = ["rows", "columns", "times"].map((name) => Number(url.searchParams.get(name))) as [
      number,
      number,
      number,
    ];
    // Batches that take turns: the same one again and again would be learnt by the branch predictor.
    const batches = Array.from({ length: Math.min(times, TURNS) }, (_, turn) =>
      Float32Array.from({ length: rows * columns }, (_, at) => Math.sin((at + 1) * (7.3 + turn)) * 1.5),
    );
    const batchOf = (time: number): Float32Array => batches[time % TURNS] ?? new Float32Array(rows * columns);
    let last = 0;
    if (engine === "compact") {
      const session = compactSession(id);
      for (let time = 0; time < times; time++) last = session.run(batchOf(time), rows)[0] ?? 0;
    } else if (engine === "explain") {
      const { explain } = compactSession(id);
      for (let time = 0; time < times; time++) last = explain?.(batchOf(time)).raw[0] ?? 0;
    } else {
      const session = await webSession(id);
      for (let time = 0; time < times; time++) {
        const { p } = await session.run({ x: new ort.Tensor("float32", batchOf(time), [rows, columns]) });
        last = Number(p?.data[0]);
      }
    }
    return new Response(String(last));
  },
};

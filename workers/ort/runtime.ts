/**
 * ONNX Runtime, unmodified, inside workerd. The platform refuses to compile WebAssembly from bytes, so the module is
 * imported (compiled at deployment) and `WebAssembly.instantiate` answers with an instance of it, for exactly as long as
 * the runtime initialises. Nothing happens in global scope: start-up there is limited and most isolates never need it.
 */
import * as ort from "onnxruntime-web/wasm";
import ortModule from "onnxruntime-web/ort-wasm-simd-threaded.wasm";
import { OrtStartError } from "./start-error.ts";

/** y = x, float32[1]: opset 13, IR 8. Initialisation counts as done when the runtime has loaded and run this. */
const IDENTITY_MODEL = "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=";

export type Runtime = typeof ort;

let starting: Promise<Runtime> | null = null;
let state: "cold" | "ready" | "failed" = "cold";
let memory: WebAssembly.Memory | null = null;

/**
 * Single flight. The promise may be shared by requests: initialisation waits for no I/O, only for microtasks, so a
 * cancelled request cannot leave it unsettled. @throws OrtStartError, the same one for ever
 */
export function startRuntime(): Promise<Runtime> {
  starting ??= initialise();
  return starting;
}

export const runtimeState = (): "cold" | "ready" | "failed" => state;

/** Bytes of WebAssembly memory grown so far; 0 before the first use. Local workerd does not enforce the isolate limit. */
export const memoryBytes = (): number => memory?.buffer.byteLength ?? 0;

async function initialise(): Promise<Runtime> {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  // Any bytes: their presence keeps the loader from fetching a file; the instance below is what it gets.
  ort.env.wasm.wasmBinary = new ArrayBuffer(8);
  const instantiate = WebAssembly.instantiate;
  // Where Node's globals are switched on (the test pool does), the loader would take the isolate for Node and look for
  // its files on a disk.
  const process = Object.getOwnPropertyDescriptor(globalThis, "process");
  if (process) Object.defineProperty(globalThis, "process", { value: undefined, configurable: true });
  WebAssembly.instantiate = (async (_source: unknown, imports: WebAssembly.Imports) => {
    memory = findMemory(imports);
    return { instance: new WebAssembly.Instance(ortModule, imports), module: ortModule };
  }) as unknown as typeof WebAssembly.instantiate;
  try {
    const identity = Uint8Array.from(atob(IDENTITY_MODEL), (char) => char.charCodeAt(0));
    const session = await ort.InferenceSession.create(identity, { executionProviders: ["wasm"] });
    const { y } = await session.run({ x: new ort.Tensor("float32", Float32Array.of(42), [1]) });
    await session.release();
    if (y?.data[0] !== 42) throw new Error("the identity graph gave another value");
    state = "ready";
    return ort;
  } catch (error) {
    state = "failed";
    throw new OrtStartError(`ONNX Runtime did not start: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    WebAssembly.instantiate = instantiate;
    if (process) Object.defineProperty(globalThis, "process", process);
  }
}

function findMemory(imports: WebAssembly.Imports): WebAssembly.Memory | null {
  for (const module of Object.values(imports)) {
    for (const value of Object.values(module)) if (value instanceof WebAssembly.Memory) return value;
  }
  return null;
}

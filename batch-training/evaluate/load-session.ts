/** Both engines in Node, from the bytes of one file. */
import { readFileSync } from "node:fs";
import { type CompactSession, compileSession } from "../../models/engine/compile-session.ts";
import { ortSessionBytes } from "../../models/engine/ort-memory.ts";
import { createOrtSession, type OrtSession } from "../../models/engine/ort-session.ts";
import type { Model } from "../../models/onnx/model.ts";
import { readModel } from "../../models/onnx/read-model.ts";

let kernels: WebAssembly.Module | null = null;

/** The SIMD kernels that the Worker serves with, compiled on first use. */
function engineKernels(): WebAssembly.Module {
  kernels ??= new WebAssembly.Module(
    readFileSync(new URL("../../models/engine/kernels/kernels.wasm", import.meta.url)),
  );
  return kernels;
}

/**
 * The compact engine as it serves, with its kernels; `plain` leaves them out and runs everything in JavaScript.
 * @throws OnnxError for a file that is no valid model, UnsupportedOperator for a graph this engine does not run
 */
export function loadCompact(bytes: Uint8Array, options: { readonly plain?: boolean } = {}): CompactSession {
  return compactSession(readModel(bytes), options);
}

/** As `loadCompact`, of a model already read. */
export function compactSession(model: Model, options: { readonly plain?: boolean } = {}): CompactSession {
  return compileSession(model, options.plain ? {} : { kernels: engineKernels() });
}

/**
 * ONNX Runtime, imported only here: its native library takes a fifth of a second to load. The file goes through our own
 * reader first, which refuses tensors kept outside of it: the runtime would look for those on the disk.
 * @throws OnnxError, OrtSessionError
 */
export async function loadOrt(bytes: Uint8Array): Promise<OrtSession> {
  readModel(bytes);
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  return createOrtSession({ InferenceSession, Tensor }, bytes, ortSessionBytes(bytes));
}

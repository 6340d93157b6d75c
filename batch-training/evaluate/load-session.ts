/** Both engines in Node, from the bytes of one file. */
import { compileSession } from "../../models/engine/compile-session.ts";
import { ortSessionBytes } from "../../models/engine/ort-memory.ts";
import { createOrtSession, type OrtSession } from "../../models/engine/ort-session.ts";
import type { Session } from "../../models/engine/session.ts";
import { readModel } from "../../models/onnx/read-model.ts";

/** @throws OnnxError for a file that is no valid model, UnsupportedOperator for a graph this engine does not run */
export function loadCompact(bytes: Uint8Array): Session {
  return compileSession(readModel(bytes));
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

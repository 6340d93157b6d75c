/**
 * What the main Worker sees of `edgewise-ort`, over a service binding with `entrypoint = "OrtService"`. Results are plain
 * data: a thrown class would lose its type on the way.
 */
import type { SessionMetadata } from "../../models/engine/session.ts";

/** A published file: its R2 key and the sha256 (64 hex digits, lower case) its manifest states. */
export interface ModelRef {
  readonly key: string;
  readonly sha256: string;
}

/** Bytes handed over directly: the golden-vector proof of a model that is not in R2 yet. */
export interface ModelBytes {
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

export type ModelSource = ModelRef | ModelBytes;

/**
 * - `not_found`: no object under the key. `checksum_mismatch`: other bytes than the manifest states.
 * - `refused`: the runtime cannot load the graph, or it does not fit the session contract. Permanent for this version.
 * - `too_large`: the model, the batch or the answer is over its limit.
 * - `busy`: every resident session is in use and there is no room; `timeout`: the load took too long. Worth a retry.
 * - `bad_request`: the arguments are wrong. `run_failed`: the runtime failed on this batch.
 * - `runtime_failed`: ONNX Runtime did not start, or its memory is exhausted. Only another isolate can help.
 */
export type OrtErrorTag =
  | "not_found"
  | "checksum_mismatch"
  | "refused"
  | "too_large"
  | "busy"
  | "timeout"
  | "bad_request"
  | "run_failed"
  | "runtime_failed";

export interface OrtError {
  readonly tag: OrtErrorTag;
  /** What happened and what to do, without model content. */
  readonly message: string;
  /** The same call may succeed in a while, here or in another isolate. */
  readonly retryable: boolean;
}

export type OrtResult<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: OrtError };

export interface SessionSummary extends SessionMetadata {
  readonly engine: "ort";
  readonly sha256: string;
  readonly outputName: string;
}

export interface ScoredBatch {
  /** `rows × width`, row-major; the receiver's own copy. */
  readonly output: Float32Array;
  readonly width: number;
}

export interface OrtStatus {
  readonly runtime: "cold" | "ready" | "failed";
  /** WebAssembly memory of this isolate, bytes. 0 before the first use. */
  readonly memoryBytes: number;
  /** Charged for resident sessions, and the budget they share, bytes. */
  readonly residentBytes: number;
  readonly budgetBytes: number;
  readonly sessions: readonly { readonly sha256: string; readonly bytes: number }[];
}

/** The RPC surface. `Service<OrtService>` satisfies it, so the main Worker types its binding with this. */
export interface OrtRpc {
  /** Loads the model if need be and answers its shape: also the way to warm an isolate. */
  describe(source: ModelSource): Promise<OrtResult<SessionSummary>>;
  /** Scores `rows` rows (row-major) and returns the first float output. */
  run(source: ModelSource, batch: Float32Array, rows: number): Promise<OrtResult<ScoredBatch>>;
  status(): Promise<OrtStatus>;
}

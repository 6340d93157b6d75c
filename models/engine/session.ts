/**
 * What every engine offers for a loaded model. Pure types: the compact engine implements `Session` synchronously on
 * preallocated arrays; ONNX Runtime implements `AsyncSession` behind the same metadata.
 */

/** A graph input or output. `null` in a shape is a free dimension (the batch). */
export interface TensorInfo {
  readonly name: string;
  readonly shape: readonly (number | null)[];
  readonly type: "float32" | "float64" | "int32" | "int64" | "bool" | "string";
}

export type EngineName = "compact" | "ort";

export interface SessionMetadata {
  readonly engine: EngineName;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Resident bytes of the loaded model: what a cache with a byte budget charges for it. */
  readonly bytes: number;
}

/**
 * Exact additive attributions of one row on the raw (margin) scale, per output:
 * `base[o] + sum over f of values[o * features + f] = raw[o]`.
 */
export interface Contributions {
  readonly features: number;
  readonly outputs: number;
  readonly base: Float64Array;
  readonly values: Float64Array;
  readonly raw: Float64Array;
}

export interface Session extends SessionMetadata {
  /**
   * Scores `rows` rows, given row-major: the columns of all inputs side by side, in the order of the inputs.
   * @returns the first float output, `rows × width`. The array is owned by the session and overwritten by the next call.
   */
  run(batch: Float32Array, rows: number): Float32Array;
  /** Null where the graph has no exact attribution on this engine. */
  readonly explain: ((row: Float32Array) => Contributions) | null;
}

export interface AsyncSession extends SessionMetadata {
  /** As `Session.run`; the result is the caller's own copy. */
  run(batch: Float32Array, rows: number): Promise<Float32Array>;
}

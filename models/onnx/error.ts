/** Why a model file was refused. The code is stable; the message names the field or node and the offending number. */
export type OnnxErrorCode =
  /** The file ends inside a field, or a field claims more bytes than its message holds. */
  | "truncated"
  /** A varint, tag, wire type or UTF-8 sequence that protobuf does not allow. */
  | "malformed"
  /** Over one of the `ReadLimits`. */
  | "too-large"
  /** Tensor bytes kept outside the file. */
  | "external-data"
  /** A tensor whose dimensions do not fit its data, or are negative. */
  | "bad-tensor"
  /** A required part is absent, or parts contradict each other (names, order, duplicates). */
  | "bad-graph"
  /** An operator set that this reader does not know. */
  | "unknown-opset"
  /** A valid but unused corner of ONNX that this reader does not carry. */
  | "unsupported";

export class OnnxError extends Error {
  readonly code: OnnxErrorCode;

  constructor(code: OnnxErrorCode, message: string) {
    super(message);
    this.name = "OnnxError";
    this.code = code;
  }
}

/** A golden export as a binding carries it. */
export interface GoldenText {
  readonly id: string;
  /** base64 of the ONNX file, of the float32 input rows, of the float64 scores. */
  readonly model: string;
  readonly input: string;
  readonly output: string;
  readonly rows: number;
}

/**
 * The compact engine does not run this graph; ONNX Runtime may. Thrown while a model is planned, never while it runs.
 */
export class UnsupportedOperator extends Error {
  /** Operator type with its domain where it is not the standard one, e.g. `ai.onnx.ml.SVMRegressor`. */
  readonly operator: string;
  /** Name of the node, or of its first output where it has none. */
  readonly node: string;
  readonly reason: string;

  constructor(operator: string, node: string, reason: string) {
    super(`the compact engine does not run ${operator} (node "${node}"): ${reason}`);
    this.name = "UnsupportedOperator";
    this.operator = operator;
    this.node = node;
    this.reason = reason;
  }
}

/** Short forms for small graphs over one input of `WIDTH` columns. */
import { int64Tensor, node } from "../../../models/onnx/build-graph.ts";
import type { Attribute, Node, Tensor } from "../../../models/onnx/model.ts";
import { gaussian, seededRandom } from "../../support/generated-trees.ts";

export const WIDTH = 12;

export interface Case {
  readonly nodes: readonly Node[];
  readonly constants?: readonly Tensor[];
  readonly opset?: number;
  readonly mlOpset?: number;
  /** Transforms the standard-normal input, e.g. into indices. */
  readonly input?: (x: number, index: number) => number;
}

export const random = seededRandom(5);
export const normal = (count: number): Float32Array => Float32Array.from({ length: count }, () => gaussian(random));
export const x = ["x"];
export const y = ["y"];
export const op = (
  opType: string,
  attributes: Record<string, Attribute> = {},
  inputs: readonly string[] = x,
  outputs = y,
): Node => node(opType, { inputs, outputs, attributes });
export const ml = (opType: string, attributes: Record<string, Attribute> = {}, outputs = y): Node =>
  node(opType, { inputs: x, outputs, attributes, domain: "ai.onnx.ml" });
/** One node over x. */
export const one = (opType: string, attributes: Record<string, Attribute> = {}, more: Partial<Case> = {}): Case => ({
  nodes: [op(opType, attributes)],
  ...more,
});
/** One node over x and a constant. */
export const withConstant = (
  opType: string,
  constant: Tensor,
  attributes: Record<string, Attribute> = {},
  more: Partial<Case> = {},
): Case => ({
  nodes: [op(opType, attributes, ["x", constant.name])],
  constants: [constant],
  ...more,
});
/** x seen as [rows, 3, 4] first. */
export const cube = (last: Node, constants: readonly Tensor[] = [], opset = 18): Case => ({
  nodes: [op("Reshape", {}, ["x", "cube"], ["z"]), last],
  constants: [int64Tensor("cube", [3], [0, 3, 4]), ...constants],
  opset,
});
export const z = ["z"];

export const positive = (value: number): number => Math.abs(value) + 0.01;
export const small = (value: number): number => Math.max(-0.99, Math.min(0.99, value));

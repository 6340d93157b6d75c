import type { Node } from "../onnx/model.ts";
import type { Planner } from "./operator.ts";
import { batchNormalization } from "./operators/channels.ts";
import { gemm, matMul } from "./operators/dense.ts";
import { labelEncoder } from "./operators/label-encoder.ts";
import { MATH_OPERATORS } from "./operators/math.ts";
import { ML_OPERATORS } from "./operators/ml-linear.ts";
import { REDUCE_OPERATORS } from "./operators/reduce.ts";
import { SELECT_OPERATORS } from "./operators/select.ts";
import { SHAPE_OPERATORS } from "./operators/shape.ts";
import { TREE_OPERATORS } from "./trees/tree-operators.ts";

/** Every operator that this engine runs, by type; those outside the standard domain with it. */
const PLANNERS: ReadonlyMap<string, Planner> = new Map(
  Object.entries({
    ...MATH_OPERATORS,
    ...SHAPE_OPERATORS,
    ...SELECT_OPERATORS,
    ...REDUCE_OPERATORS,
    ...ML_OPERATORS,
    ...TREE_OPERATORS,
    Gemm: gemm,
    MatMul: matMul,
    BatchNormalization: batchNormalization,
    "ai.onnx.ml.LabelEncoder": labelEncoder,
  }),
);

export function plannerOf(node: Node): Planner | null {
  return PLANNERS.get(node.domain === "" ? node.opType : `${node.domain}.${node.opType}`) ?? null;
}

export function supportedOperators(): readonly string[] {
  return [...PLANNERS.keys()].filter((name) => !name.startsWith("edgewise.")).sort();
}

import type { NodeContext, Planned, Planner } from "../operator.ts";
import { sizeOf, type Value } from "../value.ts";
import { type ClassifierFields, combiner, regression } from "./combine.ts";
import type { Ensemble } from "./ensemble.ts";
import { leafOf, packTrees, type PackedTrees, prepareRows } from "./packed-trees.ts";
import { readV3, readV5 } from "./read-ensemble.ts";
import { leafOfAny } from "./walk-any.ts";

/** Rows that are walked through one tree before the next tree is touched. */
const BLOCK_ROWS = 64;

const treeEnsembleRegressor: Planner = (context) =>
  planEnsemble(context, readV3(context, { targets: context.int("n_targets", 1), prefix: "target" }), null);

const treeEnsemble: Planner = (context) => planEnsemble(context, readV5(context), null);

const treeEnsembleClassifier: Planner = (context) => {
  const labels = context.strings("classlabels_strings")?.length || (context.ints("classlabels_int64s")?.length ?? 0);
  const ensemble = readV3(context, { targets: labels, prefix: "class" });
  if (labels < 2) throw context.unsupported("a classifier of one class");
  const classes = new Set(ensemble.weightTarget);
  const planned = planEnsemble(context, ensemble, {
    singleClass: labels === 2 && classes.size === 1,
    allPositive: ensemble.weight.every((weight) => !(weight < 0)),
  });
  // The first output is the label, which nothing that scores needs.
  return { ...planned, outputs: [null, ...planned.outputs] };
};

function planEnsemble(context: NodeContext, ensemble: Ensemble, classifier: ClassifierFields | null): Planned {
  const input = context.input(0);
  const [first = 1] = input.dims;
  const [rowsDim, columns] = input.dims.length === 1 ? [1, first] : [first, input.dims[1] ?? 1];
  if (input.dims.length > 2 || columns < 0) throw context.unsupported(`an input of shape [${input.dims.join(", ")}]`);
  if (ensemble.features > columns) throw context.bad(`reads feature ${ensemble.features - 1} of ${columns}`);
  const single = input.type === "float32" && ensemble.aggregate !== "MIN" && ensemble.aggregate !== "MAX";
  const combine = combiner(ensemble, input.type === "float64", classifier);
  const output = context.output(0, "float32", [rowsDim, combine.width]);
  const count = (rows: number): number => sizeOf([rowsDim], rows);
  const packed = input.type === "float32" ? packTrees(ensemble, columns) : null;
  if (packed === null) return { outputs: [output], step: { run: (rows) => walkAny(count(rows)) } };
  const walk = packed.indexed || !single ? walkPacked : sumPacked;
  const step = walk({ packed, ensemble, input, output, combine });
  return { outputs: [output], step: { run: (rows) => step(count(rows)) } };

  function walkAny(rows: number): void {
    for (let row = 0; row < rows; row++) {
      combine.begin();
      for (const root of ensemble.roots) combine.add(leafOfAny(ensemble, root, input.data, row * columns));
      combine.end(output.data as Float32Array, row * combine.width);
    }
  }
}

interface WalkFields {
  readonly packed: PackedTrees;
  readonly ensemble: Ensemble;
  readonly input: Value;
  readonly output: Value;
  readonly combine: ReturnType<typeof combiner>;
}

/** Leaves one by one through the combiner: several targets, or aggregates that are no sum. */
function walkPacked({ packed, input, output, combine }: WalkFields): (rows: number) => void {
  const floats = new Float32Array(packed.words.buffer);
  const prepared = new Float32Array(packed.slots);
  return (rows) => {
    for (let row = 0; row < rows; row++) {
      prepareRows(packed, input.data, row * packed.features, 1, prepared);
      combine.begin();
      for (let tree = 0; tree < packed.trees; tree++)
        combine.add(packed.origin[leafOf(packed, floats, tree, prepared, 0)] ?? 0);
      combine.end(output.data as Float32Array, row * combine.width);
    }
  };
}

/** Sums of leaf values: a block of rows through tree after tree. */
function sumPacked({ packed, ensemble, input, output }: WalkFields): (rows: number) => void {
  const floats = new Float32Array(packed.words.buffer);
  const prepared = new Float32Array(packed.slots * BLOCK_ROWS);
  const sums = new Float32Array(BLOCK_ROWS);
  const score = new Float32Array(1);
  const scored = new Uint8Array(1);
  const finish = regression(ensemble);
  return (rows) => {
    for (let from = 0; from < rows; from += BLOCK_ROWS) {
      const block = Math.min(BLOCK_ROWS, rows - from);
      prepareRows(packed, input.data, from * packed.features, block, prepared);
      sums.fill(0, 0, block);
      for (let tree = 0; tree < packed.trees; tree++)
        for (let row = 0; row < block; row++)
          sums[row] = (sums[row] ?? 0) + (floats[2 * leafOf(packed, floats, tree, prepared, row * packed.slots)] ?? 0);
      for (let row = 0; row < block; row++) {
        score[0] = sums[row] ?? 0;
        finish(score, scored, output.data as Float32Array, from + row);
      }
    }
  };
}

export const TREE_OPERATORS: Readonly<Record<string, Planner>> = {
  "ai.onnx.ml.TreeEnsembleRegressor": treeEnsembleRegressor,
  "ai.onnx.ml.TreeEnsembleClassifier": treeEnsembleClassifier,
  "ai.onnx.ml.TreeEnsemble": treeEnsemble,
};

import type { Arena } from "../arena.ts";
import type { NodeContext, Planned, Planner, Step } from "../operator.ts";
import { dimOf, type Value } from "../value.ts";
import { type ClassifierFields, type Combiner, combiner, ONE_SCORED, outputWidth, regression } from "./combine.ts";
import type { Ensemble } from "./ensemble.ts";
import { kernelWalk, type Walk, type WalkFields } from "./kernel-walk.ts";
import { leafOf, packTrees, type PackedTrees, prepareRows } from "./packed-trees.ts";
import { type ReadTrees, readV3 } from "./read-v3.ts";
import { readV5 } from "./read-v5.ts";
import { shapData } from "./shap-data.ts";
import { PlainExplainer } from "./tree-shap.ts";
import { leafOfAny } from "./walk-any.ts";

/** Rows that are walked through one tree before the next tree is touched. */
const BLOCK_ROWS = 64;

const treeEnsembleRegressor: Planner = (context) =>
  planEnsemble(context, readV3(context, { targets: context.int("n_targets", 1), prefix: "target" }), null);

const treeEnsemble: Planner = (context) => planEnsemble(context, { ensemble: readV5(context), packed: null }, null);

const treeEnsembleClassifier: Planner = (context) => {
  const labels = context.strings("classlabels_strings")?.length || (context.ints("classlabels_int64s")?.length ?? 0);
  const read = readV3(context, { targets: labels, prefix: "class" });
  if (labels < 2) throw context.unsupported("a classifier of one class");
  const classes = new Set(read.ensemble.weightTarget);
  const planned = planEnsemble(context, read, {
    singleClass: labels === 2 && classes.size === 1,
    allPositive: read.ensemble.weight.every((weight) => !(weight < 0)),
  });
  // The first output is the label, which nothing that scores needs.
  return { ...planned, outputs: [null, ...planned.outputs] };
};

function planEnsemble(context: NodeContext, read: ReadTrees, classifier: ClassifierFields | null): Planned {
  const { ensemble, packed } = read;
  const input = context.input(0);
  const [first = 1] = input.dims;
  const [rowsDim, columns] = input.dims.length === 1 ? [1, first] : [first, input.dims[1] ?? 1];
  if (input.dims.length > 2 || columns < 0) throw context.unsupported(`an input of shape [${input.dims.join(", ")}]`);
  if (ensemble.features > columns) throw context.bad(`reads feature ${ensemble.features - 1} of ${columns}`);
  const output = context.output(0, "float32", [rowsDim, outputWidth(ensemble.targets, classifier)]);
  const walk = chooseWalk(context.arena, { ensemble, packed, classifier, input, output, columns });
  const planned = { outputs: [output], step: stepOf(walk, rowsDim), bytes: walk.bytes };
  return walk.contributor === null ? planned : { ...planned, contributor: walk.contributor };
}

// No closure is made where the ensemble is in scope: it would keep the ensemble, many times the size of what is needed.

function stepOf(walk: Walk, rowsDim: number): Step {
  return { run: (rows) => walk.run(dimOf(rowsDim, rows)) };
}

interface EnsembleFields extends ReadTrees {
  readonly classifier: ClassifierFields | null;
  readonly input: Value;
  readonly output: Value;
  readonly columns: number;
}

function chooseWalk(arena: Arena, fields: EnsembleFields): Walk {
  const { ensemble, classifier, input, output, columns } = fields;
  // Only single-precision input fits single-precision rows; the rest walks the general way.
  const packed = fields.packed ?? (input.type === "float32" ? packTrees(ensemble, columns) : null);
  if (packed === null) {
    const { weightStart: start, weightTarget: target, weight } = ensemble;
    const combine = combiner(ensemble, { start, target, weight }, { double: input.type === "float64", classifier });
    return walkAny(ensemble, combine, { input, output, columns });
  }
  const combine = isPlainSum(ensemble, packed)
    ? null
    : combiner(ensemble, packed.leaves, { double: false, classifier });
  const shap = shapData(ensemble, packed, classifier !== null);
  const walked = { packed, finish: regression(ensemble), combine, shap, input, output };
  if (arena.hasKernels) return kernelWalk(arena, walked);
  return combine === null ? sumPlain(walked) : combinePlain(walked, combine);
}

/** Leaf values of one target that only have to be added up. */
function isPlainSum({ targets, aggregate }: Ensemble, { target }: PackedTrees): boolean {
  return targets === 1 && target !== null && aggregate !== "MIN" && aggregate !== "MAX";
}

function walkAny(
  ensemble: Ensemble,
  combine: Combiner,
  { input, output, columns }: Pick<EnsembleFields, "input" | "output" | "columns">,
): Walk {
  return {
    // 4 + 1 + 8 + 4 + 4 + 1 + 4 bytes a node, 12 a weight.
    bytes: ensemble.mode.length * 26 + ensemble.weight.length * 12,
    contributor: null,
    run: (rows) => {
      for (let row = 0; row < rows; row++) {
        combine.begin();
        for (const root of ensemble.roots) combine.add(leafOfAny(ensemble, root, input.data, row * columns));
        combine.end(output.data as Float32Array, row * combine.width);
      }
    },
  };
}

/** Leaves one by one through the combiner: several targets, or aggregates that are no sum. */
function combinePlain({ packed, shap, input, output }: WalkFields, combine: Combiner): Walk {
  const { words, first, trees, features, slots, twoCopies, target } = packed;
  const floats = new Float32Array(words.buffer);
  const prepared = new Float32Array(slots);
  const { contributor, bytes } = explainPlain({ packed, shap, input, prepared });
  return {
    bytes: words.byteLength + combine.bytes + bytes,
    contributor,
    run: (rows) => {
      for (let row = 0; row < rows; row++) {
        prepareRows({ features, slots, twoCopies }, input.data, row * features, 1, prepared);
        combine.begin();
        for (let tree = 0; tree < trees; tree++) {
          const at = 2 * leafOf(words, floats, first[tree] ?? 0, prepared, 0);
          if (target === null) combine.add(words[at] ?? 0);
          else combine.addValue(target[tree] ?? 0, floats[at] ?? 0);
        }
        combine.end(output.data as Float32Array, row * combine.width);
      }
    },
  };
}

/** Sums of leaf values: a block of rows through tree after tree. */
function sumPlain({ packed, finish, shap, input, output }: WalkFields): Walk {
  const { words, first, trees, features, slots, twoCopies } = packed;
  const floats = new Float32Array(words.buffer);
  const prepared = new Float32Array(slots * BLOCK_ROWS);
  const sums = new Float32Array(BLOCK_ROWS);
  const score = new Float32Array(1);
  const { contributor, bytes } = explainPlain({ packed, shap, input, prepared });
  return {
    bytes: words.byteLength + prepared.byteLength + bytes,
    contributor,
    run: (rows) => {
      for (let from = 0; from < rows; from += BLOCK_ROWS) {
        const block = Math.min(BLOCK_ROWS, rows - from);
        prepareRows({ features, slots, twoCopies }, input.data, from * features, block, prepared);
        sums.fill(0, 0, block);
        for (let tree = 0; tree < trees; tree++)
          for (let row = 0; row < block; row++)
            sums[row] =
              (sums[row] ?? 0) + (floats[2 * leafOf(words, floats, first[tree] ?? 0, prepared, row * slots)] ?? 0);
        for (let row = 0; row < block; row++) {
          score[0] = sums[row] ?? 0;
          finish(score, ONE_SCORED, output.data as Float32Array, from + row);
        }
      }
    },
  };
}

interface PlainExplainFields extends Pick<WalkFields, "packed" | "shap" | "input"> {
  readonly prepared: Float32Array;
}

function explainPlain({ packed, shap, input, prepared }: PlainExplainFields): Pick<Walk, "contributor" | "bytes"> {
  if (shap === null) return { contributor: null, bytes: 0 };
  const { words, first, features, slots, twoCopies } = packed;
  // Made by the first explanation: most isolates that load a model never explain with it.
  let made: PlainExplainer | null = null;
  const explainer = (): PlainExplainer => {
    made ??= new PlainExplainer({ words, floats: new Float32Array(words.buffer), first }, shap);
    prepareRows({ features, slots, twoCopies }, input.data, 0, 1, prepared);
    return made;
  };
  return {
    contributor: { exact: () => explainer().exact(prepared), path: () => explainer().path(prepared) },
    bytes: shap.cover.byteLength + 2 * packed.nodes,
  };
}

export const TREE_OPERATORS: Readonly<Record<string, Planner>> = {
  "ai.onnx.ml.TreeEnsembleRegressor": treeEnsembleRegressor,
  "ai.onnx.ml.TreeEnsembleClassifier": treeEnsembleClassifier,
  "ai.onnx.ml.TreeEnsemble": treeEnsemble,
};

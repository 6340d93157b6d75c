/** Linear models and feature preparation of ai.onnx.ml, as scikit-learn pipelines export them. */
import type { NodeContext, Planner } from "../operator.ts";
import { logistic, POST_TRANSFORMS, type PostTransform, postTransform, probit } from "../post-transform.ts";
import { dimOf, productOf, sizeOf, type Value } from "../value.ts";
import { dense } from "./dense.ts";
import { unary } from "./elementwise.ts";

function transformOf(context: NodeContext): PostTransform {
  const name = context.string("post_transform", "NONE");
  const found = POST_TRANSFORMS.find((transform) => transform === name);
  if (found === undefined) throw context.unsupported(`post_transform "${name}"`);
  return found;
}

/** Rows and columns of a matrix; a vector is one row. */
function matrix(context: NodeContext, input: Value): [number, number] {
  if (input.dims.length === 1) return [1, input.dims[0] ?? 1];
  const [rows = 1, columns = 1] = input.dims;
  if (input.dims.length !== 2 || columns < 0) throw context.unsupported(`an input of shape [${input.dims.join(", ")}]`);
  return [rows, columns];
}

const linearRegressor: Planner = (context) => {
  const targets = context.int("targets", 1);
  return linear(context, {
    coefficients: context.floats("coefficients") ?? new Float32Array(0),
    intercepts: context.floats("intercepts") ?? new Float32Array(targets),
    outputs: targets,
    twoFromOne: false,
  });
};

const linearClassifier: Planner = (context) => {
  const intercepts = context.floats("intercepts") ?? new Float32Array(1);
  const labels = context.strings("classlabels_strings")?.length || (context.ints("classlabels_ints")?.length ?? 0);
  const planned = linear(context, {
    coefficients: context.floats("coefficients") ?? new Float32Array(0),
    intercepts,
    outputs: intercepts.length,
    twoFromOne: intercepts.length === 1 && labels === 2,
  });
  return { ...planned, outputs: [null, ...planned.outputs] };
};

interface LinearFields {
  /** One row of weights per output. */
  readonly coefficients: Float32Array;
  readonly intercepts: Float32Array;
  readonly outputs: number;
  /** A binary classifier that gives one score. */
  readonly twoFromOne: boolean;
}

function linear(
  context: NodeContext,
  { coefficients, intercepts, outputs, twoFromOne }: LinearFields,
): ReturnType<Planner> {
  const input = context.input(0);
  const [rowsDim, columns] = matrix(context, input);
  if (coefficients.length !== outputs * columns || intercepts.length !== outputs)
    throw context.bad(`${coefficients.length} coefficients for ${outputs} outputs of ${columns} columns`);
  const transform = transformOf(context);
  const width = twoFromOne ? 2 : outputs;
  const output = context.output(0, "float32", [rowsDim, width]);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const out = output.data as Float32Array;
        const height = dimOf(rowsDim, rows);
        for (let row = 0; row < height; row++) {
          for (let target = 0; target < outputs; target++) {
            let sum = intercepts[target] ?? 0;
            for (let column = 0; column < columns; column++)
              sum += (input.data[row * columns + column] ?? 0) * (coefficients[target * columns + column] ?? 0);
            out[row * width + target] = sum;
          }
          if (twoFromOne) twoScores(out, row * width, transform);
          else if (outputs > 1) postTransform(out, row * width, outputs, transform);
          else if (transform === "PROBIT") out[row] = probit(out[row] ?? 0);
        }
      },
    },
  };
}

/** A binary classifier's one score as two: 1 - s and s, each through the transform's own reading. */
function twoScores(out: Float32Array, at: number, transform: PostTransform): void {
  const score = out[at] ?? 0;
  if (transform === "PROBIT") {
    out[at] = probit(score);
    out[at + 1] = 0;
    return;
  }
  out[at] = transform === "LOGISTIC" ? logistic(-score) : 1 - score;
  out[at + 1] = transform === "LOGISTIC" ? logistic(score) : score;
}

const scaler: Planner = (context) => {
  const input = context.input(0);
  const columns = input.dims.at(-1) ?? 1;
  const offset = context.floats("offset") ?? new Float32Array(1);
  const scale = context.floats("scale") ?? Float32Array.of(1);
  for (const { length } of [offset, scale])
    if (length !== 1 && length !== columns) throw context.bad(`${length} parameters for ${columns} columns`);
  const output = context.output(0, "float32", input.dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const size = sizeOf(input.dims, rows);
        for (let index = 0; index < size; index++)
          output.data[index] =
            Math.fround((input.data[index] ?? 0) - (offset[offset.length === 1 ? 0 : index % columns] ?? 0)) *
            (scale[scale.length === 1 ? 0 : index % columns] ?? 1);
      },
    },
  };
};

const NORMS: Readonly<Record<string, (norm: number, x: number) => number>> = {
  MAX: (norm, x) => Math.max(norm, x),
  L1: (norm, x) => norm + Math.abs(x),
  L2: (norm, x) => norm + x * x,
};

/** Each row divided by its norm; a row of norm 0 stays as it is. */
const normalizer: Planner = (context) => {
  const input = context.input(0);
  const [rowsDim, columns] = matrix(context, input);
  const name = context.string("norm", "MAX");
  const fold = NORMS[name];
  if (fold === undefined) throw context.unsupported(`norm "${name}"`);
  const output = context.output(0, "float32", input.dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const size = dimOf(rowsDim, rows) * columns;
        for (let start = 0; start < size; start += columns) {
          let norm = name === "MAX" ? Number.NEGATIVE_INFINITY : 0;
          for (let at = start; at < start + columns; at++) norm = fold(norm, input.data[at] ?? 0);
          if (name === "L2") norm = Math.sqrt(norm);
          for (let at = start; at < start + columns; at++)
            output.data[at] = norm === 0 ? (input.data[at] ?? 0) : (input.data[at] ?? 0) / norm;
        }
      },
    },
  };
};

const imputer: Planner = (context) => {
  const input = context.input(0);
  const columns = input.dims.at(-1) ?? 1;
  const floats = context.floats("imputed_value_floats");
  const fill = floats ?? context.ints("imputed_value_int64s") ?? [];
  const replaced = floats === null ? context.int("replaced_value_int64", 0) : context.float("replaced_value_float", 0);
  if (fill.length !== 1 && fill.length !== columns) throw context.bad(`${fill.length} values for ${columns} columns`);
  const isMissing = Number.isNaN(replaced) ? Number.isNaN : (x: number): boolean => x === replaced;
  const output = context.output(0, input.type, input.dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const size = sizeOf(input.dims, rows);
        for (let index = 0; index < size; index++) {
          const x = input.data[index] ?? 0;
          output.data[index] = isMissing(x) ? (fill[fill.length === 1 ? 0 : index % columns] ?? 0) : x;
        }
      },
    },
  };
};

const binarizer: Planner = (context) => {
  const threshold = context.float("threshold", 0);
  return unary((x) => (x > threshold ? 1 : 0))(context);
};

/** Columns of several tensors side by side, as float32. */
const featureVectorizer: Planner = (context) => {
  const inputs = context.inputs.map((_, index) => context.input(index));
  const widths = inputs.map((input) => matrix(context, input)[1]);
  const [rowsDim] = matrix(context, context.input(0));
  const total = widths.reduce((sum, width) => sum + width, 0);
  const output = context.output(0, "float32", [rowsDim, total]);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const height = dimOf(rowsDim, rows);
        let start = 0;
        inputs.forEach((input, index) => {
          const width = widths[index] ?? 0;
          for (let row = 0; row < height; row++)
            for (let column = 0; column < width; column++)
              output.data[row * total + start + column] = input.data[row * width + column] ?? 0;
          start += width;
        });
      },
    },
  };
};

/** Picks columns by constant indices. */
const arrayFeatureExtractor: Planner = (context) => {
  const input = context.input(0);
  const picks = context.constantInts(1) ?? [];
  const columns = input.dims.at(-1) ?? 1;
  const outer = productOf(input.dims.slice(0, -1));
  if (outer === null || columns < 0) throw context.unsupported("picks along the batch");
  if (picks.some((pick) => !(pick >= 0 && pick < columns)))
    throw context.bad(`column ${picks.join(", ")} of ${columns}`);
  const dims = input.dims.length === 1 ? [1, picks.length] : [...input.dims.slice(0, -1), picks.length];
  const output = context.output(0, input.type, dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const height = dimOf(outer, rows);
        for (let row = 0; row < height; row++)
          picks.forEach((pick, index) => {
            output.data[row * picks.length + index] = input.data[row * columns + pick] ?? 0;
          });
      },
    },
  };
};

const oneHotEncoder: Planner = (context) => {
  const input = context.input(0);
  const categories = context.ints("cats_int64s");
  if (categories === null) throw context.unsupported("categories that are strings");
  const strict = context.int("zeros", 1) === 0;
  const output = context.output(0, "float32", [...input.dims, categories.length]);
  const position = new Map(Array.from(categories, (category, index) => [category, index]));
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const size = sizeOf(input.dims, rows);
        output.data.fill(0, 0, size * categories.length);
        for (let index = 0; index < size; index++) {
          const found = position.get(Math.trunc(input.data[index] ?? 0));
          if (found !== undefined) output.data[index * categories.length + found] = 1;
          else if (strict) throw new RangeError(`OneHotEncoder: unknown category ${input.data[index]}`);
        }
      },
    },
  };
};

export const ML_OPERATORS: Readonly<Record<string, Planner>> = {
  "ai.onnx.ml.LinearRegressor": linearRegressor,
  "ai.onnx.ml.LinearClassifier": linearClassifier,
  "ai.onnx.ml.Scaler": scaler,
  "ai.onnx.ml.Normalizer": normalizer,
  "ai.onnx.ml.Imputer": imputer,
  "ai.onnx.ml.Binarizer": binarizer,
  "ai.onnx.ml.FeatureVectorizer": featureVectorizer,
  "ai.onnx.ml.ArrayFeatureExtractor": arrayFeatureExtractor,
  "ai.onnx.ml.OneHotEncoder": oneHotEncoder,
  "edgewise.Dense": dense,
};

/** Operators that summarise, normalise or order along axes. */
import type { NodeContext, Planner, Step } from "../operator.ts";
import { dimOf, type Dims, type NumericArray, productOf, sizeOf, type Value } from "../value.ts";
import { aroundAxis } from "./select.ts";
import { gatherStrided } from "./shape.ts";
import { fillStrides } from "./elementwise.ts";

/** Folds `count` elements, `stride` apart, starting at `start`. */
type Fold = (data: NumericArray, start: number, count: number, stride: number) => number;

function folding(
  start: number,
  step: (sum: number, x: number) => number,
  finish?: (sum: number, count: number) => number,
): Fold {
  return (data, from, count, stride) => {
    let sum = start;
    for (let index = 0, at = from; index < count; index++, at += stride) sum = step(sum, data[at] ?? 0);
    return finish?.(sum, count) ?? sum;
  };
}

function maxOf(data: NumericArray, from: number, count: number, stride: number): number {
  let best = Number.NEGATIVE_INFINITY;
  for (let index = 0, at = from; index < count; index++, at += stride) {
    const x = data[at] ?? 0;
    if (x > best || Number.isNaN(x)) best = x;
  }
  return best;
}

function logSumExp(data: NumericArray, from: number, count: number, stride: number): number {
  const top = maxOf(data, from, count, stride);
  if (!Number.isFinite(top)) return top;
  let sum = 0;
  for (let index = 0, at = from; index < count; index++, at += stride) sum += Math.exp((data[at] ?? 0) - top);
  return top + Math.log(sum);
}

const sum = folding(0, (total, x) => total + x);

const FOLDS: Readonly<Record<string, Fold>> = {
  ReduceSum: sum,
  ReduceMean: (data, from, count, stride) => sum(data, from, count, stride) / count,
  ReduceMax: maxOf,
  ReduceMin: folding(Number.POSITIVE_INFINITY, (least, x) => (x < least || Number.isNaN(x) ? x : least)),
  ReduceProd: folding(1, (product, x) => product * x),
  ReduceL1: folding(0, (total, x) => total + Math.abs(x)),
  ReduceL2: folding(0, (total, x) => total + x * x, Math.sqrt),
  ReduceSumSquare: folding(0, (total, x) => total + x * x),
  ReduceLogSum: folding(0, (total, x) => total + x, Math.log),
  ReduceLogSumExp: logSumExp,
};

/** Axes as an attribute, or as an input from version 18 (13 for ReduceSum). */
function reduceAxes(context: NodeContext, rank: number): number[] {
  const given = context.ints("axes");
  const list = given === null ? context.constantInts(1) : Array.from(given);
  if (list !== null && list.length > 0) return list.map((axis) => context.axis(axis, rank)).sort((a, b) => a - b);
  return context.int("noop_with_empty_axes", 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
}

function reduce(fold: Fold): Planner {
  return (context) => {
    const input = context.input(0);
    const rank = input.dims.length;
    const axes = reduceAxes(context, rank);
    const keep = context.int("keepdims", 1) === 1;
    if (axes.some((axis) => (input.dims[axis] ?? 1) < 0)) throw context.unsupported("reduces over the batch");
    const dims = input.dims.flatMap((dim, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [dim]));
    const output = context.output(0, input.type, dims);
    // Reduced axes that are not the trailing ones are moved there first.
    const kept = input.dims.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
    const order = [...kept, ...axes];
    const count = productOf(axes.map((axis) => input.dims[axis] ?? 1)) ?? 1;
    const moved = order.some((axis, position) => axis !== position);
    const source = moved
      ? context.output(
          -1,
          input.type,
          order.map((axis) => input.dims[axis] ?? 1),
        )
      : input;
    const move = moved ? moveStep(input, source, order) : null;
    return {
      outputs: [output],
      extraValues: [source],
      step: {
        run: (rows) => {
          move?.run(rows);
          const size = sizeOf(dims, rows);
          for (let index = 0; index < size; index++) output.data[index] = fold(source.data, index * count, count, 1);
        },
      },
    };
  };
}

function moveStep(input: Value, output: Value, order: readonly number[]): Step {
  const full = new Int32Array(order.length);
  const strides = new Int32Array(order.length);
  return {
    run: (rows) => {
      fillStrides(input.dims, input.dims, rows, full);
      order.forEach((axis, position) => (strides[position] = full[axis] ?? 0));
      gatherStrided(input, output, rows, strides);
    },
  };
}

/** Softmax over one axis; before version 13 over all axes from `axis` on. */
function softmax(log: boolean): Planner {
  return (context) => {
    const input = context.input(0);
    const modern = context.opset >= 13;
    const axis = context.axis(context.int("axis", modern ? -1 : 1), input.dims.length);
    const output = context.output(0, input.type, input.dims);
    const around = aroundAxis(context, input.dims, axis);
    const tail = productOf(input.dims.slice(axis));
    const [outer, extent, inner] = modern ? [around.outer, around.extent, around.inner] : [around.outer, tail ?? 1, 1];
    if (extent < 0) throw context.unsupported("normalises over the batch");
    return {
      outputs: [output],
      step: {
        run: (rows) => {
          const [source, target] = [input.data, output.data];
          const [blocks, unit] = [dimOf(outer, rows), dimOf(inner, rows)];
          for (let block = 0; block < blocks; block++)
            for (let at = 0; at < unit; at++)
              softmaxAt(source, target, { from: block * extent * unit + at, count: extent, stride: unit, log });
        },
      },
    };
  };
}

interface Line {
  readonly from: number;
  readonly count: number;
  readonly stride: number;
  readonly log: boolean;
}

function softmaxAt(source: NumericArray, target: NumericArray, { from, count, stride, log }: Line): void {
  const top = maxOf(source, from, count, stride);
  let total = 0;
  for (let index = 0, at = from; index < count; index++, at += stride) {
    const tail = Math.exp((source[at] ?? 0) - top);
    total += tail;
    if (!log) target[at] = tail;
  }
  const scale = log ? top + Math.log(total) : 1 / total;
  for (let index = 0, at = from; index < count; index++, at += stride)
    target[at] = log ? (source[at] ?? 0) - scale : (target[at] ?? 0) * scale;
}

/** `LayerNormalization` over the trailing axes from `axis` on. */
const layerNormalization: Planner = (context) => {
  const input = context.input(0);
  const scale = context.input(1);
  const bias = context.optional(2);
  const axis = context.axis(context.int("axis", -1), input.dims.length);
  const epsilon = context.float("epsilon", 1e-5);
  const width = productOf(input.dims.slice(axis));
  const outer = productOf(input.dims.slice(0, axis));
  if (width === null || width < 0 || outer === null) throw context.unsupported("normalises over the batch");
  const output = context.output(0, input.type, input.dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const [source, target] = [input.data, output.data];
        const blocks = dimOf(outer, rows);
        const repeat = sizeOf(scale.dims, rows);
        for (let start = 0; start < blocks * width; start += width) {
          const mean = sum(source, start, width, 1) / width;
          let spread = 0;
          for (let at = start; at < start + width; at++) spread += ((source[at] ?? 0) - mean) ** 2;
          const factor = 1 / Math.sqrt(spread / width + epsilon);
          for (let at = 0; at < width; at++)
            target[start + at] =
              ((source[start + at] ?? 0) - mean) * factor * (scale.data[at % repeat] ?? 1) +
              (bias?.data[at % repeat] ?? 0);
        }
      },
    },
  };
};

/** `LpNormalization` by the L1 or L2 norm along an axis. */
const lpNormalization: Planner = (context) => {
  const input = context.input(0);
  const axis = context.axis(context.int("axis", -1), input.dims.length);
  const { outer, extent, inner } = aroundAxis(context, input.dims, axis);
  if (extent < 0) throw context.unsupported("normalises over the batch");
  const fold = FOLDS[context.int("p", 2) === 1 ? "ReduceL1" : "ReduceL2"] ?? sum;
  const output = context.output(0, input.type, input.dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const [source, target] = [input.data, output.data];
        const [blocks, unit] = [dimOf(outer, rows), dimOf(inner, rows)];
        for (let block = 0; block < blocks; block++)
          for (let at = 0; at < unit; at++) {
            const from = block * extent * unit + at;
            const norm = fold(source, from, extent, unit);
            for (let index = 0, to = from; index < extent; index++, to += unit)
              target[to] = norm === 0 ? 0 : (source[to] ?? 0) / norm;
          }
      },
    },
  };
};

function argument(largest: boolean): Planner {
  return (context) => {
    const input = context.input(0);
    const axis = context.axis(context.int("axis", 0), input.dims.length);
    const { outer, extent, inner } = aroundAxis(context, input.dims, axis);
    if (extent < 0) throw context.unsupported("orders the batch");
    const last = context.int("select_last_index", 0) === 1;
    const keep = context.int("keepdims", 1) === 1;
    const output = context.output(0, "int64", keptDims(input.dims, axis, keep));
    const better = (x: number, best: number): boolean => (largest ? x > best : x < best) || (last && x === best);
    return {
      outputs: [output],
      step: {
        run: (rows) => {
          const [blocks, unit] = [dimOf(outer, rows), dimOf(inner, rows)];
          for (let block = 0; block < blocks; block++)
            for (let at = 0; at < unit; at++) {
              let chosen = 0;
              const from = block * extent * unit + at;
              let best = input.data[from] ?? 0;
              for (let index = 1; index < extent; index++) {
                const x = input.data[from + index * unit] ?? 0;
                if (better(x, best)) [best, chosen] = [x, index];
              }
              output.data[block * unit + at] = chosen;
            }
        },
      },
    };
  };
}

function keptDims(dims: Dims, axis: number, keep: boolean): number[] {
  return dims.flatMap((dim, at) => (at === axis ? (keep ? [1] : []) : [dim]));
}

/** `TopK` along an axis: values and indices, ties in favour of the lower index. */
const topK: Planner = (context) => {
  const input = context.input(0);
  const axis = context.axis(context.int("axis", -1), input.dims.length);
  const { outer, extent, inner } = aroundAxis(context, input.dims, axis);
  const k = context.opset < 10 ? context.int("k", 1) : (context.constantInts(1)?.[0] ?? 1);
  if (extent < 0) throw context.unsupported("orders the batch");
  if (!Number.isInteger(k) || k < 0 || k > extent) throw context.bad(`top ${k} of ${extent}`);
  const largest = context.int("largest", 1) === 1;
  const dims = input.dims.map((dim, at) => (at === axis ? k : dim));
  const values = context.output(0, input.type, dims);
  const indices = context.output(1, "int64", dims);
  const order = new Int32Array(extent);
  return {
    outputs: [values, indices],
    step: {
      run: (rows) => {
        const [blocks, unit] = [dimOf(outer, rows), dimOf(inner, rows)];
        const { data } = input;
        for (let block = 0; block < blocks; block++)
          for (let at = 0; at < unit; at++) {
            const from = block * extent * unit + at;
            const value = (index: number): number => data[from + index * unit] ?? 0;
            for (let index = 0; index < extent; index++) order[index] = index;
            order.sort((a, b) => (largest ? value(b) - value(a) : value(a) - value(b)) || a - b);
            for (let rank = 0; rank < k; rank++) {
              const to = (block * k + rank) * unit + at;
              values.data[to] = value(order[rank] ?? 0);
              indices.data[to] = order[rank] ?? 0;
            }
          }
      },
    },
  };
};

export const REDUCE_OPERATORS: Readonly<Record<string, Planner>> = {
  ...Object.fromEntries(Object.entries(FOLDS).map(([name, fold]) => [name, reduce(fold)])),
  Softmax: softmax(false),
  LogSoftmax: softmax(true),
  LayerNormalization: layerNormalization,
  LpNormalization: lpNormalization,
  ArgMax: argument(true),
  ArgMin: argument(false),
  TopK: topK,
};

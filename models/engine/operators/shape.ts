/** Operators that only change how elements are arranged or named. */
import { NO_STEP, type NodeContext, type Planned, type Planner, type Step } from "../operator.ts";
import { toNumericArray, numericType, dimOf, type Dims, markDim, productOf, sizeOf, type Value } from "../value.ts";
import { fillStrides } from "./elementwise.ts";

/** The same elements under other dimensions: a copy, so that later growth of one buffer does not concern the other. */
export function reshaped(context: NodeContext, input: Value, dims: Dims): Planned {
  const [before, after] = [productOf(input.dims), productOf(dims)];
  if (before !== after) throw context.bad(`[${input.dims.join(", ")}] does not reshape to [${dims.join(", ")}]`);
  const output = context.output(0, input.type, dims);
  return { outputs: [output], step: copyStep(input, output) };
}

function copyStep(input: Value, output: Value): Step {
  return {
    run: (rows) => {
      const size = sizeOf(input.dims, rows);
      const [source, target] = [input.data, output.data];
      for (let index = 0; index < size; index++) target[index] = source[index] ?? 0;
    },
  };
}

const identity: Planner = (context) => ({ outputs: [context.input(0)], step: NO_STEP });

const reshape: Planner = (context) => {
  const input = context.input(0);
  const shape = context.shapeInput(1) ?? Array.from(context.ints("shape") ?? [], (dim) => (dim === -1 ? null : dim));
  const keepZero = context.int("allowzero", 0) === 1;
  const dims = shape.map((dim, axis) => (dim === 0 && !keepZero ? (input.dims[axis] ?? 0) : dim));
  return reshaped(context, input, inferDim(context, input.dims, dims));
};

/** Puts what remains of the elements in the one place that is open. */
function inferDim(context: NodeContext, from: Dims, dims: readonly (number | null)[]): number[] {
  const given = dims.filter((dim) => dim !== null);
  if (given.length === dims.length) return given;
  const [total, known] = [productOf(from), productOf(given)];
  if (total === null || known === null) throw context.unsupported("two axes depend on the batch");
  if (given.length + 1 < dims.length || known === 0 || total % known !== 0)
    throw context.bad(`[${from.join(", ")}] does not reshape to [${dims.join(", ")}]`);
  if (total > 0 && known < 0) throw context.unsupported("a fixed size is reshaped by the batch");
  // Where both depend on the rows they cancel; where only the total does, the open dimension takes the rows.
  return dims.map((dim) => dim ?? total / known);
}

const flatten: Planner = (context) => {
  const input = context.input(0);
  const rank = input.dims.length;
  const raw = context.int("axis", 1);
  const axis = raw === rank ? rank : context.axis(raw, Math.max(rank, 1));
  const [head, tail] = [productOf(input.dims.slice(0, axis)), productOf(input.dims.slice(axis))];
  if (head === null || tail === null) throw context.unsupported("two axes depend on the batch");
  return reshaped(context, input, [head, tail]);
};

/** Axes as an input from version 13, as an attribute before. */
function axes(context: NodeContext, inputIndex: number): number[] | null {
  const given = context.ints("axes");
  return given === null ? context.constantInts(inputIndex) : Array.from(given);
}

const squeeze: Planner = (context) => {
  const input = context.input(0);
  const given = axes(context, 1)?.map((axis) => context.axis(axis, input.dims.length));
  const drop = (dim: number, axis: number): boolean => (given === undefined ? dim === 1 : given.includes(axis));
  if (input.dims.some((dim, axis) => drop(dim, axis) && dim !== 1)) throw context.bad("squeezes an axis that is not 1");
  return reshaped(
    context,
    input,
    input.dims.filter((dim, axis) => !drop(dim, axis)),
  );
};

const unsqueeze: Planner = (context) => {
  const input = context.input(0);
  const given = axes(context, 1) ?? [];
  const rank = input.dims.length + given.length;
  const positive = new Set(given.map((axis) => context.axis(axis, rank)));
  const rest = [...input.dims];
  return reshaped(
    context,
    input,
    Array.from({ length: rank }, (_, axis) => (positive.has(axis) ? 1 : (rest.shift() ?? 1))),
  );
};

const transpose: Planner = (context) => {
  const input = context.input(0);
  const rank = input.dims.length;
  const order = Array.from(context.ints("perm") ?? input.dims.map((_, axis) => rank - 1 - axis));
  if (order.length !== rank || new Set(order).size !== rank) throw context.bad(`permutation [${order.join(", ")}]`);
  const permuted = order.map((axis) => context.axis(axis, rank));
  const output = context.output(
    0,
    input.type,
    permuted.map((axis) => input.dims[axis] ?? 1),
  );
  const full = new Int32Array(rank);
  const strides = new Int32Array(rank);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        // Strides of 1-sized axes are 0 in `full`, which is right: they never move.
        fillStrides(input.dims, input.dims, rows, full);
        permuted.forEach((axis, position) => (strides[position] = full[axis] ?? 0));
        gatherStrided(input, output, rows, strides);
      },
    },
  };
};

/** Copies an output of any rank from input positions given by one stride per output axis. */
export function gatherStrided(input: Value, output: Value, rows: number, strides: Int32Array): void {
  const { dims } = output;
  const size = sizeOf(dims, rows);
  const last = dims.length - 1;
  const inner = last < 0 ? 1 : dimOf(dims[last] ?? 1, rows);
  const step = last < 0 ? 0 : (strides[last] ?? 0);
  const [source, target] = [input.data, output.data];
  for (let start = 0; start < size; start += inner) {
    let rest = start / inner;
    let at = 0;
    for (let axis = last - 1; axis >= 0; axis--) {
      const extent = dimOf(dims[axis] ?? 1, rows);
      at += (rest % extent) * (strides[axis] ?? 0);
      rest = Math.floor(rest / extent);
    }
    for (let index = 0; index < inner; index++, at += step) target[start + index] = source[at] ?? 0;
  }
}

const expand: Planner = (context) => {
  const input = context.input(0);
  const shape = (context.shapeInput(1) ?? []).map((dim) => dim ?? 1);
  const rank = Math.max(shape.length, input.dims.length);
  const dims = Array.from({ length: rank }, (_, axis) => {
    const wanted = shape[axis - rank + shape.length] ?? 1;
    const own = input.dims[axis - rank + input.dims.length] ?? 1;
    if (own !== wanted && own !== 1 && wanted !== 1) throw context.bad(`expands ${own} to ${wanted}`);
    return own === 1 ? wanted : own;
  });
  const output = context.output(0, input.type, dims);
  const strides = new Int32Array(rank);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        fillStrides(input.dims, dims, rows, strides);
        gatherStrided(input, output, rows, strides);
      },
    },
  };
};

/** `Shape`: the dimensions as a constant, with the rows of the call marked. */
const shape: Planner = (context) => {
  const { dims } = context.input(0);
  const clamp = (at: number): number => Math.max(0, Math.min(dims.length, at < 0 ? at + dims.length : at));
  const part = dims.slice(clamp(context.int("start", 0)), clamp(context.int("end", dims.length)));
  return {
    outputs: [
      context.arena.constant(context.node.outputs[0] ?? "", "int64", [part.length], Float64Array.from(part, markDim)),
    ],
    step: NO_STEP,
  };
};

const constantOfShape: Planner = (context) => {
  const dims = (context.shapeInput(0) ?? []).map((dim) => dim ?? 1);
  const tensor = context.tensor("value");
  const type = tensor === null ? "float32" : numericType(tensor.type);
  const data =
    tensor === null
      ? new Float32Array(1)
      : ArrayBuffer.isView(tensor.data)
        ? toNumericArray(tensor.type, tensor.data)
        : null;
  if (type === null || data === null) throw context.unsupported("a fill value of this type");
  const fill = data[0] ?? 0;
  const output = context.arena.scratch(context.node.outputs[0] ?? "", type, dims, !dims.some((dim) => dim < 0));
  return { outputs: [output], step: { run: (rows) => void output.data.fill(fill, 0, sizeOf(dims, rows)) } };
};

const constant: Planner = (context) => {
  const name = context.node.outputs[0] ?? "";
  const tensor = context.tensor("value");
  if (tensor !== null) {
    const type = numericType(tensor.type);
    const data = ArrayBuffer.isView(tensor.data) ? toNumericArray(tensor.type, tensor.data) : null;
    if (type === null || data === null) throw context.unsupported(`a constant of element type ${tensor.type}`);
    return { outputs: [context.arena.constant(name, type, tensor.dims, data)], step: NO_STEP };
  }
  const floats = context.floats("value_floats");
  const ints = context.ints("value_ints");
  const { attributes } = context.node;
  if (floats !== null)
    return { outputs: [context.arena.constant(name, "float32", [floats.length], floats)], step: NO_STEP };
  if (ints !== null)
    return { outputs: [context.arena.constant(name, "int64", [ints.length], Float64Array.from(ints))], step: NO_STEP };
  if (attributes.has("value_float"))
    return {
      outputs: [context.arena.constant(name, "float32", [], Float32Array.of(context.float("value_float", 0)))],
      step: NO_STEP,
    };
  if (attributes.has("value_int"))
    return {
      outputs: [context.arena.constant(name, "int64", [], Float64Array.of(context.int("value_int", 0)))],
      step: NO_STEP,
    };
  throw context.unsupported("a constant of strings or sparse values");
};

export const SHAPE_OPERATORS: Readonly<Record<string, Planner>> = {
  Identity: identity,
  // Inference only: nothing is dropped.
  Dropout: identity,
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: expand,
  Shape: shape,
  ConstantOfShape: constantOfShape,
  Constant: constant,
};

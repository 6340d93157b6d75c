/** Operators that compute each element on its own, with NumPy broadcasting. */
import { type NodeContext, type Planned, type Planner, type Step } from "../operator.ts";
import { dimOf, type Dims, type NumericType, sameDims, sizeOf, type Value } from "../value.ts";

type Unary = (x: number) => number;
type Binary = (x: number, y: number) => number;

/** Output type where it is not the input's. */
type Result = "same" | "bool";

export function unary(fn: Unary, result: Result = "same"): Planner {
  return (context) => {
    const input = context.input(0);
    const output = context.output(0, result === "bool" ? "bool" : input.type, input.dims);
    return { outputs: [output], step: unaryStep(input, output, fn) };
  };
}

export function unaryStep(input: Value, output: Value, fn: Unary): Step {
  return {
    run: (rows) => {
      const size = sizeOf(input.dims, rows);
      const source = input.data;
      const target = output.data;
      for (let index = 0; index < size; index++) target[index] = fn(source[index] ?? 0);
    },
  };
}

/** A unary function made from the node's attributes, and from its element type where rounding depends on it. */
export function unaryOf(make: (context: NodeContext) => Unary): Planner {
  return (context) => unary(make(context))(context);
}

export function binary(fn: Binary, result: Result = "same"): Planner {
  return (context) => {
    const first = context.input(0);
    const second = context.input(1);
    if (first.type !== second.type && result === "same")
      throw context.bad(`operands of types ${first.type} and ${second.type}`);
    return broadcast(context, first, second, { fn, type: result === "bool" ? "bool" : first.type });
  };
}

/** Integer division truncates, as in C; floats divide. */
export const divide: Planner = (context) =>
  context.input(0).type.startsWith("int")
    ? binary((x, y) => Math.trunc(x / y))(context)
    : binary((x, y) => x / y)(context);

/** Max, Min, Sum, Mean of any number of operands: folded pairwise. */
export function variadic(fn: Binary, finish?: (sum: number, count: number) => number): Planner {
  return (context) => {
    let folded = context.input(0);
    const steps: Step[] = [];
    const partial: Value[] = [];
    for (let index = 1; index < context.inputs.length; index++) {
      const next = broadcast(context, folded, context.input(index), { fn, type: folded.type });
      steps.push(next.step);
      folded = next.outputs[0];
      partial.push(folded);
    }
    if (finish !== undefined || steps.length === 0) {
      const output = context.output(0, folded.type, folded.dims);
      const count = context.inputs.length;
      steps.push(unaryStep(folded, output, (x) => finish?.(x, count) ?? x));
      folded = output;
    }
    return {
      outputs: [folded],
      extraValues: partial,
      step: { run: (rows) => steps.forEach((step) => step.run(rows)) },
    };
  };
}

interface BroadcastFields {
  readonly fn: Binary;
  readonly type: NumericType;
}

export function broadcast(
  context: NodeContext,
  first: Value,
  second: Value,
  { fn, type }: BroadcastFields,
): Planned & { readonly outputs: readonly [Value] } {
  const dims = broadcastDims(context, first.dims, second.dims);
  const output = context.output(0, type, dims);
  if (sameDims(first.dims, second.dims)) return { outputs: [output], step: zipStep(first, second, output, fn) };
  if (sizeOf(second.dims, 2) === 1) return { outputs: [output], step: scalarStep(first, second, output, fn) };
  if (isSuffix(second.dims, dims) && sameDims(first.dims, dims))
    return { outputs: [output], step: suffixStep(first, second, output, fn) };
  return { outputs: [output], step: stridedStep(first, second, output, fn) };
}

function zipStep(first: Value, second: Value, output: Value, fn: Binary): Step {
  return {
    run: (rows) => {
      const size = sizeOf(output.dims, rows);
      const [x, y, z] = [first.data, second.data, output.data];
      for (let index = 0; index < size; index++) z[index] = fn(x[index] ?? 0, y[index] ?? 0);
    },
  };
}

function scalarStep(first: Value, second: Value, output: Value, fn: Binary): Step {
  return {
    run: (rows) => {
      const size = sizeOf(output.dims, rows);
      const [x, z] = [first.data, output.data];
      const scalar = second.data[0] ?? 0;
      for (let index = 0; index < size; index++) z[index] = fn(x[index] ?? 0, scalar);
    },
  };
}

/** The second operand repeats: a bias, a scale per column. */
function suffixStep(first: Value, second: Value, output: Value, fn: Binary): Step {
  return {
    run: (rows) => {
      const size = sizeOf(output.dims, rows);
      const period = sizeOf(second.dims, rows);
      const [x, y, z] = [first.data, second.data, output.data];
      for (let start = 0; start < size; start += period)
        for (let index = 0; index < period; index++) z[start + index] = fn(x[start + index] ?? 0, y[index] ?? 0);
    },
  };
}

function isSuffix(part: Dims, whole: Dims): boolean {
  const trimmed = part.slice(part.findIndex((dim) => dim !== 1));
  const shift = whole.length - trimmed.length;
  return shift >= 0 && trimmed.every((dim, index) => dim === whole[shift + index]);
}

/** Any other broadcast: an odometer over the output, with stride 0 where an operand has one element. */
function stridedStep(first: Value, second: Value, output: Value, fn: Binary): Step {
  const rank = output.dims.length;
  const counter = new Int32Array(rank);
  const strides = [new Int32Array(rank), new Int32Array(rank)] as const;
  const sizes = new Int32Array(rank);
  return {
    run: (rows) => {
      fillStrides(first.dims, output.dims, rows, strides[0]);
      fillStrides(second.dims, output.dims, rows, strides[1]);
      for (let axis = 0; axis < rank; axis++) sizes[axis] = dimOf(output.dims[axis] ?? 1, rows);
      counter.fill(0);
      const [x, y, z] = [first.data, second.data, output.data];
      const size = sizeOf(output.dims, rows);
      let at = 0;
      let other = 0;
      for (let index = 0; index < size; index++) {
        z[index] = fn(x[at] ?? 0, y[other] ?? 0);
        for (let axis = rank - 1; axis >= 0; axis--) {
          counter[axis] = (counter[axis] ?? 0) + 1;
          at += strides[0][axis] ?? 0;
          other += strides[1][axis] ?? 0;
          if ((counter[axis] ?? 0) < (sizes[axis] ?? 0)) break;
          at -= (strides[0][axis] ?? 0) * (sizes[axis] ?? 0);
          other -= (strides[1][axis] ?? 0) * (sizes[axis] ?? 0);
          counter[axis] = 0;
        }
      }
    },
  };
}

/** Element strides of `dims` aligned to the trailing axes of `whole`; 0 along axes that it repeats over. */
export function fillStrides(dims: Dims, whole: Dims, rows: number, into: Int32Array): void {
  const shift = whole.length - dims.length;
  let stride = 1;
  into.fill(0);
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    const dim = dims[axis] ?? 1;
    if (dim !== 1) into[axis + shift] = stride;
    stride *= dimOf(dim, rows);
  }
}

export function broadcastDims(context: NodeContext, first: Dims, second: Dims): number[] {
  const rank = Math.max(first.length, second.length);
  const dims: number[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const x = first[axis - rank + first.length] ?? 1;
    const y = second[axis - rank + second.length] ?? 1;
    if (x !== y && x !== 1 && y !== 1) {
      if (x < 0 || y < 0) throw context.unsupported("the batch is broadcast against a fixed size");
      throw context.bad(`shapes [${first.join(", ")}] and [${second.join(", ")}] do not broadcast`);
    }
    dims.push(x === 1 ? y : x);
  }
  if (dims.filter((dim) => dim < 0).length > 1) throw context.unsupported("two axes depend on the batch");
  return dims;
}

/** `Where(condition, x, y)`. */
export const where: Planner = (context) => {
  const condition = context.input(0);
  const x = context.input(1);
  const y = context.input(2);
  const NONE = Number.NEGATIVE_INFINITY;
  // The condition chooses between two passes over it: first x where it holds, then y where it does not.
  const dims = broadcastDims(context, condition.dims, broadcastDims(context, x.dims, y.dims));
  const output = context.output(0, x.type, dims);
  const rank = dims.length;
  const strides = [new Int32Array(rank), new Int32Array(rank), new Int32Array(rank)] as const;
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        fillStrides(condition.dims, dims, rows, strides[0]);
        fillStrides(x.dims, dims, rows, strides[1]);
        fillStrides(y.dims, dims, rows, strides[2]);
        const size = sizeOf(dims, rows);
        for (let index = 0; index < size; index++) {
          let rest = index;
          let [c, a, b] = [0, 0, 0];
          for (let axis = rank - 1; axis >= 0; axis--) {
            const extent = dimOf(dims[axis] ?? 1, rows);
            const at = rest % extent;
            rest = (rest - at) / extent;
            c += at * (strides[0][axis] ?? 0);
            a += at * (strides[1][axis] ?? 0);
            b += at * (strides[2][axis] ?? 0);
          }
          output.data[index] = ((condition.data[c] ?? 0) !== 0 ? x.data[a] : y.data[b]) ?? NONE;
        }
      },
    },
  };
};

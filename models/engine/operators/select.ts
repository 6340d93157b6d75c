/** Operators that pick, join or repeat elements. */
import type { NodeContext, Planner } from "../operator.ts";
import { dimOf, type Dims, markDim, productOf, sizeOf, type Value } from "../value.ts";

/** A tensor seen as outer × axis × inner around one axis; null parts depend on the batch twice. */
interface Axis {
  readonly outer: number;
  readonly extent: number;
  readonly inner: number;
}

export function aroundAxis(context: NodeContext, dims: Dims, axis: number): Axis {
  const [outer, inner] = [productOf(dims.slice(0, axis)), productOf(dims.slice(axis + 1))];
  if (outer === null || inner === null) throw context.unsupported("two axes depend on the batch");
  return { outer, extent: dims[axis] ?? 1, inner };
}

const concat: Planner = (context) => {
  const inputs = context.inputs.map((_, index) => context.input(index));
  const [first] = inputs;
  if (first === undefined) throw context.bad("nothing to join");
  const axis = context.axis(context.int("axis", 1), first.dims.length);
  const extents = inputs.map((input) => input.dims[axis] ?? 1);
  if (inputs.length > 1 && extents.some((extent) => extent < 0)) throw context.unsupported("joins along the batch");
  for (const input of inputs)
    if (input.dims.some((dim, at) => at !== axis && dim !== first.dims[at]) || input.type !== first.type)
      throw context.bad("joined tensors differ in type or in another axis");
  const extent = extents.reduce((sum, size) => sum + size, 0);
  const output = context.output(
    0,
    first.type,
    first.dims.map((dim, at) => (at === axis ? extent : dim)),
  );
  const { outer, inner } = aroundAxis(context, output.dims, axis);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const blocks = dimOf(outer, rows);
        const unit = dimOf(inner, rows);
        const target = output.data;
        let at = 0;
        for (const input of inputs) {
          const length = dimOf(input.dims[axis] ?? 1, rows) * unit;
          const source = input.data;
          for (let block = 0; block < blocks; block++) {
            const to = block * dimOf(extent, rows) * unit + at;
            for (let index = 0; index < length; index++) target[to + index] = source[block * length + index] ?? 0;
          }
          at += length;
        }
      },
    },
  };
};

const gather: Planner = (context) => {
  const table = context.input(0);
  const indices = context.input(1);
  const axis = context.axis(context.int("axis", 0), table.dims.length);
  const { outer, extent, inner } = aroundAxis(context, table.dims, axis);
  if (extent < 0) throw context.unsupported("picks rows of the batch");
  const dims = [...table.dims.slice(0, axis), ...indices.dims, ...table.dims.slice(axis + 1)];
  if (productOf(dims) === null) throw context.unsupported("two axes depend on the batch");
  const output = context.output(0, table.type, dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const [source, target, picks] = [table.data, output.data, indices.data];
        const [blocks, unit, size] = [dimOf(outer, rows), dimOf(inner, rows), dimOf(extent, rows)];
        const count = sizeOf(indices.dims, rows);
        for (let block = 0; block < blocks; block++)
          for (let pick = 0; pick < count; pick++) {
            const wanted = picks[pick] ?? 0;
            const index = wanted < 0 ? wanted + size : wanted;
            if (!(index >= 0 && index < size))
              throw new RangeError(`${context.node.opType} "${output.name}": index ${wanted} of ${size}`);
            const from = (block * size + index) * unit;
            const to = (block * count + pick) * unit;
            for (let at = 0; at < unit; at++) target[to + at] = source[from + at] ?? 0;
          }
      },
    },
  };
};

/** Starts, ends, axes and steps as inputs from version 10, as attributes before. */
const slice: Planner = (context) => {
  const input = context.input(0);
  const list = (index: number, name: string): number[] | null => {
    const given = context.ints(name);
    return given === null ? context.constantInts(index) : Array.from(given);
  };
  const starts = list(1, "starts") ?? [];
  const ends = list(2, "ends") ?? [];
  const axes = (list(3, "axes") ?? starts.map((_, index) => index)).map((axis) =>
    context.axis(axis, input.dims.length),
  );
  const steps = list(4, "steps") ?? starts.map(() => 1);
  let current = input.dims;
  const offsets = new Int32Array(input.dims.length);
  const strides = new Int32Array(input.dims.length).fill(1);
  axes.forEach((axis, index) => {
    const extent = input.dims[axis] ?? 1;
    const range = sliceRange(context, extent, starts[index] ?? 0, ends[index] ?? 0, steps[index] ?? 1);
    offsets[axis] = range.start;
    strides[axis] = range.step;
    current = current.map((dim, at) => (at === axis ? range.count : dim));
  });
  const output = context.output(0, input.type, current);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const size = sizeOf(current, rows);
        const [source, target] = [input.data, output.data];
        for (let index = 0; index < size; index++) {
          let rest = index;
          let at = 0;
          let stride = 1;
          for (let axis = current.length - 1; axis >= 0; axis--) {
            const extent = dimOf(current[axis] ?? 1, rows);
            const position = rest % extent;
            rest = (rest - position) / extent;
            at += ((offsets[axis] ?? 0) + position * (strides[axis] ?? 1)) * stride;
            stride *= dimOf(input.dims[axis] ?? 1, rows);
          }
          target[index] = source[at] ?? 0;
        }
      },
    },
  };
};

interface SliceRange {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

function sliceRange(context: NodeContext, extent: number, start: number, end: number, step: number): SliceRange {
  if (step === 0) throw context.bad("a step of 0");
  if (extent < 0) {
    const whole = start === 0 && step === 1 && (end >= 0x7fff_ffff || end === markDim(extent));
    if (!whole) throw context.unsupported("slices the batch");
    return { start: 0, step: 1, count: extent };
  }
  const clamp = (at: number, low: number, high: number): number =>
    Math.max(low, Math.min(high, at < 0 ? at + extent : at));
  const from = step > 0 ? clamp(start, 0, extent) : clamp(start, -1, extent - 1);
  const to = step > 0 ? clamp(end, 0, extent) : end < -extent ? -1 : clamp(end, -1, extent - 1);
  return { start: from, step, count: Math.max(0, Math.ceil((to - from) / step)) };
}

const split: Planner = (context) => {
  const input = context.input(0);
  const axis = context.axis(context.int("axis", 0), input.dims.length);
  const { outer, extent, inner } = aroundAxis(context, input.dims, axis);
  if (extent < 0) throw context.unsupported("splits the batch");
  const count = context.node.outputs.length;
  const given = context.ints("split");
  const even = Math.ceil(extent / count);
  const sizes =
    (given === null ? context.constantInts(1) : Array.from(given)) ??
    Array.from({ length: count }, (_, index) => Math.min(even, extent - index * even));
  if (sizes.length !== count || sizes.reduce((sum, size) => sum + size, 0) !== extent)
    throw context.bad(`parts [${sizes.join(", ")}] of ${extent}`);
  const outputs = sizes.map((size, index) =>
    context.output(
      index,
      input.type,
      input.dims.map((dim, at) => (at === axis ? size : dim)),
    ),
  );
  return {
    outputs,
    step: {
      run: (rows) => {
        const [blocks, unit] = [dimOf(outer, rows), dimOf(inner, rows)];
        const source = input.data;
        let start = 0;
        outputs.forEach((output, index) => {
          const length = (sizes[index] ?? 0) * unit;
          const target = output.data;
          for (let block = 0; block < blocks; block++)
            for (let at = 0; at < length; at++)
              target[block * length + at] = source[block * extent * unit + start + at] ?? 0;
          start += length;
        });
      },
    },
  };
};

/** `GatherElements`, e.g. picking a score per row by its index. */
const gatherElements: Planner = (context) => {
  const table = context.input(0);
  const indices = context.input(1);
  const axis = context.axis(context.int("axis", 0), table.dims.length);
  if (table.dims.some((dim, at) => at !== axis && dim !== indices.dims[at]))
    throw context.unsupported("indices that cover only part of the other axes");
  const { inner, extent } = aroundAxis(context, table.dims, axis);
  if (extent < 0) throw context.unsupported("picks rows of the batch");
  const picks = indices.dims[axis] ?? 1;
  const output = context.output(0, table.type, indices.dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const total = sizeOf(indices.dims, rows);
        const [unit, size, count] = [dimOf(inner, rows), dimOf(extent, rows), dimOf(picks, rows)];
        for (let index = 0; index < total; index++) {
          const wanted = indices.data[index] ?? 0;
          const position = wanted < 0 ? wanted + size : wanted;
          if (!(position >= 0 && position < size))
            throw new RangeError(`GatherElements "${output.name}": index ${wanted} of ${size}`);
          const block = Math.floor(index / (unit * count));
          output.data[index] = table.data[(block * size + position) * unit + (index % unit)] ?? 0;
        }
      },
    },
  };
};

const tile: Planner = (context) => {
  const input = context.input(0);
  const repeats = context.constantInts(1) ?? [];
  const dims = input.dims.map((dim, axis) => dim * (repeats[axis] ?? 1));
  if (input.dims.some((dim, axis) => dim < 0 && repeats[axis] !== 1)) throw context.unsupported("repeats the batch");
  const output = context.output(0, input.type, dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const size = sizeOf(dims, rows);
        for (let index = 0; index < size; index++) {
          let rest = index;
          let at = 0;
          let stride = 1;
          for (let axis = dims.length - 1; axis >= 0; axis--) {
            const extent = dimOf(dims[axis] ?? 1, rows);
            const own = dimOf(input.dims[axis] ?? 1, rows);
            at += ((rest % extent) % own) * stride;
            rest = Math.floor(rest / extent);
            stride *= own;
          }
          output.data[index] = input.data[at] ?? 0;
        }
      },
    },
  };
};

const range: Planner = (context) => {
  const [start, limit, delta] = [0, 1, 2].map((index) => context.constantInts(index)?.[0] ?? 0) as [
    number,
    number,
    number,
  ];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!(count < 1 << 20)) throw context.unsupported(`a range of ${count} numbers, or one over the batch`);
  const output: Value = context.output(0, context.input(0).type, [count]);
  return {
    outputs: [output],
    step: { run: () => output.data.forEach((_, index, all) => (all[index] = start + index * delta)) },
  };
};

export const SELECT_OPERATORS: Readonly<Record<string, Planner>> = {
  Concat: concat,
  Gather: gather,
  GatherElements: gatherElements,
  Slice: slice,
  Split: split,
  Tile: tile,
  Range: range,
};

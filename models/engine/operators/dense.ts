/** Matrix products. `Dense` is the engine's own form of Gemm or MatMul + Add + activation over constant weights. */
import type { Arena, Block } from "../arena.ts";
import type { Activation } from "../kernels.ts";
import type { NodeContext, Planner, Step } from "../operator.ts";
import { dimOf, type Dims, newArray, type NumericArray, productOf, sizeOf, type Value } from "../value.ts";
import { broadcastDims, fillStrides } from "./elementwise.ts";

/** Columns of one packed panel: two SIMD registers, or eight where only the non-zero inputs are read. */
const PANEL = 8;
const SPARSE_PANEL = 32;

/** Rows whose non-zero inputs are listed at a time. */
const LISTED_ROWS = 32;
/** Bytes of the table that moves any of four lanes to the front, before the lists. */
const MOVES_BYTES = 256;

const ACTIVATIONS: Readonly<Record<string, Activation>> = { "": 0, Relu: 1 };

/**
 * `Dense(x, weights, bias?)`: x · weights over the last axis of x, plus bias, through the activation. Weights are packed
 * once into panels of eight columns, row by row within a panel, zero-padded, which the kernel reads strictly forward.
 */
export const dense: Planner = (context) => {
  const input = context.input(0);
  const weights = context.input(1);
  const bias = context.optional(2);
  const transposed = context.int("transB", 0) === 1;
  const [first, second] = [weights.dims[0] ?? 0, weights.dims[1] ?? 0];
  const [depth, width] = transposed ? [second, first] : [first, second];
  if (weights.dims.length !== 2 || input.dims.at(-1) !== depth)
    throw context.bad(`[${input.dims.join(", ")}] times [${weights.dims.join(", ")}]`);
  const outer = productOf(input.dims.slice(0, -1));
  if (outer === null) throw context.unsupported("two axes depend on the batch");
  const activation = ACTIVATIONS[context.string("activation", "")] ?? 0;
  // A ReLU leaves about half of its outputs zero, whose weights need not be read; but zero times infinity is no zero.
  const sparse =
    context.arena.hasKernels && input.afterRelu && width >= SPARSE_PANEL && weights.data.every(Number.isFinite);
  const panel = sparse ? SPARSE_PANEL : PANEL;
  const packing = { depth, width, panel, transposed };
  const columns = Math.ceil(width / panel) * panel;
  const packed = context.arena.constant("", "float32", [depth * columns], packPanels(weights.data, packing));
  const biasRow = context.arena.constant("", "float32", [columns], paddedBias(context, bias, width, columns));
  const output = context.output(0, "float32", [...input.dims.slice(0, -1), width]);
  output.afterRelu = activation === 1;
  for (const value of [input, packed, biasRow, output]) value.inKernelMemory ||= context.arena.hasKernels;
  const call: DenseCall = { input, packed, bias: biasRow, output, height: outer, width, depth, activation };
  const lists = sparse
    ? context.arena.block(MOVES_BYTES + LISTED_ROWS * (8 * (depth + 4) + 4), (buffer, offset) =>
        fillMoves(buffer, offset),
      )
    : null;
  return { outputs: [output], extraValues: [packed, biasRow], step: denseStep(context.arena, call, lists) };
};

interface Packing {
  readonly depth: number;
  readonly width: number;
  readonly panel: number;
  readonly transposed: boolean;
}

function packPanels(weights: NumericArray, { depth, width, panel, transposed }: Packing): Float32Array {
  const packed = new Float32Array(Math.ceil(width / panel) * panel * depth);
  for (let row = 0; row < depth; row++)
    for (let column = 0; column < width; column++) {
      const first = Math.floor(column / panel) * panel;
      packed[first * depth + row * panel + (column - first)] =
        weights[transposed ? column * depth + row : row * width + column] ?? 0;
    }
  return packed;
}

function paddedBias(context: NodeContext, bias: Value | null, width: number, columns: number): Float32Array {
  const padded = new Float32Array(columns);
  if (bias === null) return padded;
  const size = sizeOf(bias.dims, 1);
  if (size !== 1 && size !== width) throw context.bad(`a bias of ${size} for ${width} columns`);
  for (let column = 0; column < width; column++) padded[column] = bias.data[size === 1 ? 0 : column] ?? 0;
  return padded;
}

interface DenseCall {
  readonly input: Value;
  readonly packed: Value;
  readonly bias: Value;
  readonly output: Value;
  /** Rows of the product, as a dimension. */
  readonly height: number;
  readonly width: number;
  readonly depth: number;
  readonly activation: Activation;
}

function denseStep(arena: Arena, call: DenseCall, lists: Block | null): Step {
  const { input, packed, bias, output, width, depth, activation } = call;
  return {
    run: (rows) => {
      const height = dimOf(call.height, rows);
      const { kernels } = arena;
      if (kernels === null || input.offset < 0) densePlain(call, height);
      else if (lists === null)
        kernels.dense(input.offset, packed.offset, bias.offset, output.offset, height, width, depth, activation);
      else
        kernels.denseSparse(
          input.offset,
          packed.offset,
          bias.offset,
          output.offset,
          height,
          width,
          depth,
          activation,
          lists.offset + MOVES_BYTES,
          lists.offset,
        );
    },
  };
}

/** For each pattern of kept lanes, the bytes of a vector in the order that puts those lanes first. */
function fillMoves(buffer: ArrayBuffer, offset: number): void {
  const bytes = new Uint8Array(buffer, offset, MOVES_BYTES);
  for (let kept = 0; kept < 16; kept++) {
    let at = kept * 16;
    for (let lane = 0; lane < 4; lane++)
      if ((kept >> lane) & 1) for (let byte = 0; byte < 4; byte++) bytes[at++] = 4 * lane + byte;
  }
}

function densePlain({ input, packed, bias, output, width, depth, activation }: DenseCall, height: number): void {
  const [x, weights, offsets, out] = [input.data, packed.data, bias.data, output.data];
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      let at = Math.floor(column / PANEL) * depth * PANEL + (column % PANEL);
      let sum = offsets[column] ?? 0;
      for (let inner = 0; inner < depth; inner++, at += PANEL)
        sum += (x[row * depth + inner] ?? 0) * (weights[at] ?? 0);
      out[row * width + column] = activation === 1 && sum < 0 ? 0 : sum;
    }
}

/** `Gemm`: alpha · A · B + beta · C over matrices, either of which may be transposed. */
export const gemm: Planner = (context) => {
  const first = context.input(0);
  const second = context.input(1);
  const addend = context.optional(2);
  const [transA, transB] = [context.int("transA", 0) === 1, context.int("transB", 0) === 1];
  const [alpha, beta] = [context.float("alpha", 1), context.float("beta", 1)];
  if (first.dims.length !== 2 || second.dims.length !== 2) throw context.bad("operands that are no matrices");
  const [height, depth] = swapIf(transA, first.dims);
  const [depthB, width] = swapIf(transB, second.dims);
  if (depth !== depthB) throw context.bad(`[${first.dims.join(", ")}] times [${second.dims.join(", ")}]`);
  if (depth < 0 || width < 0) throw context.unsupported("sums over the batch");
  const output = context.output(0, first.type, [height, width]);
  if (addend !== null) broadcastDims(context, addend.dims, output.dims);
  const strides = new Int32Array(2);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const [m, n, k] = [dimOf(height, rows), width, depth];
        if (addend !== null) fillStrides(addend.dims, output.dims, rows, strides);
        const [x, y, z] = [first.data, second.data, output.data];
        for (let row = 0; row < m; row++)
          for (let column = 0; column < n; column++) {
            let total = 0;
            for (let inner = 0; inner < k; inner++)
              total +=
                (x[transA ? inner * m + row : row * k + inner] ?? 0) *
                (y[transB ? column * k + inner : inner * n + column] ?? 0);
            const extra = addend?.data[row * (strides[0] ?? 0) + column * (strides[1] ?? 0)] ?? 0;
            z[row * n + column] = alpha * total + beta * extra;
          }
      },
    },
  };
};

function swapIf(swap: boolean, dims: Dims): [number, number] {
  const [first = 1, second = 1] = dims;
  return swap ? [second, first] : [first, second];
}

/** `MatMul` as NumPy defines it: matrices in the last two axes, the others broadcast. */
export const matMul: Planner = (context) => {
  const first = context.input(0);
  const second = context.input(1);
  const [left, right] = [asMatrix(first.dims, "row"), asMatrix(second.dims, "column")];
  const [m, k] = [left.at(-2) ?? 1, left.at(-1) ?? 1];
  const [kB, n] = [right.at(-2) ?? 1, right.at(-1) ?? 1];
  if (k !== kB) throw context.bad(`[${first.dims.join(", ")}] times [${second.dims.join(", ")}]`);
  if (k < 0) throw context.unsupported("sums over the batch");
  const batch = broadcastDims(context, left.slice(0, -2), right.slice(0, -2));
  const dims = [...batch, ...(first.dims.length > 1 ? [m] : []), ...(second.dims.length > 1 ? [n] : [])];
  if (productOf(dims) === null) throw context.unsupported("two axes depend on the batch");
  const output = context.output(0, first.type, dims);
  return { outputs: [output], step: matMulStep({ first, second, output, left, right, batch }) };
};

function asMatrix(dims: Dims, vector: "row" | "column"): Dims {
  if (dims.length > 1) return dims;
  return vector === "row" ? [1, dims[0] ?? 1] : [dims[0] ?? 1, 1];
}

interface MatMulFields {
  readonly first: Value;
  readonly second: Value;
  readonly output: Value;
  readonly left: Dims;
  readonly right: Dims;
  readonly batch: Dims;
}

function matMulStep({ first, second, output, left, right, batch }: MatMulFields): Step {
  const strides = [new Int32Array(batch.length), new Int32Array(batch.length)] as const;
  return {
    run: (rows) => {
      const [m, k] = [dimOf(left.at(-2) ?? 1, rows), dimOf(left.at(-1) ?? 1, rows)];
      const n = dimOf(right.at(-1) ?? 1, rows);
      fillStrides(left.slice(0, -2), batch, rows, strides[0]);
      fillStrides(right.slice(0, -2), batch, rows, strides[1]);
      const blocks = sizeOf(batch, rows);
      for (let block = 0; block < blocks; block++) {
        let rest = block;
        let [a, b] = [0, 0];
        for (let axis = batch.length - 1; axis >= 0; axis--) {
          const extent = dimOf(batch[axis] ?? 1, rows);
          a += (rest % extent) * (strides[0][axis] ?? 0);
          b += (rest % extent) * (strides[1][axis] ?? 0);
          rest = Math.floor(rest / extent);
        }
        multiply({
          x: first.data,
          y: second.data,
          z: output.data,
          a: a * m * k,
          b: b * k * n,
          c: block * m * n,
          m,
          n,
          k,
        });
      }
    },
  };
}

interface Product {
  readonly x: NumericArray;
  readonly y: NumericArray;
  readonly z: NumericArray;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** Sums in doubles, a row of the result at a time, so that the second operand is read forward. */
function multiply({ x, y, z, a, b, c, m, n, k }: Product): void {
  if (lineSums.length < n) lineSums = newArray("float64", n);
  for (let row = 0; row < m; row++) {
    lineSums.fill(0, 0, n);
    for (let inner = 0; inner < k; inner++) {
      const factor = x[a + row * k + inner] ?? 0;
      const from = b + inner * n;
      for (let column = 0; column < n; column++)
        lineSums[column] = (lineSums[column] ?? 0) + factor * (y[from + column] ?? 0);
    }
    for (let column = 0; column < n; column++) z[c + row * n + column] = lineSums[column] ?? 0;
  }
}

/** Room for one row of a product; grows to the widest one seen and stays. */
let lineSums: NumericArray = newArray("float64", 256);

/**
 * Tensors of a planned graph. A dimension is a number: ≥ 0 is that size, -k is k times the rows of the call, so that a
 * graph is planned once for every batch size. At most one dimension of a tensor may depend on the rows.
 */
import type { ElementType, TensorData } from "../onnx/model.ts";

export type Dims = readonly number[];

/** Element types that the engine computes with; int64 is kept as doubles (exact to 2^53), bool as 0 and 1. */
export type NumericType = "float32" | "float64" | "int32" | "int64" | "bool";

export type NumericArray = Float32Array | Float64Array | Int32Array | Uint8Array;

export interface Value {
  readonly name: string;
  readonly type: NumericType;
  readonly dims: Dims;
  /**
   * Room for at least as many elements as the rows of the call ask for. Replaced when a larger batch arrives: read it
   * anew on every call.
   */
  data: NumericArray;
  /** Address in the kernels' memory; -1 for a value that lives outside it. */
  offset: number;
  /** Known while planning: the same for every call. */
  readonly constant: boolean;
  /** Some operator works on it through the kernels, so it must live in their memory. */
  inKernelMemory: boolean;
  /** A ReLU made it: expect zeros. */
  afterRelu: boolean;
}

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: Float64Array,
  bool: Uint8Array,
} as const;

export function newArray(type: NumericType, length: number): NumericArray {
  return new ARRAYS[type](length);
}

export function viewOf(type: NumericType, buffer: ArrayBuffer, offset: number, length: number): NumericArray {
  return new ARRAYS[type](buffer, offset, length);
}

export function bytesPerElement(type: NumericType): number {
  return ARRAYS[type].BYTES_PER_ELEMENT;
}

/** Elements of a tensor at a number of rows. */
export function sizeOf(dims: Dims, rows: number): number {
  let size = 1;
  for (const dim of dims) size *= dim < 0 ? -dim * rows : dim;
  return size;
}

export function dimOf(dim: number, rows: number): number {
  return dim < 0 ? -dim * rows : dim;
}

/** Product of dimensions, itself a dimension; null where two of them depend on the rows. */
export function productOf(dims: Dims): number | null {
  let product = 1;
  let depends = false;
  for (const dim of dims) {
    if (dim < 0 && depends) return null;
    if (dim < 0) depends = true;
    product *= Math.abs(dim);
  }
  return depends ? -product : product;
}

export function sameDims(first: Dims, second: Dims): boolean {
  return first.length === second.length && first.every((dim, index) => dim === second[index]);
}

export function isBatched(dims: Dims): boolean {
  return dims.some((dim) => dim < 0);
}

/**
 * How `Shape` writes "rows" into a tensor of integers: a negative prime beyond 32 bits, so that products with small
 * factors stay recognisable and nothing that an exporter writes is mistaken for it.
 */
const ROWS_MARK = -4_294_967_311;

export function markDim(dim: number): number {
  return dim < 0 ? -dim * ROWS_MARK : dim;
}

/** The dimension behind an integer of a shape tensor. */
export function unmarkDim(value: number): number {
  return isMarked(value) ? -(value / ROWS_MARK) : value;
}

export function isMarked(value: number): boolean {
  return value < 0 && value % ROWS_MARK === 0 && value / ROWS_MARK < 1_048_576;
}

/** The engine's type for an ONNX element type; null where it has none. */
export function numericType(type: ElementType): NumericType | null {
  if (type === "float32" || type === "float64" || type === "int32" || type === "int64" || type === "bool") return type;
  // Half precision is widened on reading; small integers compute as int32.
  if (type === "float16") return "float32";
  return type === "uint8" || type === "int8" || type === "uint16" || type === "int16" ? "int32" : null;
}

/** Constant data in the engine's arrays. */
export function toNumericArray(type: ElementType, data: Exclude<TensorData, readonly string[]>): NumericArray | null {
  if (data instanceof BigInt64Array) return Float64Array.from(data, Number);
  if (type === "float16" && data instanceof Uint16Array) return Float32Array.from(data, halfToNumber);
  if (type === "bool" && data instanceof Uint8Array) return data.map((flag) => (flag === 0 ? 0 : 1));
  if (data instanceof Float32Array || data instanceof Float64Array || data instanceof Int32Array) return data;
  if (data instanceof BigUint64Array || data instanceof Uint32Array) return null;
  return Int32Array.from(data);
}

/** IEEE 754 binary16. */
function halfToNumber(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const magnitude =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Number.POSITIVE_INFINITY
          : Number.NaN
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits >> 15 === 1 ? -magnitude : magnitude;
}

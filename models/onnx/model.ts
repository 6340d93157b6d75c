/**
 * An ONNX model as plain data: what `read-model.ts` gives and `write-model.ts` takes.
 * Source of field meanings: onnx.proto of ONNX 1.19 (IR version 12).
 */

/** TensorProto.DataType by its number; the name is what the rest of the code uses. */
export const ELEMENT_TYPES = {
  1: "float32",
  2: "uint8",
  3: "int8",
  4: "uint16",
  5: "int16",
  6: "int32",
  7: "int64",
  8: "string",
  9: "bool",
  10: "float16",
  11: "float64",
  12: "uint32",
  13: "uint64",
  14: "complex64",
  15: "complex128",
  16: "bfloat16",
  17: "float8e4m3fn",
  18: "float8e4m3fnuz",
  19: "float8e5m2",
  20: "float8e5m2fnuz",
  21: "uint4",
  22: "int4",
  23: "float4e2m1",
  24: "float8e8m0",
  25: "uint2",
  26: "int2",
} as const;

export type ElementType = (typeof ELEMENT_TYPES)[keyof typeof ELEMENT_TYPES];

/**
 * A constant. `data` holds the product of `dims` elements, row-major; types that JavaScript has no array for
 * (16-bit and smaller floats, 2- and 4-bit integers, complex) keep their little-endian bit patterns.
 */
export interface Tensor {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | readonly string[];

/** Integers of an attribute. 32 bits where all fit; otherwise doubles (exact to 2^53, int64 extremes kept). */
export type IntArray = Int32Array | Float64Array;

export type Attribute =
  | { readonly type: "float"; readonly value: number }
  | { readonly type: "int"; readonly value: number }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "tensor"; readonly value: Tensor }
  | { readonly type: "graph"; readonly value: Graph }
  | { readonly type: "floats"; readonly value: Float32Array }
  | { readonly type: "ints"; readonly value: IntArray }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "tensors"; readonly value: readonly Tensor[] }
  | { readonly type: "graphs"; readonly value: readonly Graph[] }
  | { readonly type: "valueType"; readonly value: ValueType };

export interface Node {
  readonly opType: string;
  /** "" is the standard domain (also spelled "ai.onnx" in files); trees live in "ai.onnx.ml". */
  readonly domain: string;
  readonly name: string;
  /** An empty string is an omitted optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** A number is fixed, a string is a named free dimension, null an unnamed one. */
export type Dimension = number | string | null;

export type ValueType =
  | {
      readonly kind: "tensor" | "sparse";
      readonly elementType: ElementType;
      /** null: the rank is not stated. */
      readonly shape: readonly Dimension[] | null;
    }
  | { readonly kind: "sequence" | "optional"; readonly element: ValueType }
  | { readonly kind: "map"; readonly key: ElementType; readonly value: ValueType };

export interface ValueInfo {
  readonly name: string;
  /** null: the file states no type (allowed for intermediate values only). */
  readonly type: ValueType | null;
}

export interface Graph {
  readonly name: string;
  /** In an order in which every input is known before it is used. */
  readonly nodes: readonly Node[];
  /** May repeat initializers (IR version 3); the remaining ones are what a caller must supply. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers: readonly Tensor[];
  readonly valueInfos: readonly ValueInfo[];
}

/** A model-local function, kept as its bytes: engines that do not inline it refuse the node that calls it. */
export interface ModelFunction {
  readonly domain: string;
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Model {
  readonly irVersion: number;
  readonly producerName: string;
  readonly producerVersion: string;
  readonly domain: string;
  readonly modelVersion: number;
  readonly docString: string;
  /** Operator-set version by domain; "" is the standard domain. */
  readonly opsetImports: ReadonlyMap<string, number>;
  readonly graph: Graph;
  readonly metadata: ReadonlyMap<string, string>;
  readonly functions: readonly ModelFunction[];
}

/** Short forms for writing graphs by hand: trainers and tests build models from these. */
import type { Attribute, Dimension, ElementType, Graph, Model, Node, Tensor, TensorData, ValueInfo } from "./model.ts";

export function tensor(name: string, type: ElementType, dims: readonly number[], data: TensorData): Tensor {
  return { name, type, dims, data };
}

export function floatTensor(name: string, dims: readonly number[], data: ArrayLike<number>): Tensor {
  return { name, type: "float32", dims, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

export function int64Tensor(name: string, dims: readonly number[], data: readonly number[]): Tensor {
  return { name, type: "int64", dims, data: BigInt64Array.from(data, BigInt) };
}

export function valueInfo(name: string, elementType: ElementType, shape: readonly Dimension[]): ValueInfo {
  return { name, type: { kind: "tensor", elementType, shape } };
}

export interface NodeFields {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly domain?: string;
  readonly name?: string;
}

export function node(opType: string, fields: NodeFields): Node {
  return {
    opType,
    domain: fields.domain ?? "",
    name: fields.name ?? "",
    inputs: fields.inputs,
    outputs: fields.outputs,
    attributes: new Map(Object.entries(fields.attributes ?? {})),
  };
}

export const attribute = {
  float: (value: number): Attribute => ({ type: "float", value }),
  int: (value: number): Attribute => ({ type: "int", value }),
  string: (value: string): Attribute => ({ type: "string", value }),
  tensor: (value: Tensor): Attribute => ({ type: "tensor", value }),
  floats: (value: ArrayLike<number>): Attribute => ({
    type: "floats",
    value: value instanceof Float32Array ? value : Float32Array.from(value),
  }),
  ints: (value: ArrayLike<number>): Attribute => ({
    type: "ints",
    value: value instanceof Int32Array || value instanceof Float64Array ? value : Float64Array.from(value),
  }),
  strings: (value: readonly string[]): Attribute => ({ type: "strings", value }),
} as const;

export interface ModelFields {
  readonly nodes: readonly Node[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers?: readonly Tensor[];
  readonly metadata?: ReadonlyMap<string, string>;
  readonly docString?: string;
  /** Default 18. */
  readonly opset?: number;
  /** Default 3, imported only where a node asks for it. */
  readonly mlOpset?: number;
}

/** A model of IR version 10, which every ONNX Runtime since 1.19 reads. */
export function model(fields: ModelFields): Model {
  const graph: Graph = {
    name: "edgewise",
    nodes: fields.nodes,
    inputs: fields.inputs,
    outputs: fields.outputs,
    initializers: fields.initializers ?? [],
    valueInfos: [],
  };
  const opsetImports = new Map([["", fields.opset ?? 18]]);
  if (fields.nodes.some((node) => node.domain === "ai.onnx.ml")) opsetImports.set("ai.onnx.ml", fields.mlOpset ?? 3);
  return {
    irVersion: 10,
    producerName: "edgewise",
    producerVersion: "",
    domain: "",
    modelVersion: 0,
    docString: fields.docString ?? "",
    opsetImports,
    graph,
    metadata: fields.metadata ?? new Map(),
    functions: [],
  };
}

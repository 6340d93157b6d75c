/**
 * What an operator is to the engine: a planner that is called once per node, checks attributes and shapes, allocates its
 * outputs and returns the step that computes them. A step allocates nothing and reads `value.data` anew on every call.
 */
import { OnnxError } from "../onnx/error.ts";
import type { Attribute, IntArray, Model, Node, Tensor } from "../onnx/model.ts";
import type { Arena } from "./arena.ts";
import type { Contributor } from "./contributor.ts";
import { UnsupportedOperator } from "./unsupported-operator.ts";
import {
  type Dims,
  type NumericArray,
  type NumericType,
  toNumericArray,
  numericType,
  unmarkDim,
  type Value,
} from "./value.ts";

export interface Step {
  /** @param rows of the call; every value has room for them */
  readonly run: (rows: number) => void;
}

/** Computes nothing: the outputs are their inputs under another name or shape. */
export const NO_STEP: Step = { run: () => undefined };

export interface Planned {
  /** One per output of the node; null for one that nobody reads, or that only labels. */
  readonly outputs: readonly (Value | null)[];
  readonly step: Step;
  /** Constants and buffers of the step's own, which must outlive planning. */
  readonly extraValues?: readonly Value[];
  /** Bytes of arrays that belong to the step itself. */
  readonly bytes?: number;
  /** Present on tree ensembles that can be explained. */
  readonly contributor?: Contributor;
}

export type Planner = (context: NodeContext) => Planned;

/** A node with its inputs already planned, and what a planner may ask about it. */
export class NodeContext {
  readonly node: Node;
  readonly model: Model;
  /** Version of the operator set that the node's domain is imported at. */
  readonly opset: number;
  readonly arena: Arena;
  /** null where the node omits an optional input. */
  readonly inputs: readonly (Value | null)[];

  constructor(node: Node, model: Model, arena: Arena, inputs: readonly (Value | null)[]) {
    this.node = node;
    this.model = model;
    this.opset = model.opsetImports.get(node.domain) ?? 1;
    this.arena = arena;
    this.inputs = inputs;
  }

  input(index: number): Value {
    const value = this.inputs[index];
    if (!value) throw this.bad(`input ${index} is missing`);
    return value;
  }

  optional(index: number): Value | null {
    return this.inputs[index] ?? null;
  }

  /** An input that the node names but that holds no numbers (strings, labels) must not be taken for an omitted one. */
  refuseUnreadable(): void {
    this.node.inputs.forEach((name, index) => {
      if (name !== "" && !this.inputs[index]) throw this.unsupported(`its input "${name}" holds no numbers`);
    });
  }

  /** Integers of a constant input, e.g. axes or a shape; null where the input is omitted. */
  constantInts(index: number): number[] | null {
    const value = this.optional(index);
    if (value === null) return null;
    if (!value.constant) throw this.unsupported(`input ${index} must be a constant`);
    return Array.from(value.data);
  }

  /**
   * Dimensions from a constant shape input: -k is k times the rows, null the -1 of ONNX ("whatever remains").
   * null for an omitted input.
   */
  shapeInput(index: number): (number | null)[] | null {
    const values = this.constantInts(index);
    return values?.map((value) => (value === -1 ? null : this.#dimension(unmarkDim(value)))) ?? null;
  }

  #dimension(dim: number): number {
    if (!Number.isInteger(dim) || Math.abs(dim) > 0x7fff_ffff) throw this.unsupported(`a computed dimension of ${dim}`);
    return dim;
  }

  output(index: number, type: NumericType, dims: Dims): Value {
    const allConstant = this.inputs.every((value) => value === null || value.constant);
    return this.arena.scratch(this.node.outputs[index] ?? "", type, dims, allConstant);
  }

  int(name: string, otherwise: number): number {
    return this.#attribute(name, "int")?.value ?? otherwise;
  }

  float(name: string, otherwise: number): number {
    return this.#attribute(name, "float")?.value ?? otherwise;
  }

  string(name: string, otherwise: string): string {
    return this.#attribute(name, "string")?.value ?? otherwise;
  }

  ints(name: string): IntArray | null {
    return this.#attribute(name, "ints")?.value ?? null;
  }

  floats(name: string): Float32Array | null {
    return this.#attribute(name, "floats")?.value ?? null;
  }

  strings(name: string): readonly string[] | null {
    return this.#attribute(name, "strings")?.value ?? null;
  }

  tensor(name: string): Tensor | null {
    return this.#attribute(name, "tensor")?.value ?? null;
  }

  /** Numbers of a tensor attribute. */
  tensorNumbers(name: string): NumericArray | null {
    const tensor = this.tensor(name);
    if (tensor === null) return null;
    const data = ArrayBuffer.isView(tensor.data) ? toNumericArray(tensor.type, tensor.data) : null;
    if (data === null || numericType(tensor.type) === null)
      throw this.unsupported(`attribute ${name} of element type ${tensor.type}`);
    return data;
  }

  /** An axis within [-rank, rank), made positive. */
  axis(axis: number, rank: number): number {
    const positive = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(positive) || positive < 0 || positive >= rank)
      throw this.bad(`axis ${axis} of a tensor of rank ${rank}`);
    return positive;
  }

  /** This engine does not run the node; another may. */
  unsupported(reason: string): UnsupportedOperator {
    const { opType, domain, name, outputs } = this.node;
    return new UnsupportedOperator(
      domain === "" ? opType : `${domain}.${opType}`,
      name === "" ? (outputs[0] ?? "") : name,
      reason,
    );
  }

  /** No engine can run the node: the file contradicts itself. */
  bad(reason: string): OnnxError {
    return new OnnxError(
      "bad-graph",
      `${this.node.opType} (node "${this.node.name || this.node.outputs[0]}"): ${reason}`,
    );
  }

  #attribute<T extends Attribute["type"]>(name: string, type: T): Extract<Attribute, { type: T }> | null {
    const attribute = this.node.attributes.get(name);
    if (attribute === undefined) return null;
    if (attribute.type !== type) throw this.bad(`attribute ${name} is of type ${attribute.type}, not ${type}`);
    return attribute as Extract<Attribute, { type: T }>;
  }
}

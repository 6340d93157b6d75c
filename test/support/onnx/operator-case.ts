/** One random small graph around one operator: x float32[n, …inner] → y, whatever y's shape. */
import * as fc from "fast-check";
import { attribute, floatTensor, int64Tensor, model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import type { Attribute, Model, Node, Tensor } from "../../../models/onnx/model.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";

/**
 * What the cells of x may be: `real` within ±5, `positive`, `unit` within ±1, `index` whole from 0 to `indexLimit`, `wide`
 * any finite float and ±infinity, `any` NaN as well, `tied` few values so that many are equal.
 */
export type Cells = "real" | "positive" | "unit" | "index" | "wide" | "any" | "tied";

export interface OperatorGraph {
  /** Dimensions of x after the batch. */
  readonly inner: readonly number[];
  readonly cells: Cells;
  readonly indexLimit?: number;
  readonly nodes: readonly Node[];
  readonly initializers?: readonly Tensor[];
  /** The value to compare; cast to float32 first unless it is float32. */
  readonly output: string;
  readonly cast?: boolean;
  readonly opset?: number;
}

export interface OperatorCase {
  /** Operator, with its domain where it is not the standard one. */
  readonly operator: string;
  readonly variant: string;
  readonly build: (draw: Draw) => OperatorGraph;
}

/** Random choices that fast-check can replay and shrink. */
export class Draw {
  readonly #generate: fc.GeneratorValue;

  constructor(generate: fc.GeneratorValue) {
    this.#generate = generate;
  }

  int(min: number, max: number): number {
    return this.#generate(fc.integer, { min, max });
  }

  pick<T>(...from: readonly T[]): T {
    const chosen = from[this.int(0, from.length - 1)];
    if (chosen === undefined) throw new Error("nothing to pick from");
    return chosen;
  }

  /** Uniform, where `int` prefers the ends. */
  place(length: number): number {
    return this.#generate(evenly, length);
  }

  bool(): boolean {
    return this.#generate(fc.boolean);
  }

  floats(count: number, cells: Cells = "real", indexLimit = 4): Float32Array {
    const cell = cellOf(cells, indexLimit);
    return Float32Array.from(this.#generate(fc.array<number>, cell, { minLength: count, maxLength: count }));
  }

  /** A float32 constant. */
  tensor(name: string, dims: readonly number[], cells: Cells = "real"): Tensor {
    return floatTensor(name, dims, this.floats(product(dims), cells));
  }

  /** Inner dimensions of a given rank, each 1 to 5. */
  dims(rank: number): number[] {
    return Array.from({ length: rank }, () => this.int(1, 5));
  }
}

const evenly = (length: number): fc.Arbitrary<number> => fc.noBias(fc.nat({ max: Math.max(0, length - 1) }));

function cellOf(cells: Cells, indexLimit: number): fc.Arbitrary<number> {
  const within = (limit: number): fc.Arbitrary<number> =>
    fc.oneof(
      fc.double({ min: -limit, max: limit, noNaN: true }).map(Math.fround),
      fc.integer({ min: -4, max: 4 }).map((value) => (value * limit) / 4),
    );
  const wide = fc.oneof(
    within(5),
    fc.constantFrom(0, -0, 1e-40, -1e-40, 1e30, -1e30, Infinity, -Infinity).map(Math.fround),
  );
  switch (cells) {
    case "real":
      return within(5);
    case "unit":
      return within(1);
    case "positive":
      return fc.double({ min: 1e-3, max: 50, noNaN: true }).map(Math.fround);
    case "index":
      return fc.integer({ min: 0, max: indexLimit - 1 });
    case "tied":
      return fc.integer({ min: -2, max: 2 });
    case "wide":
      return wide;
    case "any":
      return fc.oneof({ weight: 4, arbitrary: wide }, { weight: 1, arbitrary: fc.constant(Number.NaN) });
  }
}

export const product = (dims: readonly number[]): number => dims.reduce((total, size) => total * size, 1);

/** A node of the standard domain. */
export function op(opType: string, inputs: string, outputs: string, attributes: Record<string, Attribute> = {}): Node {
  const names = (list: string): string[] => list.split(" ").map((name) => (name === "_" ? "" : name));
  return node(opType, { inputs: names(inputs), outputs: names(outputs), attributes });
}

/** A node of ai.onnx.ml. */
export function ml(opType: string, outputs: string, attributes: Record<string, Attribute>): Node {
  return node(opType, { domain: "ai.onnx.ml", inputs: ["x"], outputs: outputs.split(" "), attributes });
}

export const ints = (name: string, values: readonly number[]): Tensor => int64Tensor(name, [values.length], values);

export function operatorModel(graph: OperatorGraph): Model {
  const cast = op("Cast", graph.output, "as_float", { to: attribute.int(1) });
  return model({
    nodes: graph.cast ? [...graph.nodes, cast] : graph.nodes,
    inputs: [valueInfo("x", "float32", ["n", ...graph.inner])],
    // The rank is left unstated: it is the operator's business, and neither engine needs it.
    outputs: [
      { name: graph.cast ? "as_float" : graph.output, type: { kind: "tensor", elementType: "float32", shape: null } },
    ],
    initializers: graph.initializers ?? [],
    opset: graph.opset ?? 18,
  });
}

export interface DrawnCase {
  readonly bytes: Uint8Array;
  readonly batch: Float32Array;
  readonly rows: number;
}

/** The graph with a batch of one to five rows. */
export function drawCase(operatorCase: OperatorCase, generate: fc.GeneratorValue): DrawnCase {
  const draw = new Draw(generate);
  const graph = operatorCase.build(draw);
  const rows = draw.int(1, 5);
  const batch = draw.floats(rows * product(graph.inner), graph.cells, graph.indexLimit);
  return { bytes: writeModel(operatorModel(graph)), batch, rows };
}

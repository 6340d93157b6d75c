import type { Model, ValueInfo, ValueType } from "../onnx/model.ts";
import { type GraphPlan, planGraph, rowWidthOf } from "./plan-graph.ts";
import type { Contributions, Session, TensorInfo } from "./session.ts";
import { UnsupportedOperator } from "./unsupported-operator.ts";
import { isBatched, numericType, sizeOf } from "./value.ts";

export interface CompileOptions {
  /**
   * The compiled SIMD kernels (`models/engine/kernels.wasm`): in Workers an imported module, in Node
   * `new WebAssembly.Module(bytes)`. Without it everything runs in plain JavaScript, slower where matrices are large.
   */
  readonly kernels?: WebAssembly.Module;
  /** Name of the output to compute; by default the first one that holds floats. */
  readonly output?: string;
  /** Sizes of named free dimensions other than the batch, e.g. `{ sequence: 16 }`. */
  readonly dimensions?: Readonly<Record<string, number>>;
}

/** A `Session` that can also explain cheaply. */
export interface CompactSession extends Session {
  /** Numbers of one row: the columns of all inputs side by side, in the order of the inputs. */
  readonly rowWidth: number;
  /** Numbers of one row of the answer. */
  readonly outputWidth: number;
  /** Path attribution (Saabas): adds up like `explain`, some thirty times cheaper, but not exact Shapley values. */
  readonly preview: ((row: Float32Array) => Contributions) | null;
}

/**
 * Plans a model once: checks every node, lays trees and weights out as flat arrays, allocates every buffer. Of several
 * outputs only one is computed; nodes that only lead to others (labels, `ZipMap`) are not even looked at.
 * @throws UnsupportedOperator naming the operator that this engine does not run
 * @throws OnnxError where attributes or shapes of a node contradict each other
 */
export function compileSession(model: Model, options: CompileOptions = {}): CompactSession {
  const plan = planGraph(model, {
    kernels: options.kernels ?? null,
    output: options.output ?? null,
    dimensions: options.dimensions ?? {},
  });
  return new PlannedSession(model, plan);
}

class PlannedSession implements CompactSession {
  readonly engine = "compact";
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly rowWidth: number;
  readonly outputWidth: number;
  readonly explain: ((row: Float32Array) => Contributions) | null;
  readonly preview: ((row: Float32Array) => Contributions) | null;
  readonly #plan: GraphPlan;
  /** The answer where the graph's own buffer cannot serve as one. */
  #copy: Float32Array = new Float32Array(0);
  /** The view returned last: calls of the same size reuse it. */
  #view: Float32Array = new Float32Array(0);

  constructor(model: Model, plan: GraphPlan) {
    this.#plan = plan;
    const { output, fixedRows, contributor } = plan;
    if (fixedRows === 0 && !isBatched(output.dims))
      throw new UnsupportedOperator("the output", plan.outputName, "it does not depend on the rows");
    this.rowWidth = rowWidthOf(plan);
    this.outputWidth = sizeOf(output.dims, 1) / Math.max(1, fixedRows);
    if (!Number.isInteger(this.outputWidth))
      throw new UnsupportedOperator("the output", plan.outputName, "its size is not a multiple of the fixed batch");
    const given = new Set(model.graph.initializers.map(({ name }) => name));
    this.inputs = model.graph.inputs.filter(({ name }) => !given.has(name)).map((info) => tensorInfo(info));
    this.outputs = model.graph.outputs.map((info) =>
      info.name === plan.outputName
        ? { name: info.name, shape: [null, ...output.dims.slice(1)], type: "float32" }
        : tensorInfo(info),
    );
    const explainer = (contributions: () => Contributions) => (row: Float32Array) => {
      this.run(row, 1);
      return contributions();
    };
    this.explain = contributor === null ? null : explainer(contributor.exact);
    this.preview = contributor === null ? null : explainer(contributor.path);
  }

  get bytes(): number {
    return this.#plan.arena.bytes + this.#plan.stepBytes + this.#copy.byteLength;
  }

  run(batch: Float32Array, rows: number): Float32Array {
    const { fixedRows, output } = this.#plan;
    if (!Number.isInteger(rows) || rows < 0 || batch.length < rows * this.rowWidth)
      throw new RangeError(`${batch.length} numbers are not ${rows} rows of ${this.rowWidth}`);
    const size = rows * this.outputWidth;
    if (fixedRows === 0 && output.type === "float32") {
      if (rows > 0) this.#pass(batch, 0, rows);
      if (this.#view.length !== size || this.#view.buffer !== output.data.buffer)
        this.#view = (output.data as Float32Array).subarray(0, size);
      return this.#view;
    }
    if (this.#copy.length < size) this.#copy = new Float32Array(size);
    const chunk = fixedRows === 0 ? rows : fixedRows;
    if (chunk > 0 && rows % chunk !== 0)
      throw new RangeError(`the graph takes ${fixedRows} rows at a time, not ${rows}`);
    for (let row = 0; row < rows; row += chunk) {
      this.#pass(batch, row, chunk);
      const values = chunk * this.outputWidth;
      for (let at = 0; at < values; at++) this.#copy[row * this.outputWidth + at] = output.data[at] ?? 0;
    }
    if (this.#view.length !== size || this.#view.buffer !== this.#copy.buffer)
      this.#view = this.#copy.subarray(0, size);
    return this.#view;
  }

  /** Copies `rows` rows from `from` on into the inputs and runs every step. */
  #pass(batch: Float32Array, from: number, rows: number): void {
    const { arena, inputs, steps, fixedRows } = this.#plan;
    arena.reserve(rows);
    let column = 0;
    for (const input of inputs) {
      const width = sizeOf(input.dims, 1) / Math.max(1, fixedRows);
      const { data } = input;
      for (let row = 0; row < rows; row++) {
        const source = (from + row) * this.rowWidth + column;
        for (let at = 0; at < width; at++) data[row * width + at] = batch[source + at] ?? 0;
      }
      column += width;
    }
    const scale = fixedRows === 0 ? rows : 1;
    for (const step of steps) step.run(scale);
  }
}

function tensorInfo({ name, type }: ValueInfo): TensorInfo {
  const shape = type?.kind === "tensor" ? (type.shape ?? [null]) : [null];
  return {
    name,
    shape: shape.map((dim, axis) => (axis === 0 || typeof dim !== "number" ? null : dim)),
    type: elementInfo(type),
  };
}

function elementInfo(type: ValueType | null): TensorInfo["type"] {
  if (type?.kind !== "tensor") return "float32";
  return type.elementType === "string" ? "string" : (numericType(type.elementType) ?? "float32");
}

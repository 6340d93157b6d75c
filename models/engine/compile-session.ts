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

/** Rows that go through the graph at a time, and the bytes that a block's values may take: the wider, the fewer rows. */
const BLOCK_ROWS = 128;
const BLOCK_BYTES = 16 << 20;

class PlannedSession implements CompactSession {
  readonly engine = "compact";
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  readonly rowWidth: number;
  readonly outputWidth: number;
  readonly explain: ((row: Float32Array) => Contributions) | null;
  readonly preview: ((row: Float32Array) => Contributions) | null;
  readonly #plan: GraphPlan;
  readonly #blockRows: number;
  /** The answer where the graph's own buffer cannot serve as one. */
  #copy: Float32Array = new Float32Array(0);
  /** The view returned last: calls of the same size reuse it. */
  #view: Float32Array = new Float32Array(0);

  constructor(model: Model, plan: GraphPlan) {
    this.#plan = plan;
    const { output, fixedRows } = plan;
    if (fixedRows === 0 && (!isBatched(output.dims) || (output.dims[0] ?? 0) >= 0))
      throw new UnsupportedOperator("the output", plan.outputName, "its first axis is not the batch");
    this.rowWidth = rowWidthOf(plan);
    this.#blockRows = Math.max(1, Math.min(BLOCK_ROWS, Math.floor(BLOCK_BYTES / Math.max(1, plan.arena.bytesPerRow))));
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
    // A frozen batch of several rows has no single row to explain.
    const contributor = fixedRows > 1 ? null : plan.contributor;
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
    if (fixedRows > 0 && rows % fixedRows !== 0)
      throw new RangeError(`the graph takes ${fixedRows} rows at a time, not ${rows}`);
    const size = rows * this.outputWidth;
    let answer = output.data;
    if (fixedRows === 0 && rows <= this.#blockRows && answer instanceof Float32Array) {
      if (rows > 0) this.#pass(batch, 0, rows);
      // A larger batch than any before moves the buffers.
      answer = output.data;
    } else {
      if (this.#copy.length < size) this.#copy = new Float32Array(size);
      this.#runBlocks(batch, rows);
      answer = this.#copy;
    }
    const view = this.#view;
    if (view.length !== size || view.buffer !== answer.buffer || view.byteOffset !== answer.byteOffset)
      this.#view = (answer as Float32Array).subarray(0, size);
    return this.#view;
  }

  /**
   * Block by block into the copy. No operator that this engine plans mixes rows, so a batch may be cut anywhere; a block's
   * intermediate values stay in the nearer caches, and large batches need no large buffers.
   */
  #runBlocks(batch: Float32Array, rows: number): void {
    const { fixedRows, output } = this.#plan;
    const block = fixedRows === 0 ? this.#blockRows : fixedRows;
    for (let row = 0; row < rows; row += block) {
      const count = Math.min(block, rows - row);
      this.#pass(batch, row, count);
      const [from, to] = [row * this.outputWidth, count * this.outputWidth];
      for (let at = 0; at < to; at++) this.#copy[from + at] = output.data[at] ?? 0;
    }
  }

  /** Copies `rows` rows from `from` on into the inputs and runs every step. */
  #pass(batch: Float32Array, from: number, rows: number): void {
    const { arena, inputs, steps, fixedRows } = this.#plan;
    arena.reserve(rows);
    const [first] = inputs;
    if (first !== undefined && inputs.length === 1 && first.type !== "int64") {
      const size = rows * this.rowWidth;
      const start = from * this.rowWidth;
      // A copy of memory where there is much of it; setting it up costs more than a short loop.
      if (size > 64) first.data.set(start === 0 && batch.length === size ? batch : batch.subarray(start, start + size));
      else for (let at = 0; at < size; at++) first.data[at] = batch[start + at] ?? 0;
    } else this.#scatter(batch, from, rows);
    const scale = fixedRows === 0 ? rows : 1;
    for (const step of steps) step.run(scale);
  }

  /** Columns of several inputs, side by side in the batch. */
  #scatter(batch: Float32Array, from: number, rows: number): void {
    const { inputs, fixedRows } = this.#plan;
    let column = 0;
    for (const input of inputs) {
      const width = sizeOf(input.dims, 1) / Math.max(1, fixedRows);
      const { data } = input;
      for (let row = 0; row < rows; row++) {
        const source = (from + row) * this.rowWidth + column;
        for (let at = 0; at < width; at++) {
          const value = batch[source + at] ?? 0;
          data[row * width + at] = input.type === "int64" ? Math.trunc(value) : value;
        }
      }
      column += width;
    }
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

/** From a model to an ordered list of steps over preallocated values. */
import type { Model, Node, Tensor, ValueInfo } from "../onnx/model.ts";
import { Arena } from "./arena.ts";
import type { Contributor } from "./contributor.ts";
import { fuseDense } from "./fuse-dense.ts";
import { NodeContext, type Step } from "./operator.ts";
import { plannerOf } from "./registry.ts";
import { UnsupportedOperator } from "./unsupported-operator.ts";
import { type Dims, numericType, sizeOf, toNumericArray, type Value } from "./value.ts";

export interface PlanOptions {
  readonly kernels: WebAssembly.Module | null;
  /** Name of the output to compute; null for the first one of floats. */
  readonly output: string | null;
  /** Sizes of named free dimensions other than the batch. */
  readonly dimensions: Readonly<Record<string, number>>;
}

export interface GraphPlan {
  readonly arena: Arena;
  readonly steps: readonly Step[];
  readonly inputs: readonly Value[];
  readonly output: Value;
  /** Name of the graph output that `output` stands for. */
  readonly outputName: string;
  /** Rows that the graph takes at a time; 0 where any number. */
  readonly fixedRows: number;
  readonly contributor: Contributor | null;
  /** Bytes of arrays that belong to steps. */
  readonly stepBytes: number;
}

export function planGraph(model: Model, options: PlanOptions): GraphPlan {
  const arena = new Arena(options.kernels);
  const tensors = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensor]));
  const chosen = chooseOutput(model, options.output);
  const nodes = fuseDense(neededNodes(model.graph.nodes, chosen.value), tensors, new Set([chosen.value]));
  const values = new Map<string, Value | null>();
  const infos = model.graph.inputs.filter(({ name }) => !tensors.has(name));
  const fixedRows = fixedRowsOf(infos);
  const inputs = infos.map((info) => {
    const value = planInput(arena, info, fixedRows, options.dimensions);
    values.set(info.name, value);
    return value;
  });
  const used = new Set(nodes.flatMap((node) => node.inputs).concat(chosen.value));
  for (const tensor of tensors.values()) if (used.has(tensor.name)) values.set(tensor.name, planTensor(arena, tensor));
  const live = new Set<Value>(inputs);
  const steps: Step[] = [];
  let stepBytes = 0;
  const contributors: { node: Node; contributor: Contributor }[] = [];
  for (const node of nodes) {
    const planner = plannerOf(node);
    const context = new NodeContext(
      node,
      model,
      arena,
      node.inputs.map((name) => (name === "" ? null : (values.get(name) ?? null))),
    );
    if (planner === null) throw context.unsupported("the operator is not known");
    context.refuseUnreadable();
    const planned = planner(context);
    planned.outputs.forEach((value, index) => values.set(node.outputs[index] ?? "", value));
    stepBytes += planned.bytes ?? 0;
    if (planned.contributor !== undefined) contributors.push({ node, contributor: planned.contributor });
    if (planned.outputs.every((value) => value?.constant === true)) planned.step.run(1);
    else {
      steps.push(planned.step);
      for (const value of [...context.inputs, ...planned.outputs, ...(planned.extraValues ?? [])])
        if (value !== null) live.add(value);
    }
  }
  const output = values.get(chosen.value);
  if (!output) throw new UnsupportedOperator("the output", chosen.name, "it holds labels, not scores");
  live.add(output);
  arena.seal(live);
  const [only, second] = contributors;
  const explained = only !== undefined && second === undefined && readsInput(only.node, nodes, infos);
  return {
    arena,
    steps,
    inputs,
    output,
    outputName: chosen.name,
    fixedRows,
    contributor: explained ? only.contributor : null,
    stepBytes,
  };
}

interface ChosenOutput {
  readonly name: string;
  /** The value to compute: the output itself, or what a `ZipMap` would wrap. */
  readonly value: string;
}

function chooseOutput(model: Model, wanted: string | null): ChosenOutput {
  const zipped = new Map<string, string>();
  for (const node of model.graph.nodes)
    if (node.opType === "ZipMap" && node.domain === "ai.onnx.ml")
      zipped.set(node.outputs[0] ?? "", node.inputs[0] ?? "");
  const isFloat = ({ name, type }: ValueInfo): boolean =>
    zipped.has(name) ||
    type === null ||
    (type.kind === "tensor" && (type.elementType === "float32" || type.elementType === "float64"));
  const found = model.graph.outputs.find((info) => (wanted === null ? isFloat(info) : info.name === wanted));
  if (found === undefined)
    throw new UnsupportedOperator(
      "the output",
      wanted ?? "",
      wanted === null ? "the graph has no output of floats" : "the graph has no output of this name",
    );
  return { name: found.name, value: zipped.get(found.name) ?? found.name };
}

/** The nodes that a value depends on, in their order. Labels and other outputs cost nothing. */
function neededNodes(nodes: readonly Node[], value: string): Node[] {
  const needed = new Set([value]);
  const kept: Node[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const input of node.inputs) needed.add(input);
  }
  return kept.toReversed();
}

/** The common fixed size of the inputs' first axis; 0 where it is free. */
function fixedRowsOf(infos: readonly ValueInfo[]): number {
  const sizes = new Set(
    infos.map(({ type }) => {
      const first = type?.kind === "tensor" ? type.shape?.[0] : undefined;
      // A size of 0 is how some exporters write "any".
      return typeof first === "number" ? first : 0;
    }),
  );
  const [size = 0, other] = sizes;
  if (other !== undefined)
    throw new UnsupportedOperator("the graph", "inputs", "some inputs have a free batch, others a fixed one");
  return size;
}

function planInput(arena: Arena, info: ValueInfo, fixedRows: number, sizes: Readonly<Record<string, number>>): Value {
  const refuse = (reason: string): UnsupportedOperator => new UnsupportedOperator("the input", info.name, reason);
  if (info.type?.kind !== "tensor") throw refuse("it is no tensor");
  const type = numericType(info.type.elementType);
  if (type === null) throw refuse(`its elements are of type ${info.type.elementType}`);
  if (info.type.shape === null || info.type.shape.length === 0) throw refuse("the file does not state its shape");
  const dims: Dims = info.type.shape.map((dim, axis) => {
    if (axis === 0) return fixedRows === 0 ? -1 : fixedRows;
    const size = typeof dim === "string" && Object.hasOwn(sizes, dim) ? sizes[dim] : dim;
    if (typeof size !== "number" || size < 1 || !Number.isInteger(size))
      throw refuse(`axis ${axis} is free (${String(dim)}); export it fixed, or give its size`);
    return size;
  });
  return arena.scratch(info.name, type, dims);
}

/** null for a constant of strings or another type that no arithmetic reads; a node that does read it refuses. */
function planTensor(arena: Arena, tensor: Tensor): Value | null {
  const type = numericType(tensor.type);
  const data = ArrayBuffer.isView(tensor.data) ? toNumericArray(tensor.type, tensor.data) : null;
  return type === null || data === null ? null : arena.constant(tensor.name, type, tensor.dims, data);
}

/** Operators between the input and a tree ensemble that leave each column its own. */
const COLUMNWISE: ReadonlySet<string> = new Set(["Identity", "Cast", "Scaler", "Imputer", "Dropout"]);

/** Whether the columns that a node reads are the columns of the graph's only input. */
function readsInput(node: Node, nodes: readonly Node[], infos: readonly ValueInfo[]): boolean {
  const [info, other] = infos;
  if (info === undefined || other !== undefined) return false;
  let name = node.inputs[0];
  while (name !== info.name) {
    const maker = nodes.find((candidate) => candidate.outputs.includes(name ?? ""));
    if (maker === undefined || !COLUMNWISE.has(maker.opType)) return false;
    [name] = maker.inputs;
  }
  return true;
}

/** Numbers of one row over all inputs. */
export function rowWidthOf(plan: GraphPlan): number {
  return plan.inputs.reduce((sum, input) => sum + sizeOf(input.dims, 1) / Math.max(1, plan.fixedRows), 0);
}

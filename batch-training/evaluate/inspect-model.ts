/** What a model file is: its parts, the engine that will serve it and why, and what it costs to keep loaded. */
import { MAX_ORT_SESSION_BYTES, ortSessionBytes } from "../../models/engine/ort-memory.ts";
import { UnsupportedOperator } from "../../models/engine/unsupported-operator.ts";
import type { Model, ValueInfo, ValueType } from "../../models/onnx/model.ts";
import { readModel } from "../../models/onnx/read-model.ts";
import { chooseEngine, type EngineChoice } from "../publish/choose-engine.ts";
import { loadCompact } from "./load-session.ts";

export interface ModelInspection {
  readonly fileBytes: number;
  readonly producer: string;
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  readonly inputs: readonly { readonly name: string; readonly type: string }[];
  readonly outputs: readonly { readonly name: string; readonly type: string }[];
  readonly operators: readonly { readonly name: string; readonly count: number; readonly detail: string }[];
  readonly parameters: number;
  readonly choice: EngineChoice;
  readonly memory: {
    /** null where the engine does not run the model. */
    readonly compactBytes: number | null;
    /** An estimate, charged by the ORT Worker; null where the model is too large for it. */
    readonly ortBytes: number | null;
  };
  /** Exact attributions on the compact engine. */
  readonly explainable: boolean;
}

/** @throws OnnxError for a file that is no model */
export async function inspectModel(bytes: Uint8Array): Promise<ModelInspection> {
  const model = readModel(bytes);
  const { graph } = model;
  const initializers = new Set(graph.initializers.map((tensor) => tensor.name));
  const compact = tryCompact(bytes);
  const ortBytes = ortSessionBytes(bytes);
  return {
    fileBytes: bytes.length,
    producer: [model.producerName || "unknown", model.producerVersion].join(" ").trim(),
    irVersion: model.irVersion,
    opsets: Object.fromEntries([...model.opsetImports].map(([domain, version]) => [domain || "ai.onnx", version])),
    inputs: graph.inputs.filter((input) => !initializers.has(input.name)).map(describeValue),
    outputs: graph.outputs.map(describeValue),
    operators: operatorsOf(model),
    parameters: graph.initializers.reduce((sum, tensor) => sum + tensor.data.length, 0),
    choice: await chooseEngine(bytes),
    memory: { compactBytes: compact?.bytes ?? null, ortBytes: ortBytes > MAX_ORT_SESSION_BYTES ? null : ortBytes },
    explainable: compact?.explainable ?? false,
  };
}

/** Lines for a person. */
export function describeInspection(inspection: ModelInspection): string[] {
  const { choice, memory } = inspection;
  const opsets = Object.entries(inspection.opsets).map(([domain, version]) => `${domain} ${version}`);
  const operators = inspection.operators.map(
    ({ name, count, detail }) => `${name}${count > 1 ? ` ×${count}` : ""}${detail && ` (${detail})`}`,
  );
  const lines: [string, string][] = [
    ["file", `${formatBytes(inspection.fileBytes)}, ${inspection.parameters} stored weights`],
    ["producer", `${inspection.producer}; IR ${inspection.irVersion}; ${opsets.join(", ")}`],
    ...inspection.inputs.map(({ name, type }): [string, string] => ["input", `${name}: ${type}`]),
    ...inspection.outputs.map(({ name, type }): [string, string] => ["output", `${name}: ${type}`]),
    ["operators", operators.join(", ") || "none"],
    ["engine", choice.ok ? `${choice.engine}: ${choice.reason}` : `none: ${choice.reason}`],
    [
      "memory",
      `compact ${memory.compactBytes === null ? "does not run it" : formatBytes(memory.compactBytes)}, ` +
        `ONNX Runtime ${memory.ortBytes === null ? "too large for its Worker" : `about ${formatBytes(memory.ortBytes)}`}`,
    ],
    ["explains", explanationOf(inspection)],
  ];
  return lines.map(([label, text]) => `${label.padEnd(10)} ${text}`);
}

function explanationOf({ explainable, memory, operators }: ModelInspection): string {
  if (explainable) return "exactly (TreeSHAP)";
  const trees = operators.some(({ name }) => name.startsWith("TreeEnsemble"));
  if (!trees || memory.compactBytes === null) return "no exact attribution";
  return "no exact attribution: the file carries no covers for its trees (models trained here do)";
}

function tryCompact(bytes: Uint8Array): { bytes: number; explainable: boolean } | null {
  try {
    const session = loadCompact(bytes);
    return { bytes: session.bytes, explainable: session.explain !== null };
  } catch (error) {
    if (error instanceof UnsupportedOperator) return null;
    throw error;
  }
}

function operatorsOf(model: Model): { name: string; count: number; detail: string }[] {
  const found = new Map<string, { name: string; count: number; trees: number; nodes: number }>();
  for (const node of model.graph.nodes) {
    const name = node.domain === "" || node.domain === "ai.onnx.ml" ? node.opType : `${node.domain}.${node.opType}`;
    const entry = found.get(name) ?? { name, count: 0, trees: 0, nodes: 0 };
    entry.count++;
    const ids = node.attributes.get("nodes_treeids");
    const roots = node.attributes.get("tree_roots");
    if (ids?.type === "ints") {
      entry.trees += new Set(ids.value).size;
      entry.nodes += ids.value.length;
    } else if (roots?.type === "ints") entry.trees += roots.value.length;
    found.set(name, entry);
  }
  return [...found.values()].map(({ name, count, trees, nodes }) => {
    const detail = [trees && `${trees} trees`, nodes && `${nodes} nodes`].filter(Boolean).join(", ");
    return { name, count, detail };
  });
}

function describeValue(value: ValueInfo): { name: string; type: string } {
  return { name: value.name, type: value.type ? describeType(value.type) : "unstated" };
}

function describeType(type: ValueType): string {
  if (type.kind === "map") return `map(${type.key}, ${describeType(type.value)})`;
  if ("element" in type) return `${type.kind}(${describeType(type.element)})`;
  const sparse = type.kind === "sparse" ? "sparse " : "";
  return `${sparse}${type.elementType} [${type.shape ? type.shape.map((size) => size ?? "?").join(", ") : "any rank"}]`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(2)} MB`;
}

import { OnnxError } from "./error.ts";
import type { Graph, Model, Node } from "./model.ts";

/**
 * Highest versions whose meaning this code was written against (ONNX 1.19). A newer set may give an old operator name a
 * new meaning, so it is refused rather than guessed. Domains that are not listed are left to the engine that knows them.
 */
const KNOWN_OPSETS: Readonly<Record<string, number>> = { "": 25, "ai.onnx.ml": 5, "ai.onnx.training": 1 };

const MAX_IR_VERSION = 13;

/**
 * Structure that every consumer may rely on: known operator sets, every value made once and before its use (so no
 * cycles), every output made by something. @throws OnnxError
 */
export function checkModel(model: Model): void {
  if (model.irVersion < 1 || model.irVersion > MAX_IR_VERSION)
    throw new OnnxError("unknown-opset", `IR version ${model.irVersion}; known are 1 to ${MAX_IR_VERSION}`);
  if (model.opsetImports.size === 0) throw new OnnxError("unknown-opset", "the model imports no operator set");
  for (const [domain, version] of model.opsetImports) {
    const known = Object.hasOwn(KNOWN_OPSETS, domain) ? KNOWN_OPSETS[domain] : undefined;
    if (version < 1 || (known !== undefined && version > known))
      throw new OnnxError(
        "unknown-opset",
        `operator set "${domain === "" ? "ai.onnx" : domain}" version ${version}; known are 1 to ${known ?? "any"}`,
      );
  }
  checkGraph(model.graph, { has: () => false }, model);
}

/** Names that are known at some point of a graph; an inner graph sees its own and all outer ones. */
interface Scope {
  has(name: string): boolean;
}

function checkGraph(graph: Graph, outer: Scope, model: Model): void {
  const own = new Set<string>();
  const defined: Scope = { has: (name) => own.has(name) || outer.has(name) };
  for (const input of graph.inputs) {
    if (input.name === "" || own.has(input.name)) throw doubled("input", input.name);
    own.add(input.name);
  }
  const constants = new Set<string>();
  for (const tensor of graph.initializers) {
    // An initializer may stand behind an input of the same name as its default.
    if (tensor.name === "" || constants.has(tensor.name)) throw doubled("initializer", tensor.name);
    constants.add(tensor.name);
    own.add(tensor.name);
  }
  for (const node of graph.nodes) {
    checkNode(node, defined, model);
    for (const subgraph of subgraphs(node)) checkGraph(subgraph, defined, model);
    for (const output of node.outputs) {
      if (output === "") continue;
      if (own.has(output)) throw doubled("value", output);
      own.add(output);
    }
  }
  for (const output of graph.outputs)
    if (!defined.has(output.name))
      throw new OnnxError("bad-graph", `output "${output.name}" is made by no node, input or initializer`);
}

function checkNode(node: Node, defined: Scope, model: Model): void {
  if (node.opType === "") throw new OnnxError("bad-graph", `node "${node.name}" names no operator`);
  if (!model.opsetImports.has(node.domain))
    throw new OnnxError(
      "unknown-opset",
      `node "${node.name}" (${node.opType}) is of operator set "${node.domain}", which the model does not import`,
    );
  for (const input of node.inputs)
    if (input !== "" && !defined.has(input))
      throw new OnnxError(
        "bad-graph",
        `node "${node.name}" (${node.opType}) uses "${input}", which nothing before it makes (a cycle or a missing value)`,
      );
}

function* subgraphs(node: Node): Generator<Graph> {
  for (const attribute of node.attributes.values()) {
    if (attribute.type === "graph") yield attribute.value;
    else if (attribute.type === "graphs") yield* attribute.value;
  }
}

function doubled(kind: string, name: string): OnnxError {
  return new OnnxError("bad-graph", name === "" ? `an ${kind} has no name` : `${kind} "${name}" is defined twice`);
}

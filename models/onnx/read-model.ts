/**
 * Reads an ONNX file. Bounded: memory and time follow the bytes that are present, never what they claim; every refusal
 * is an `OnnxError` that names what is wrong. Fields that no part of Edgewise uses are skipped.
 */
import { checkModel } from "./check-model.ts";
import { OnnxError } from "./error.ts";
import type { Attribute, Graph, Model, ModelFunction, Node, Tensor, ValueInfo } from "./model.ts";
import { readTensor } from "./read-tensor.ts";
import { readValueInfo, readValueType } from "./read-value-type.ts";
import { ByteList, DEFAULT_READ_LIMITS, IntList, type ReadLimits, WireReader } from "./wire-reader.ts";

/**
 * @param bytes a whole `.onnx` file; the result keeps no reference to it
 * @throws OnnxError on anything but a well-formed, self-contained model of known operator sets
 */
export function readModel(bytes: Uint8Array, limits: Partial<ReadLimits> = {}): Model {
  const reader = new WireReader(bytes, { ...DEFAULT_READ_LIMITS, ...limits });
  const end = bytes.length;
  const opsetImports = new Map<string, number>();
  const metadata = new Map<string, string>();
  const functions: ModelFunction[] = [];
  let graph: Graph | null = null;
  let irVersion = 0;
  let producerName = "";
  let producerVersion = "";
  let domain = "";
  let modelVersion = 0;
  let docString = "";
  while (reader.next(end)) {
    if (reader.field === 1) irVersion = reader.int(end);
    else if (reader.field === 2) producerName = reader.string(end);
    else if (reader.field === 3) producerVersion = reader.string(end);
    else if (reader.field === 4) domain = reader.string(end);
    else if (reader.field === 5) modelVersion = reader.int(end);
    else if (reader.field === 6) docString = reader.string(end);
    else if (reader.field === 7) {
      if (graph !== null) throw new OnnxError("malformed", "the file holds two graphs");
      graph = readGraph(reader, reader.message(end), 1);
    } else if (reader.field === 8) readOpset(reader, reader.message(end), opsetImports);
    else if (reader.field === 14) readMetadata(reader, reader.message(end), metadata);
    else if (reader.field === 25) functions.push(readFunction(reader, reader.message(end)));
    else reader.skip(end);
  }
  if (graph === null) throw new OnnxError("bad-graph", "the file holds no graph: it is not an ONNX model");
  const model: Model = {
    irVersion,
    producerName,
    producerVersion,
    domain,
    modelVersion,
    docString,
    opsetImports,
    graph,
    metadata,
    functions,
  };
  checkModel(model);
  return model;
}

function readOpset(reader: WireReader, end: number, into: Map<string, number>): void {
  let domain = "";
  let version = 0;
  while (reader.next(end)) {
    if (reader.field === 1) domain = standardDomain(reader.string(end));
    else if (reader.field === 2) version = reader.int(end);
    else reader.skip(end);
  }
  const known = into.get(domain);
  if (known !== undefined && known !== version)
    throw new OnnxError("bad-graph", `operator set "${domain}" is imported as version ${known} and as ${version}`);
  into.set(domain, version);
}

/** "ai.onnx" is another spelling of the standard domain. */
function standardDomain(domain: string): string {
  return domain === "ai.onnx" ? "" : domain;
}

function readMetadata(reader: WireReader, end: number, into: Map<string, string>): void {
  let key = "";
  let value = "";
  while (reader.next(end)) {
    if (reader.field === 1) key = reader.string(end);
    else if (reader.field === 2) value = reader.string(end);
    else reader.skip(end);
  }
  into.set(key, value);
}

function readFunction(reader: WireReader, end: number): ModelFunction {
  const bytes = reader.bytes.slice(reader.position, end);
  let name = "";
  let domain = "";
  while (reader.next(end)) {
    if (reader.field === 1) name = reader.string(end);
    else if (reader.field === 10) domain = standardDomain(reader.string(end));
    else reader.skip(end);
  }
  return { domain, name, bytes };
}

function readGraph(reader: WireReader, end: number, depth: number): Graph {
  if (depth > reader.limits.depth)
    throw new OnnxError("too-large", `graphs are nested deeper than ${reader.limits.depth}`);
  const nodes: Node[] = [];
  const initializers: Tensor[] = [];
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const valueInfos: ValueInfo[] = [];
  let name = "";
  while (reader.next(end)) {
    if (reader.field === 1) nodes.push(readNode(reader, reader.message(end), depth));
    else if (reader.field === 2) name = reader.string(end);
    else if (reader.field === 5) initializers.push(readTensor(reader, reader.message(end), "an initializer"));
    else if (reader.field === 11) inputs.push(readValueInfo(reader, reader.message(end)));
    else if (reader.field === 12) outputs.push(readValueInfo(reader, reader.message(end)));
    else if (reader.field === 13) valueInfos.push(readValueInfo(reader, reader.message(end)));
    else if (reader.field === 15) throw new OnnxError("unsupported", "sparse initializers; store them dense");
    else reader.skip(end);
  }
  return { name, nodes, inputs, outputs, initializers, valueInfos };
}

function readNode(reader: WireReader, end: number, depth: number): Node {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes = new Map<string, Attribute>();
  let name = "";
  let opType = "";
  let domain = "";
  while (reader.next(end)) {
    if (reader.field === 1) inputs.push(reader.listed(end));
    else if (reader.field === 2) outputs.push(reader.listed(end));
    else if (reader.field === 3) name = reader.string(end);
    else if (reader.field === 4) opType = reader.string(end);
    else if (reader.field === 5) readAttribute(reader, reader.message(end), depth, attributes);
    else if (reader.field === 7) domain = standardDomain(reader.string(end));
    else reader.skip(end);
  }
  return { opType, domain, name, inputs, outputs, attributes };
}

/** AttributeProto.AttributeType by its number. */
const ATTRIBUTE_TYPES: Readonly<Record<number, Attribute["type"]>> = {
  1: "float",
  2: "int",
  3: "string",
  4: "tensor",
  5: "graph",
  6: "floats",
  7: "ints",
  8: "strings",
  9: "tensors",
  10: "graphs",
  13: "valueType",
};

/** What the fields of an AttributeProto held; its type says which of them counts. */
interface RawAttribute {
  name: string;
  code: number;
  /** Type of the value field seen last, for files of IR version 1, which state none. */
  seen: Attribute["type"] | null;
  float: number;
  int: number;
  string: string;
  valueType: ValueInfo["type"];
  readonly tensors: Tensor[];
  readonly graphs: Graph[];
  readonly floats: ByteList;
  readonly ints: IntList;
  readonly strings: string[];
}

function readAttribute(reader: WireReader, end: number, depth: number, into: Map<string, Attribute>): void {
  const raw: RawAttribute = {
    name: "",
    code: 0,
    seen: null,
    float: 0,
    int: 0,
    string: "",
    valueType: null,
    tensors: [],
    graphs: [],
    floats: new ByteList(),
    ints: new IntList(),
    strings: [],
  };
  while (reader.next(end)) readAttributeField(reader, end, depth, raw);
  const where = `attribute "${raw.name}"`;
  const type = raw.code === 0 ? raw.seen : (ATTRIBUTE_TYPES[raw.code] ?? null);
  if (type === null) throw new OnnxError("unsupported", `${where}: attribute type ${raw.code}`);
  if (raw.name === "" || into.has(raw.name)) throw new OnnxError("bad-graph", `${where} is unnamed or given twice`);
  into.set(raw.name, { type, value: VALUE_OF[type](raw, where) } as Attribute);
}

function readAttributeField(reader: WireReader, end: number, depth: number, raw: RawAttribute): void {
  const { field } = reader;
  if (field === 1) raw.name = reader.string(end);
  else if (field === 2) [raw.float, raw.seen] = [reader.float(end), "float"];
  else if (field === 3) [raw.int, raw.seen] = [reader.int(end), "int"];
  else if (field === 4) [raw.string, raw.seen] = [reader.string(end), "string"];
  else if (field === 5 || field === 10) {
    raw.tensors.push(readTensor(reader, reader.message(end), `attribute "${raw.name}"`));
    raw.seen = field === 5 ? "tensor" : "tensors";
  } else if (field === 6 || field === 11) {
    raw.graphs.push(readGraph(reader, reader.message(end), depth + 1));
    raw.seen = field === 6 ? "graph" : "graphs";
  } else if (field === 7) {
    reader.fixed(end, 4, raw.floats);
    raw.seen = "floats";
  } else if (field === 8) {
    reader.ints(end, raw.ints);
    raw.seen = "ints";
  } else if (field === 9) {
    reader.listedRun(end, raw.strings);
    raw.seen = "strings";
  } else if (field === 14) raw.valueType = readValueType(reader, reader.message(end), 1);
  else if (field === 20) raw.code = reader.int(end);
  else if (field === 21) throw new OnnxError("unsupported", `attribute "${raw.name}" refers to a function's attribute`);
  else reader.skip(end);
}

/** The attribute's value by its type, from whatever fields the message held. */
const VALUE_OF: {
  readonly [T in Attribute["type"]]: (raw: RawAttribute, where: string) => Extract<Attribute, { type: T }>["value"];
} = {
  float: (raw) => raw.float,
  int: (raw) => raw.int,
  string: (raw) => raw.string,
  tensor: (raw, where) => only(raw.tensors, where),
  graph: (raw, where) => only(raw.graphs, where),
  floats: (raw) => new Float32Array(raw.floats.take()),
  ints: (raw) => raw.ints.take(),
  strings: (raw) => raw.strings,
  tensors: (raw) => raw.tensors,
  graphs: (raw) => raw.graphs,
  valueType: (raw, where) => only(raw.valueType === null ? [] : [raw.valueType], where),
};

function only<T>(values: readonly T[], where: string): T {
  const [value] = values;
  if (value === undefined || values.length > 1)
    throw new OnnxError("bad-graph", `${where} has ${values.length} values; its type asks for one`);
  return value;
}

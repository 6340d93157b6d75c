import { checkModel } from "./check-model.ts";
import { OnnxError } from "./error.ts";
import {
  type Attribute,
  ELEMENT_TYPES,
  type ElementType,
  type Graph,
  type Model,
  type Node,
  type Tensor,
  type ValueInfo,
  type ValueType,
} from "./model.ts";
import { WireWriter } from "./wire-writer.ts";

/**
 * The model as an `.onnx` file: the same model gives the same bytes (fields by number, maps in their insertion order,
 * tensors as raw little-endian data, numbers packed).
 * @throws OnnxError where the graph is not well formed, so that nothing unreadable is published
 */
export function writeModel(model: Model): Uint8Array {
  checkModel(model);
  const writer = new WireWriter();
  writer.int(1, model.irVersion);
  text(writer, 2, model.producerName);
  text(writer, 3, model.producerVersion);
  text(writer, 4, model.domain);
  if (model.modelVersion !== 0) writer.int(5, model.modelVersion);
  text(writer, 6, model.docString);
  writer.message(7, () => writeGraph(writer, model.graph));
  for (const [domain, version] of model.opsetImports)
    writer.message(8, () => {
      text(writer, 1, domain);
      writer.int(2, version);
    });
  for (const [key, value] of model.metadata)
    writer.message(14, () => {
      writer.string(1, key);
      writer.string(2, value);
    });
  for (const definition of model.functions) writer.bytes(25, definition.bytes);
  return writer.take();
}

function text(writer: WireWriter, field: number, value: string): void {
  if (value !== "") writer.string(field, value);
}

function writeGraph(writer: WireWriter, graph: Graph): void {
  for (const node of graph.nodes) writer.message(1, () => writeNode(writer, node));
  writer.string(2, graph.name);
  for (const tensor of graph.initializers) writer.message(5, () => writeTensor(writer, tensor));
  for (const info of graph.inputs) writer.message(11, () => writeValueInfo(writer, info));
  for (const info of graph.outputs) writer.message(12, () => writeValueInfo(writer, info));
  for (const info of graph.valueInfos) writer.message(13, () => writeValueInfo(writer, info));
}

function writeNode(writer: WireWriter, node: Node): void {
  for (const input of node.inputs) writer.string(1, input);
  for (const output of node.outputs) writer.string(2, output);
  text(writer, 3, node.name);
  writer.string(4, node.opType);
  for (const [name, attribute] of node.attributes) writer.message(5, () => writeAttribute(writer, name, attribute));
  text(writer, 7, node.domain);
}

/** AttributeProto.AttributeType. */
const ATTRIBUTE_CODES: Readonly<Record<Attribute["type"], number>> = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
  tensors: 9,
  graphs: 10,
  valueType: 13,
};

function writeAttribute(writer: WireWriter, name: string, attribute: Attribute): void {
  writer.string(1, name);
  writeAttributeValue(writer, attribute);
  writer.int(20, ATTRIBUTE_CODES[attribute.type]);
}

function writeAttributeValue(writer: WireWriter, attribute: Attribute): void {
  switch (attribute.type) {
    case "float":
      return writer.float(2, attribute.value);
    case "int":
      return writer.int(3, attribute.value);
    case "string":
      return writer.string(4, attribute.value);
    case "tensor":
      return writer.message(5, () => writeTensor(writer, attribute.value));
    case "graph":
      return writer.message(6, () => writeGraph(writer, attribute.value));
    case "floats":
      return writer.packedFloats(7, attribute.value);
    case "ints":
      return writer.packedInts(8, attribute.value);
    case "strings":
      for (const value of attribute.value) writer.string(9, value);
      return;
    case "tensors":
      for (const value of attribute.value) writer.message(10, () => writeTensor(writer, value));
      return;
    case "graphs":
      for (const value of attribute.value) writer.message(11, () => writeGraph(writer, value));
      return;
    case "valueType":
      return writer.message(14, () => writeValueType(writer, attribute.value));
  }
}

const TYPE_CODES = new Map<ElementType, number>(
  Object.entries(ELEMENT_TYPES).map(([code, type]) => [type, Number(code)]),
);

function typeCode(type: ElementType): number {
  const code = TYPE_CODES.get(type);
  if (code === undefined) throw new OnnxError("unsupported", `element type ${type}`);
  return code;
}

function writeTensor(writer: WireWriter, tensor: Tensor): void {
  writer.packedInts(1, tensor.dims);
  writer.int(2, typeCode(tensor.type));
  const { data } = tensor;
  if (!ArrayBuffer.isView(data)) for (const value of data) writer.string(6, value);
  text(writer, 8, tensor.name);
  // Every platform that runs JavaScript today is little-endian, as raw_data must be.
  if (ArrayBuffer.isView(data)) writer.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

function writeValueInfo(writer: WireWriter, info: ValueInfo): void {
  const { type } = info;
  writer.string(1, info.name);
  if (type !== null) writer.message(2, () => writeValueType(writer, type));
}

function writeValueType(writer: WireWriter, type: ValueType): void {
  switch (type.kind) {
    case "tensor":
    case "sparse":
      return writer.message(type.kind === "tensor" ? 1 : 8, () => {
        writer.int(1, typeCode(type.elementType));
        const { shape } = type;
        if (shape !== null) writer.message(2, () => shape.forEach((dim) => writeDimension(writer, dim)));
      });
    case "sequence":
    case "optional":
      return writer.message(type.kind === "sequence" ? 4 : 9, () =>
        writer.message(1, () => writeValueType(writer, type.element)),
      );
    case "map":
      return writer.message(5, () => {
        writer.int(1, typeCode(type.key));
        writer.message(2, () => writeValueType(writer, type.value));
      });
  }
}

function writeDimension(writer: WireWriter, dimension: number | string | null): void {
  writer.message(1, () => {
    if (typeof dimension === "number") writer.int(1, dimension);
    else if (dimension !== null) writer.string(2, dimension);
  });
}

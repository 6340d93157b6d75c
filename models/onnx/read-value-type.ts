import { OnnxError } from "./error.ts";
import type { Dimension, ElementType, ValueInfo, ValueType } from "./model.ts";
import { elementType } from "./read-tensor.ts";
import type { WireReader } from "./wire-reader.ts";

/** Sequences of maps are the deepest types that exporters write. */
const MAX_TYPE_DEPTH = 8;

export function readValueInfo(reader: WireReader, end: number): ValueInfo {
  let name = "";
  let type: ValueType | null = null;
  while (reader.next(end)) {
    if (reader.field === 1) name = reader.string(end);
    else if (reader.field === 2) type = readValueType(reader, reader.message(end), 1);
    else reader.skip(end);
  }
  return { name, type };
}

/** null for an empty TypeProto, which exporters write for values that they know nothing of. */
export function readValueType(reader: WireReader, end: number, depth: number): ValueType | null {
  if (depth > MAX_TYPE_DEPTH) throw new OnnxError("too-large", `types are nested deeper than ${MAX_TYPE_DEPTH}`);
  let type: ValueType | null = null;
  while (reader.next(end)) {
    const { field } = reader;
    if (field === 1 || field === 8)
      type = readTensorType(reader, reader.message(end), field === 1 ? "tensor" : "sparse");
    else if (field === 4 || field === 9) {
      const element = readElement(reader, reader.message(end), depth);
      type = element === null ? null : { kind: field === 4 ? "sequence" : "optional", element };
    } else if (field === 5) type = readMapType(reader, reader.message(end), depth);
    else reader.skip(end);
  }
  return type;
}

function readTensorType(reader: WireReader, end: number, kind: "tensor" | "sparse"): ValueType | null {
  let code = 0;
  let shape: Dimension[] | null = null;
  while (reader.next(end)) {
    if (reader.field === 1) code = reader.int(end);
    else if (reader.field === 2) shape = readShape(reader, reader.message(end));
    else reader.skip(end);
  }
  return code === 0 ? null : { kind, elementType: elementType(code, "a value"), shape };
}

function readShape(reader: WireReader, end: number): Dimension[] {
  const shape: Dimension[] = [];
  while (reader.next(end)) {
    if (reader.field === 1) shape.push(readDimension(reader, reader.message(end)));
    else reader.skip(end);
  }
  return shape;
}

function readDimension(reader: WireReader, end: number): Dimension {
  let dimension: Dimension = null;
  while (reader.next(end)) {
    if (reader.field === 1) {
      const size = reader.int(end);
      // Exporters write -1, and older ones 0 beside a name, for "any".
      if (size < -1 || !Number.isSafeInteger(size)) throw new OnnxError("bad-tensor", `a shape has dimension ${size}`);
      dimension = size === -1 ? null : size;
    } else if (reader.field === 2) dimension = reader.string(end);
    else reader.skip(end);
  }
  return dimension === "" ? null : dimension;
}

function readElement(reader: WireReader, end: number, depth: number): ValueType | null {
  let element: ValueType | null = null;
  while (reader.next(end)) {
    if (reader.field === 1) element = readValueType(reader, reader.message(end), depth + 1);
    else reader.skip(end);
  }
  return element;
}

function readMapType(reader: WireReader, end: number, depth: number): ValueType | null {
  let key: ElementType | null = null;
  let value: ValueType | null = null;
  while (reader.next(end)) {
    if (reader.field === 1) key = elementType(reader.int(end), "a map's key");
    else if (reader.field === 2) value = readValueType(reader, reader.message(end), depth + 1);
    else reader.skip(end);
  }
  return key === null || value === null ? null : { kind: "map", key, value };
}

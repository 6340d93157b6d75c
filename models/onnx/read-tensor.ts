import { OnnxError } from "./error.ts";
import { ELEMENT_TYPES, type ElementType, type IntArray, type Tensor, type TensorData } from "./model.ts";
import { ByteList, IntList, type WireReader } from "./wire-reader.ts";

interface Storage {
  /** Bits of one element in raw_data; 0 for strings, which have no fixed size. */
  readonly bits: number;
  readonly array: new (buffer: ArrayBuffer) => Exclude<TensorData, readonly string[]>;
  /** The field that holds elements where raw_data is absent. */
  readonly field: "floats" | "doubles" | "longs" | "ints";
}

const byte: Storage = { bits: 8, array: Uint8Array, field: "ints" };
const half: Storage = { bits: 16, array: Uint16Array, field: "ints" };
const nibble: Storage = { bits: 4, array: Uint8Array, field: "ints" };
const pair: Storage = { bits: 2, array: Uint8Array, field: "ints" };

const STORAGE: Readonly<Record<ElementType, Storage>> = {
  float32: { bits: 32, array: Float32Array, field: "floats" },
  float64: { bits: 64, array: Float64Array, field: "doubles" },
  complex64: { bits: 64, array: Float32Array, field: "floats" },
  complex128: { bits: 128, array: Float64Array, field: "doubles" },
  int64: { bits: 64, array: BigInt64Array, field: "longs" },
  uint64: { bits: 64, array: BigUint64Array, field: "longs" },
  uint32: { bits: 32, array: Uint32Array, field: "longs" },
  int32: { bits: 32, array: Int32Array, field: "ints" },
  int16: { bits: 16, array: Int16Array, field: "ints" },
  int8: { bits: 8, array: Int8Array, field: "ints" },
  uint16: half,
  float16: half,
  bfloat16: half,
  uint8: byte,
  bool: byte,
  string: { ...byte, bits: 0 },
  float8e4m3fn: byte,
  float8e4m3fnuz: byte,
  float8e5m2: byte,
  float8e5m2fnuz: byte,
  float8e8m0: byte,
  uint4: nibble,
  int4: nibble,
  float4e2m1: nibble,
  uint2: pair,
  int2: pair,
};

/** Dimensions of one tensor; ONNX sets no bound, no exporter comes near it. */
const MAX_RANK = 32;

export function elementType(code: number, where: string): ElementType {
  const type = (ELEMENT_TYPES as Readonly<Record<number, ElementType>>)[code];
  if (type === undefined) throw new OnnxError("unsupported", `${where}: element type ${code} is not one of ONNX 1.19`);
  return type;
}

/** Elements in a tensor of these dimensions. @throws OnnxError for a negative dimension or more than 2^31 elements */
export function elementCount(dims: readonly number[], where: string): number {
  let count = 1;
  for (const dim of dims) {
    if (!Number.isSafeInteger(dim) || dim < 0) throw new OnnxError("bad-tensor", `${where}: dimension ${dim}`);
    // A zero elsewhere must not hide an absurd dimension.
    count *= dim;
    if (dim > 2_147_483_647 || count > 2_147_483_647)
      throw new OnnxError("bad-tensor", `${where}: dimensions [${dims.join(", ")}] hold more than 2^31 elements`);
  }
  return count;
}

/** The fields of a TensorProto as they come, before they are checked against each other. */
interface RawTensor {
  name: string;
  code: number;
  dims: IntList;
  raw: Uint8Array | null;
  readonly floats: ByteList;
  readonly doubles: ByteList;
  readonly ints: IntList;
  /** 64-bit integers, little-endian. */
  readonly longs: ByteList;
  readonly strings: string[];
}

export function readTensor(reader: WireReader, end: number, owner: string): Tensor {
  const fields: RawTensor = {
    name: "",
    code: 0,
    dims: new IntList(),
    raw: null,
    floats: new ByteList(),
    doubles: new ByteList(),
    ints: new IntList(),
    longs: new ByteList(),
    strings: [],
  };
  while (reader.next(end)) readField(reader, end, fields, owner);
  const where = fields.name === "" ? owner : `tensor "${fields.name}"`;
  const type = elementType(fields.code, where);
  if (fields.dims.length > MAX_RANK)
    throw new OnnxError("bad-tensor", `${where}: ${fields.dims.length} dimensions; the limit is ${MAX_RANK}`);
  const dims = Array.from(fields.dims.take());
  const count = elementCount(dims, where);
  const data = tensorData(fields, type, count, where);
  return { name: fields.name, type, dims, data };
}

function readField(reader: WireReader, end: number, fields: RawTensor, owner: string): void {
  switch (reader.field) {
    case 1:
      return reader.ints(end, fields.dims);
    case 2:
      fields.code = reader.int(end);
      return;
    case 4:
      return reader.fixed(end, 4, fields.floats);
    case 5:
      return reader.ints(end, fields.ints);
    case 6:
      reader.listedRun(end, fields.strings);
      return;
    case 7:
    case 11:
      return reader.longs(end, fields.longs);
    case 8:
      fields.name = reader.string(end);
      return;
    case 9: {
      const stop = reader.block(end);
      fields.raw = reader.bytes.subarray(reader.position, stop);
      reader.position = stop;
      return;
    }
    case 10:
      return reader.fixed(end, 8, fields.doubles);
    case 13:
      throw externalData(owner, fields.name);
    case 14:
      if (reader.int(end) !== 0) throw externalData(owner, fields.name);
      return;
    default:
      return reader.skip(end);
  }
}

function externalData(owner: string, name: string): OnnxError {
  return new OnnxError(
    "external-data",
    `${name === "" ? owner : `tensor "${name}"`}: its bytes are kept in another file; save the model with its data inside`,
  );
}

function tensorData(fields: RawTensor, type: ElementType, count: number, where: string): TensorData {
  if (type === "string") {
    fits(fields.strings.length, count, "strings", where);
    return fields.strings;
  }
  const { bits, array: ArrayOf, field } = STORAGE[type];
  if (fields.raw !== null) {
    const expected = Math.ceil((count * bits) / 8);
    if (fields.raw.length !== expected)
      throw new OnnxError(
        "bad-tensor",
        `${where}: ${count} elements of ${type} take ${expected} bytes, raw_data holds ${fields.raw.length}`,
      );
    return new ArrayOf(fields.raw.slice().buffer);
  }
  if (field === "ints") {
    // Elements below a byte come packed: one field entry per byte.
    fits(fields.ints.length, bits < 8 ? Math.ceil((count * bits) / 8) : count, "int32_data", where);
    return narrowed(ArrayOf, fields.ints.take());
  }
  const size = field === "floats" ? 4 : 8;
  const entries = bits <= 64 && type !== "complex64" ? count : count * 2;
  fits(fields[field].length / size, entries, field, where);
  const buffer = fields[field].take();
  return type === "uint32" ? Uint32Array.from(new BigUint64Array(buffer), Number) : new ArrayOf(buffer);
}

function fits(found: number, expected: number, field: string, where: string): void {
  if (found !== expected)
    throw new OnnxError("bad-tensor", `${where}: its dimensions ask for ${expected} elements, ${field} holds ${found}`);
}

function narrowed(ArrayOf: Storage["array"], values: IntArray): TensorData {
  const bytesPerElement = new ArrayOf(new ArrayBuffer(0)).BYTES_PER_ELEMENT;
  const result = new ArrayOf(new ArrayBuffer(values.length * bytesPerElement));
  for (let index = 0; index < values.length; index++) result[index] = values[index] ?? 0;
  return result;
}

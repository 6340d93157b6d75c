/**
 * Bytes of a stage's output: plain data (null, booleans, numbers, strings, arrays, objects) in which typed arrays may stand
 * anywhere. Layout: `EWV1`, length of the header (u32), header as canonical JSON, then every typed array at a multiple of
 * eight bytes, little-endian as on every machine Node runs on. The same value has the same bytes, so its SHA-256 names it.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../../models/contract/canonical-json.ts";

const MAGIC = "EWV1";
const ALIGNMENT = 8;
const HASH_BYTES = 32;
/** Non-finite numbers and arrays are written as objects with this one key, which no object of the value may have. */
const MARK = "$";

const ARRAYS = {
  f32: Float32Array,
  f64: Float64Array,
  i32: Int32Array,
  u32: Uint32Array,
  u16: Uint16Array,
  u8: Uint8Array,
} as const;
type ArrayName = keyof typeof ARRAYS;
type StoredArray = InstanceType<(typeof ARRAYS)[ArrayName]>;

/** A value as it lies in a file: parts to write one after the other, the SHA-256 of all before it last. */
export interface EncodedValue {
  readonly parts: readonly Uint8Array[];
  /** 64 hex digits. */
  readonly hash: string;
}

/** @throws TypeError for what is not plain data, naming where it is */
export function encodeValue(value: unknown): EncodedValue {
  const arrays: StoredArray[] = [];
  const tree = flatten(value, arrays, "value");
  const listed = arrays.map((array) => [nameOf(array), array.length]);
  const header = new TextEncoder().encode(canonicalJson({ arrays: listed, tree }));
  const start = new Uint8Array(8);
  start.set(new TextEncoder().encode(MAGIC));
  new DataView(start.buffer).setUint32(4, header.byteLength, true);
  const parts: Uint8Array[] = [start, header, padding(header.byteLength)];
  for (const array of arrays) {
    parts.push(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), padding(array.byteLength));
  }
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  const digest = hash.digest();
  return { parts: [...parts, digest], hash: digest.toString("hex") };
}

/** The value and its hash; null where the bytes are not what was written, whole and unchanged. Arrays are views into the bytes. */
export function decodeValue(bytes: Uint8Array): { readonly value: unknown; readonly hash: string } | null {
  const end = bytes.byteLength - HASH_BYTES;
  if (end < 8 || new TextDecoder().decode(bytes.subarray(0, 4)) !== MAGIC) return null;
  const digest = createHash("sha256").update(bytes.subarray(0, end)).digest();
  if (!digest.equals(bytes.subarray(end))) return null;
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset + 4, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes))) as {
    arrays: readonly [ArrayName, number][];
    tree: unknown;
  };
  // Views need their alignment in the buffer, wherever the file's bytes happen to begin.
  const aligned = bytes.byteOffset % ALIGNMENT === 0 ? bytes : bytes.slice();
  let offset = aligned.byteOffset + 8 + headerBytes + padding(headerBytes).byteLength;
  const arrays = header.arrays.map(([name, length]) => {
    const array = new ARRAYS[name](aligned.buffer as ArrayBuffer, offset, length);
    offset += array.byteLength + padding(array.byteLength).byteLength;
    return array;
  });
  return { value: unflatten(header.tree, arrays), hash: digest.toString("hex") };
}

/** SHA-256 of a value's bytes. */
export function hashOfValue(value: unknown): string {
  return encodeValue(value).hash;
}

function padding(length: number): Uint8Array {
  return new Uint8Array((ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT);
}

function nameOf(array: StoredArray): ArrayName {
  for (const [name, type] of Object.entries(ARRAYS)) if (array instanceof type) return name as ArrayName;
  throw new TypeError("this array type is not stored");
}

function isStoredArray(value: object): value is StoredArray {
  return Object.values(ARRAYS).some((type) => value instanceof type);
}

function flatten(value: unknown, arrays: StoredArray[], path: string): unknown {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") {
    if (Number.isFinite(value) && !Object.is(value, -0)) return value;
    return { [MARK]: Object.is(value, -0) ? "-0" : String(value) };
  }
  if (Array.isArray(value)) return value.map((item: unknown, index) => flatten(item, arrays, `${path}[${index}]`));
  if (typeof value === "object") {
    if (isStoredArray(value)) return { [MARK]: arrays.push(value) - 1 };
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) {
      throw new TypeError(`${path} is a ${value.constructor.name}; a stage's output is plain data and typed arrays`);
    }
    if (Object.hasOwn(value, MARK)) throw new TypeError(`${path} has a member named ${MARK}`);
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return Object.fromEntries(members.map(([key, member]) => [key, flatten(member, arrays, `${path}.${key}`)]));
  }
  throw new TypeError(`${path} is a ${typeof value}; a stage's output is plain data and typed arrays`);
}

function unflatten(tree: unknown, arrays: readonly StoredArray[]): unknown {
  if (Array.isArray(tree)) return tree.map((item) => unflatten(item, arrays));
  if (typeof tree !== "object" || tree === null) return tree;
  const mark = (tree as Record<string, unknown>)[MARK];
  if (typeof mark === "number") return arrays[mark];
  if (typeof mark === "string") return Number(mark);
  return Object.fromEntries(Object.entries(tree).map(([key, member]) => [key, unflatten(member, arrays)]));
}

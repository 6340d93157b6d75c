/**
 * Protobuf wire format over one buffer. Nothing here trusts a length: every read is checked against the end of the
 * message it belongs to, and arrays are allocated from bytes that are present, never from a claimed count.
 * Source: protobuf.dev "Encoding"; limits of varints as in the C++ reader (10 bytes).
 */
import { OnnxError } from "./error.ts";
import type { IntArray } from "./model.ts";
import { decodeUtf8 } from "./utf8.ts";

/** What one file may hold. The defaults fit an isolate of 128 MB; raise them where memory allows. */
export interface ReadLimits {
  /** Bytes of the file. */
  readonly bytes: number;
  /** Nodes, attributes, tensors, value infos, dimensions and metadata entries together: objects of about 100 bytes. */
  readonly messages: number;
  /** Elements of string lists (a tree ensemble has one mode per node). */
  readonly strings: number;
  /** Graphs within graphs. */
  readonly depth: number;
}

export const DEFAULT_READ_LIMITS: ReadLimits = { bytes: 128 << 20, messages: 262_144, strings: 4 << 20, depth: 16 };

const VARINT = 0;
const FIXED64 = 1;
const LENGTH = 2;
const FIXED32 = 5;

const SCRATCH_BYTES = new Uint8Array(8);
const SCRATCH = new DataView(SCRATCH_BYTES.buffer);

/** Blocks of packed numbers from this size on are counted before room is made for them. */
const COUNTED_BYTES = 1 << 20;

const TWO_32 = 4_294_967_296;

export class WireReader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly limits: ReadLimits;
  position = 0;
  /** Of the tag read last. */
  field = 0;
  wire = 0;
  /** High half of the varint read last: the sign of an int64. */
  #high = 0;
  #messages = 0;
  #strings = 0;
  /** Last string seen by length: lists of tree modes repeat a few strings a million times. */
  readonly #memo = new Map<number, { start: number; text: string }>();

  constructor(bytes: Uint8Array, limits: ReadLimits) {
    if (bytes.length > limits.bytes)
      throw new OnnxError("too-large", `the file has ${bytes.length} bytes; the limit is ${limits.bytes}`);
    // A view of its own: `slice` of Node's Buffer, which file readers give, would not copy.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.limits = limits;
  }

  /** Reads a tag; false at `end`. */
  next(end: number): boolean {
    if (this.position >= end) return false;
    const low = this.#varint(end);
    this.field = low >>> 3;
    this.wire = low & 7;
    if (this.#high !== 0 || this.field === 0)
      throw new OnnxError("malformed", `byte ${this.position}: invalid field tag`);
    return true;
  }

  /** An int64 as a number: exact to 2^53, the extremes of int64 kept as ±2^63. */
  int(end: number): number {
    this.#expect(VARINT);
    return this.#signed(end);
  }

  float(end: number): number {
    this.#expect(FIXED32);
    this.#need(4, end);
    const value = this.view.getFloat32(this.position, true);
    this.position += 4;
    return value;
  }

  /** The end of a length-delimited field that starts here. */
  block(end: number): number {
    this.#expect(LENGTH);
    const low = this.#varint(end);
    if (this.#high !== 0 || low > end - this.position)
      throw new OnnxError(
        "truncated",
        `byte ${this.position}: a field claims ${this.#high === 0 ? low : "over 2^32"} bytes, ${end - this.position} are left`,
      );
    return this.position + low;
  }

  /** As `block`, for an embedded message: counted against the limit on objects. */
  message(end: number): number {
    if (++this.#messages > this.limits.messages)
      throw new OnnxError("too-large", `more than ${this.limits.messages} nodes, attributes, tensors and names`);
    return this.block(end);
  }

  string(end: number): string {
    const stop = this.block(end);
    const start = this.position;
    this.position = stop;
    const known = this.#memo.get(stop - start);
    if (known !== undefined && this.#same(known.start, start, stop - start)) return known.text;
    const text = decodeUtf8(this.bytes, start, stop);
    if (stop - start <= 32) this.#memo.set(stop - start, { start, text });
    return text;
  }

  /** A string that is an element of a list. */
  listed(end: number): string {
    if (++this.#strings > this.limits.strings)
      throw new OnnxError("too-large", `more than ${this.limits.strings} strings in lists`);
    return this.string(end);
  }

  /**
   * A run of list elements under the tag just read, appended to `into`. Written as one loop: a tree ensemble has a mode
   * per node, and a fresh isolate reads them before anything is optimised.
   */
  listedRun(end: number, into: string[]): void {
    const { bytes } = this;
    const tag = (this.field << 3) | this.wire;
    for (;;) {
      into.push(this.listed(end));
      // Further elements of the same tag that repeat a string known by its length.
      for (;;) {
        const at = this.position;
        const length = bytes[at + 1] ?? 0;
        const known = length < 0x80 && at + 2 + length <= end && bytes[at] === tag ? this.#memo.get(length) : undefined;
        if (known === undefined || this.#strings >= this.limits.strings) break;
        let same = length - 1;
        while (same >= 0 && bytes[at + 2 + same] === bytes[known.start + same]) same--;
        if (same >= 0) break;
        into.push(known.text);
        this.#strings++;
        this.position = at + 2 + length;
      }
      if (this.position >= end || tag > 0x7f || bytes[this.position] !== tag) return;
      this.position++;
    }
  }

  skip(end: number): void {
    if (this.wire === VARINT) this.#varint(end);
    else if (this.wire === LENGTH) this.position = this.block(end);
    else {
      const size = this.wire === FIXED64 ? 8 : this.wire === FIXED32 ? 4 : 0;
      if (size === 0) throw new OnnxError("malformed", `byte ${this.position}: wire type ${this.wire}`);
      this.#need(size, end);
      this.position += size;
    }
  }

  /** Packed or single integers, appended to `into`. */
  ints(end: number, into: IntList): void {
    if (this.wire === VARINT) {
      into.push(this.#signed(end));
      return;
    }
    const stop = this.block(end);
    const { bytes } = this;
    let { position } = this;
    let room = into.room(this.#numbersIn(position, stop));
    let { length } = into;
    while (position < stop) {
      // Numbers of one and two bytes, the ids of trees and nodes, without a call.
      const first = bytes[position] ?? 0;
      if (first < 0x80) {
        room[length++] = first;
        position++;
        continue;
      }
      const second = position + 1 < stop ? (bytes[position + 1] ?? 0) : 0x80;
      if (second < 0x80) {
        room[length++] = (first & 0x7f) | (second << 7);
        position += 2;
        continue;
      }
      into.length = length;
      this.position = position;
      into.push(this.#signed(stop));
      ({ position } = this);
      ({ length } = into);
      room = into.room(0);
    }
    into.length = length;
    this.position = stop;
  }

  /** Room that the numbers of a block need: exact for large blocks, at most four times too much for small ones. */
  #numbersIn(start: number, stop: number): number {
    if (stop - start < COUNTED_BYTES) return stop - start;
    let count = 0;
    for (let index = start; index < stop; index++) if ((this.bytes[index] ?? 0) < 0x80) count++;
    return count;
  }

  /** Packed or single 64-bit integers, appended to `into` as 8 little-endian bytes each: exact beyond 2^53. */
  longs(end: number, into: ByteList): void {
    const stop = this.wire === VARINT ? this.position + 1 : this.block(end);
    while (this.position < stop) {
      const low = this.#varint(this.wire === VARINT ? end : stop);
      SCRATCH.setUint32(0, low, true);
      SCRATCH.setInt32(4, this.#high, true);
      into.push(SCRATCH_BYTES);
    }
  }

  /** Packed or single 4- or 8-byte scalars: their bytes, appended to `into`. */
  fixed(end: number, size: 4 | 8, into: ByteList): void {
    let stop = this.position + size;
    if (this.wire === (size === 4 ? FIXED32 : FIXED64)) this.#need(size, end);
    else stop = this.block(end);
    if ((stop - this.position) % size !== 0)
      throw new OnnxError(
        "malformed",
        `byte ${this.position}: packed numbers of ${size} bytes fill ${stop - this.position}`,
      );
    into.push(this.bytes.subarray(this.position, stop));
    this.position = stop;
  }

  #signed(end: number): number {
    const low = this.#varint(end);
    return this.#high === 0 ? low : this.#high * TWO_32 + low;
  }

  /** Low half of a varint, unsigned; the high half goes to `#high`, signed. */
  #varint(end: number): number {
    let low = 0;
    this.#high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.position >= end) throw new OnnxError("truncated", `byte ${this.position}: a number is cut off`);
      const byte = this.bytes[this.position++] ?? 0;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        this.#high = bits >> 4;
      } else if (shift < 63) this.#high |= bits << (shift - 32);
      else if (bits > 1) break;
      else this.#high |= bits << 31;
      if (byte < 0x80) return low >>> 0;
    }
    throw new OnnxError("malformed", `byte ${this.position}: a number is longer than 64 bits`);
  }

  #expect(wire: number): void {
    if (this.wire !== wire)
      throw new OnnxError(
        "malformed",
        `byte ${this.position}: field ${this.field} has wire type ${this.wire}, not ${wire}`,
      );
  }

  #need(size: number, end: number): void {
    if (end - this.position < size)
      throw new OnnxError("truncated", `byte ${this.position}: ${size} bytes are needed, ${end - this.position} left`);
  }

  #same(first: number, second: number, length: number): boolean {
    const { bytes } = this;
    for (let index = length - 1; index >= 0; index--) if (bytes[first + index] !== bytes[second + index]) return false;
    return true;
  }
}

/** A growing list of integers: 32 bits each until one does not fit. */
export class IntList {
  #values: IntArray = new Int32Array(0);
  length = 0;

  /**
   * The array with room for so many more, to be filled from `length` on. Exact for the first block, doubling after it:
   * many small blocks must not copy quadratically.
   */
  room(count: number): IntArray {
    const needed = this.length + count;
    if (needed > this.#values.length)
      this.#resize(
        this.length === 0 ? needed : Math.max(needed, this.#values.length * 2),
        this.#values instanceof Float64Array,
      );
    return this.#values;
  }

  push(value: number): void {
    if (this.length === this.#values.length)
      this.#resize(Math.max(8, this.length * 2), this.#values instanceof Float64Array);
    if (value !== (value | 0) && this.#values instanceof Int32Array) this.#resize(this.#values.length, true);
    this.#values[this.length++] = value;
  }

  /** The integers, in an array of their own. */
  take(): IntArray {
    return this.length === this.#values.length ? this.#values : this.#values.slice(0, this.length);
  }

  #resize(capacity: number, wide: boolean): void {
    const grown = wide ? new Float64Array(capacity) : new Int32Array(capacity);
    grown.set(this.#values.subarray(0, this.length));
    this.#values = grown;
  }
}

/** A growing list of bytes; a single appended block is kept as a view and copied once, on `take`. */
export class ByteList {
  #bytes = new Uint8Array(0);
  length = 0;

  push(block: Uint8Array): void {
    const needed = this.length + block.length;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(this.length === 0 ? needed : Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.length));
      this.#bytes = grown;
    }
    this.#bytes.set(block, this.length);
    this.length = needed;
  }

  /** A buffer of exactly the bytes appended, aligned for any element type. */
  take(): ArrayBuffer {
    return this.length === this.#bytes.length ? this.#bytes.buffer : this.#bytes.buffer.slice(0, this.length);
  }
}

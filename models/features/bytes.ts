/** Compact binary writing and reading: variable-length integers below 2^53, doubles, and numbers that are mostly integers. */
export class ByteWriter {
  private bytes: Uint8Array;
  private view: DataView;
  private length = 0;

  constructor(capacity = 1024) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** The bytes written so far, copied, so that the writer can be used again. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.length);
    this.length = 0;
    return taken;
  }

  get size(): number {
    return this.length;
  }

  byte(value: number): void {
    if (this.length + 1 > this.bytes.length) this.grow(1);
    this.bytes[this.length++] = value;
  }

  /** An integer 0 ≤ value < 2^53, seven bits a byte, lowest first. */
  varint(value: number): void {
    if (this.length + 8 > this.bytes.length) this.grow(8);
    const { bytes } = this;
    let at = this.length;
    let rest = value;
    if (value >= 0x1000_0000) {
      // Four bytes of 28 bits first, so that the rest fits the integer operations.
      rest = Math.floor(value / 0x1000_0000);
      const low = value - rest * 0x1000_0000;
      bytes[at] = (low & 0x7f) | 0x80;
      bytes[at + 1] = ((low >>> 7) & 0x7f) | 0x80;
      bytes[at + 2] = ((low >>> 14) & 0x7f) | 0x80;
      bytes[at + 3] = ((low >>> 21) & 0x7f) | 0x80;
      at += 4;
    }
    while (rest >= 0x80) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.length = at;
  }

  uint32(value: number): void {
    if (this.length + 4 > this.bytes.length) this.grow(4);
    this.view.setUint32(this.length, value, true);
    this.length += 4;
  }

  uint48(value: number): void {
    if (this.length + 6 > this.bytes.length) this.grow(6);
    const high = Math.floor(value / 0x1_0000_0000);
    this.view.setUint32(this.length, value - high * 0x1_0000_0000, true);
    this.view.setUint16(this.length + 4, high, true);
    this.length += 6;
  }

  double(value: number): void {
    if (this.length + 8 > this.bytes.length) this.grow(8);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }

  /** Any double: non-negative integers below 2^51 as a varint of twice the value, missing as 1, the rest as 3 and eight bytes. */
  number(value: number): void {
    if (value >= 0 && value < MAX_SHORT && Math.floor(value) === value && (value !== 0 || 1 / value > 0))
      this.varint(value * 2);
    else if (Number.isNaN(value)) this.varint(1);
    else {
      this.varint(3);
      this.double(value);
    }
  }

  raw(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.bytes.length) this.grow(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  private grow(needed: number): void {
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + needed));
    grown.set(this.bytes);
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }
}

const MAX_SHORT = 2 ** 51;

/** Thrown by the reader: stored bytes are not what this build writes. */
export class CorruptBytesError extends Error {
  override readonly name = "CorruptBytesError";
}

export class ByteReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    this.need(1);
    return this.bytes[this.at++] as number;
  }

  varint(): number {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low;
    }
    let high = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      high |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low + high * 0x1000_0000;
    }
    throw new CorruptBytesError(`integer too long at byte ${this.at}`);
  }

  /** A varint that says how many items follow, each of at least `itemBytes`: refused where that many cannot follow. */
  length(itemBytes: number): number {
    const value = this.varint();
    if (value * itemBytes > this.bytes.length - this.at)
      throw new CorruptBytesError(
        `length ${value} at byte ${this.at} exceeds the ${this.bytes.length} bytes there are`,
      );
    return value;
  }

  uint32(): number {
    this.need(4);
    const value = this.view.getUint32(this.at, true);
    this.at += 4;
    return value;
  }

  uint48(): number {
    this.need(6);
    const value = this.view.getUint32(this.at, true) + this.view.getUint16(this.at + 4, true) * 0x1_0000_0000;
    this.at += 6;
    return value;
  }

  double(): number {
    this.need(8);
    const value = this.view.getFloat64(this.at, true);
    this.at += 8;
    return value;
  }

  number(): number {
    const value = this.varint();
    if (value % 2 === 0) return value / 2;
    return value === 1 ? Number.NaN : this.double();
  }

  raw(length: number): Uint8Array {
    this.need(length);
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }

  private need(length: number): void {
    if (this.at + length > this.bytes.length) throw new CorruptBytesError(`truncated at byte ${this.at}`);
  }
}

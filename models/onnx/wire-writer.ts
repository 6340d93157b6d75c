import { encodeUtf8 } from "./utf8.ts";

const TWO_32 = 4_294_967_296;

/**
 * Protobuf wire format into one growing buffer. The same calls give the same bytes: no field order, length or default
 * depends on anything but the arguments.
 */
export class WireWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** A varint field; 0 is written too (ONNX reads a missing `i` of an attribute as absent data). */
  int(field: number, value: number): void {
    this.#varint(field * 8);
    this.#signed(value);
  }

  float(field: number, value: number): void {
    this.#varint(field * 8 + 5);
    this.#room(4);
    this.#view.setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  string(field: number, value: string): void {
    this.bytes(field, encodeUtf8(value));
  }

  bytes(field: number, value: Uint8Array): void {
    this.#varint(field * 8 + 2);
    this.#varint(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  packedInts(field: number, values: ArrayLike<number>): void {
    this.message(field, () => {
      for (let index = 0; index < values.length; index++) this.#signed(values[index] ?? 0);
    });
  }

  packedFloats(field: number, values: ArrayLike<number>): void {
    this.#varint(field * 8 + 2);
    this.#varint(values.length * 4);
    this.#room(values.length * 4);
    for (let index = 0; index < values.length; index++, this.#length += 4)
      this.#view.setFloat32(this.#length, values[index] ?? 0, true);
  }

  /** An embedded message: `body` writes its fields. */
  message(field: number, body: () => void): void {
    this.#varint(field * 8 + 2);
    const start = this.#length;
    body();
    const size = this.#length - start;
    // The length precedes the body but is known after it: write it behind the body and swap the two.
    this.#varint(size);
    const prefix = this.#bytes.slice(start + size, this.#length);
    this.#bytes.copyWithin(start + prefix.length, start, start + size);
    this.#bytes.set(prefix, start);
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** An int64; ±2^63 as doubles mean the extremes. */
  #signed(value: number): void {
    if (value >= 0 && value < TWO_32) this.#varint(value);
    else {
      const wide = BigInt.asUintN(64, value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(value));
      let rest = wide;
      this.#room(10);
      while (rest > 127n) {
        this.#bytes[this.#length++] = Number(rest & 127n) | 128;
        rest >>= 7n;
      }
      this.#bytes[this.#length++] = Number(rest);
    }
  }

  #varint(value: number): void {
    this.#room(5);
    let rest = value;
    while (rest > 127) {
      this.#bytes[this.#length++] = (rest & 127) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  #room(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#length + size, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

import type { PathTree } from "./needed-paths.ts";

/**
 * Reads the members of a JSON line that definitions need and skips the rest, which it checks but does not build: a third of the cost of
 * `JSON.parse` for an order. What is unusual (escapes, text beyond ASCII, deep nesting, anything that is no JSON) is left to `JSON.parse`.
 */
export class EventScanner {
  readonly #dataOf: ReadonlyMap<string, PathTree>;
  readonly #events: PathTree;
  #bytes: Uint8Array = new Uint8Array();
  #end = 0;
  #text = "";
  /** Offset of the text in the bytes. */
  #shift = 0;
  #at = 0;

  /** `dataOf`: what is needed inside `data`, by event type; of other types nothing is. `events`: what is needed of every event. */
  constructor(dataOf: ReadonlyMap<string, PathTree>, events: PathTree) {
    this.#dataOf = dataOf;
    this.#events = events;
  }

  /** The value of the line in bytes[start, end); of an event, what is needed. @throws {SyntaxError} as JSON.parse does */
  parse(bytes: Buffer, start: number, end: number): unknown {
    this.#bytes = bytes;
    this.#end = end;
    this.#shift = start;
    this.#at = start;
    this.#text = bytes.toString("latin1", start, end);
    const event = this.#object(this.#events, true);
    if (event !== FAILED && this.#spaces() === NOTHING) return event;
    return JSON.parse(bytes.toString("utf8", start, end)) as unknown;
  }

  /** The byte at the position, behind spaces; NOTHING at the end. */
  #spaces(): number {
    for (; this.#at < this.#end; this.#at++) {
      const byte = this.#bytes[this.#at] as number;
      if (byte > SPACE || (byte !== SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return byte;
    }
    return NOTHING;
  }

  /** An object with the members of a tree. The type decides what is needed of an event's data, so it has to come before. */
  #object(tree: PathTree, isEvent: boolean): Record<string, unknown> | typeof FAILED {
    if (this.#spaces() !== OPEN_OBJECT) return FAILED;
    this.#at++;
    const object: Record<string, unknown> = {};
    if (this.#spaces() === CLOSE_OBJECT) {
      this.#at++;
      return object;
    }
    for (;;) {
      if (this.#spaces() !== QUOTE) return FAILED;
      const from = this.#at + 1;
      const to = this.#string();
      if (to < 0 || this.#spaces() !== COLON) return FAILED;
      this.#at++;
      let wanted = this.#child(tree, from, to);
      if (isEvent && wanted?.name === "data") {
        const { type } = object;
        if (typeof type !== "string") return FAILED;
        wanted = this.#dataOf.get(type) ?? null;
      }
      if (wanted === null) {
        if (!this.#skip(0)) return FAILED;
      } else {
        const value = this.#value(wanted);
        if (value === FAILED) return FAILED;
        object[wanted.name] = value;
      }
      const next = this.#spaces();
      this.#at++;
      if (next === CLOSE_OBJECT) return object;
      if (next !== COMMA) return FAILED;
    }
  }

  #child(tree: PathTree, from: number, to: number): PathTree | null {
    const candidates = tree.byLength[to - from];
    if (candidates === undefined) return null;
    for (const child of candidates) if (this.#text.startsWith(child.name, from - this.#shift)) return child;
    return null;
  }

  #value(tree: PathTree): unknown {
    const first = this.#spaces();
    if (first === QUOTE) {
      const from = this.#at + 1;
      const to = this.#string();
      return to < 0 ? FAILED : this.#text.slice(from - this.#shift, to - this.#shift);
    }
    if (first === OPEN_OBJECT && !tree.isWhole) return this.#object(tree, false);
    const from = this.#at;
    if (!this.#skip(0)) return FAILED;
    const text = this.#text.slice(from - this.#shift, this.#at - this.#shift);
    return first === OPEN_OBJECT || first === OPEN_LIST ? (JSON.parse(text) as unknown) : scalar(first, text);
  }

  /** The position is at an opening quote; returns that of the closing one and goes behind it. −1: left to JSON.parse. */
  #string(): number {
    const bytes = this.#bytes;
    const end = this.#end;
    for (let at = this.#at + 1; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) {
        this.#at = at + 1;
        return at;
      }
      if (byte < SPACE || byte === BACKSLASH || byte > 0x7e) return -1;
    }
    return -1;
  }

  /** Goes behind a value. False: it is none, or left to JSON.parse. */
  #skip(depth: number): boolean {
    const first = this.#spaces();
    if (first === QUOTE) return this.#string() >= 0;
    if (first === OPEN_OBJECT || first === OPEN_LIST) return depth < MAX_DEPTH && this.#skipAll(first, depth);
    if (first === MINUS || (first >= ZERO && first <= NINE)) return this.#skipNumber();
    const word = first === 0x74 ? "true" : first === 0x66 ? "false" : first === 0x6e ? "null" : null;
    if (word === null || !this.#text.startsWith(word, this.#at - this.#shift)) return false;
    this.#at += word.length;
    return true;
  }

  /** Goes behind an object or a list. */
  #skipAll(open: number, depth: number): boolean {
    const close = open + 2;
    this.#at++;
    if (this.#spaces() === close) {
      this.#at++;
      return true;
    }
    for (;;) {
      if (open === OPEN_OBJECT) {
        if (this.#spaces() !== QUOTE || this.#string() < 0 || this.#spaces() !== COLON) return false;
        this.#at++;
      }
      if (!this.#skip(depth + 1)) return false;
      const next = this.#spaces();
      this.#at++;
      if (next === close) return true;
      if (next !== COMMA) return false;
    }
  }

  /** RFC 8259, section 6: a minus, an integer without leading zeros, a fraction, an exponent. */
  #skipNumber(): boolean {
    if (this.#bytes[this.#at] === MINUS) this.#at++;
    const first = this.#bytes[this.#at];
    const digits = this.#digits();
    if (digits === 0 || (first === ZERO && digits > 1)) return false;
    if (this.#byte() === 0x2e) {
      this.#at++;
      if (this.#digits() === 0) return false;
    }
    if ((this.#byte() | 0x20) === 0x65) {
      this.#at++;
      if (this.#byte() === MINUS || this.#byte() === PLUS) this.#at++;
      if (this.#digits() === 0) return false;
    }
    return true;
  }

  #byte(): number {
    return this.#at < this.#end ? (this.#bytes[this.#at] as number) : NOTHING;
  }

  #digits(): number {
    const from = this.#at;
    while (this.#byte() >= ZERO && this.#byte() <= NINE) this.#at++;
    return this.#at - from;
  }
}

function scalar(first: number, text: string): unknown {
  if (first === 0x74) return true;
  if (first === 0x66) return false;
  return first === 0x6e ? null : Number(text);
}

const FAILED = Symbol("left to JSON.parse");
const MAX_DEPTH = 32;
const NOTHING = -1;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

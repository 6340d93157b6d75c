/**
 * All memory of one session. Values are made while the graph is planned; `seal` then moves those that the kernels work on
 * into one WebAssembly memory of exactly the needed size, and `reserve` makes room for a larger batch. Between two calls
 * of `reserve` nothing is allocated.
 */
import { OnnxError } from "../onnx/error.ts";
import { loadKernels, type Kernels } from "./kernels.ts";
import {
  bytesPerElement,
  type Dims,
  isBatched,
  newArray,
  type NumericArray,
  type NumericType,
  sizeOf,
  type Value,
  viewOf,
} from "./value.ts";

const PAGE_BYTES = 65_536;

/** Alignment of every value: a SIMD lane, and a cache line for what is walked at random. */
const ALIGNMENT = 64;

/** A single session may not take more than an isolate has. */
const MAX_MEMORY_BYTES = 100 << 20;

/** A block of bytes in kernel memory that an operator fills after `seal`. */
export interface Block {
  readonly bytes: number;
  offset: number;
}

export class Arena {
  readonly #module: WebAssembly.Module | null;
  #values: Value[] = [];
  readonly #blocks: Block[] = [];
  readonly #onMemory: ((buffer: ArrayBuffer) => void)[] = [];
  #memory: WebAssembly.Memory | null = null;
  /** First byte of the values that depend on the rows; everything before stays where it is. */
  #batchStart = 0;
  #capacity = 0;
  /** Bytes of constants and buffers outside the kernels' memory. */
  #outsideBytes = 0;
  /** Bytes of everything planned so far, at one row. */
  #planned = 0;
  kernels: Kernels | null = null;

  constructor(module: WebAssembly.Module | null) {
    this.#module = module;
  }

  get hasKernels(): boolean {
    return this.#module !== null;
  }

  /** The kernels themselves, for work that needs a memory of its own while planning. */
  get kernelModule(): WebAssembly.Module | null {
    return this.#module;
  }

  constant(name: string, type: NumericType, dims: Dims, data: NumericArray): Value {
    return this.#add({ name, type, dims, data, offset: -1, constant: true, inKernelMemory: false, afterRelu: false });
  }

  /** A value that a step writes. It has room for one row until `reserve` says otherwise. */
  scratch(name: string, type: NumericType, dims: Dims, constant = false): Value {
    // Before anything is allocated: dimensions are what the file claims.
    this.#planned += bytesPerElement(type) * sizeOf(dims, 1);
    if (!(this.#planned <= MAX_MEMORY_BYTES))
      throw new OnnxError(
        "too-large",
        `value "${name}" [${dims.join(", ")}]: the graph needs over ${MAX_MEMORY_BYTES} bytes`,
      );
    const data = newArray(type, sizeOf(dims, 1));
    return this.#add({ name, type, dims, data, offset: -1, constant, inKernelMemory: false, afterRelu: false });
  }

  /** Bytes in kernel memory; `fill` is called with its buffer now and whenever the buffer is replaced. */
  block(bytes: number, fill: (buffer: ArrayBuffer, offset: number) => void): Block {
    const block: Block = { bytes, offset: -1 };
    this.#blocks.push(block);
    this.#onMemory.push((buffer) => fill(buffer, block.offset));
    return block;
  }

  /** Fixes the layout. `live` are the values that steps still read or write; others are dropped. */
  seal(live: ReadonlySet<Value>): void {
    this.#values = this.#values.filter((value) => live.has(value));
    const inside = this.#values.filter((value) => value.inKernelMemory);
    if (this.#module !== null && inside.length + this.#blocks.length > 0) this.#createMemory(this.#module, inside);
    this.#capacity = 1;
    this.#count();
  }

  /** Makes room for a batch. Contents of values that depend on the rows are lost. */
  reserve(rows: number): void {
    if (rows <= this.#capacity) return;
    // A little more than asked, so that slowly growing batches do not allocate every time.
    const capacity = Math.max(rows, Math.min(this.#capacity * 2, rows + 64));
    for (const value of this.#values)
      if (isBatched(value.dims) && value.offset < 0) value.data = newArray(value.type, sizeOf(value.dims, capacity));
    if (this.#memory !== null) this.#placeBatch(this.#memory, capacity);
    this.#capacity = capacity;
    this.#count();
  }

  /** Bytes that each further row of a batch takes. */
  get bytesPerRow(): number {
    let bytes = 0;
    for (const { type, dims } of this.#values)
      if (isBatched(dims)) bytes += bytesPerElement(type) * (sizeOf(dims, 2) - sizeOf(dims, 1));
    return bytes;
  }

  /** Resident bytes at the current capacity. */
  get bytes(): number {
    return this.#outsideBytes + (this.#memory?.buffer.byteLength ?? 0);
  }

  #add(value: Value): Value {
    this.#values.push(value);
    return value;
  }

  #createMemory(module: WebAssembly.Module, inside: readonly Value[]): void {
    let end = ALIGNMENT;
    const place = (bytes: number): number => {
      const at = end;
      end = Math.ceil((end + bytes) / ALIGNMENT) * ALIGNMENT;
      return at;
    };
    for (const block of this.#blocks) block.offset = place(block.bytes);
    for (const value of inside)
      if (!isBatched(value.dims)) value.offset = place(bytesPerElement(value.type) * sizeOf(value.dims, 1));
    this.#batchStart = end;
    for (const value of inside)
      if (isBatched(value.dims)) value.offset = place(bytesPerElement(value.type) * sizeOf(value.dims, 1));
    this.#check(end);
    this.#memory = new WebAssembly.Memory({ initial: Math.ceil(end / PAGE_BYTES) });
    this.kernels = loadKernels(module, this.#memory);
    this.#refresh(this.#memory, 1, inside);
  }

  #placeBatch(memory: WebAssembly.Memory, capacity: number): void {
    const inside = this.#values.filter((value) => value.offset >= 0);
    let end = this.#batchStart;
    for (const value of inside)
      if (isBatched(value.dims)) {
        value.offset = end;
        const bytes = bytesPerElement(value.type) * sizeOf(value.dims, capacity);
        end = Math.ceil((end + bytes) / ALIGNMENT) * ALIGNMENT;
      }
    this.#check(end);
    const missing = Math.ceil(end / PAGE_BYTES) - memory.buffer.byteLength / PAGE_BYTES;
    if (missing > 0) memory.grow(missing);
    this.#refresh(memory, capacity, inside);
  }

  /** New views after the memory was made or grown; at first the constants are copied in. */
  #refresh(memory: WebAssembly.Memory, capacity: number, inside: readonly Value[]): void {
    for (const value of inside) {
      const view = viewOf(value.type, memory.buffer, value.offset, sizeOf(value.dims, capacity));
      if (value.constant && value.data.buffer !== memory.buffer && value.data.length === view.length)
        view.set(value.data);
      value.data = view;
    }
    for (const listener of this.#onMemory) listener(memory.buffer);
  }

  #check(bytes: number): void {
    if (bytes > MAX_MEMORY_BYTES)
      throw new RangeError(`the model needs ${bytes} bytes for this batch; the limit is ${MAX_MEMORY_BYTES}`);
  }

  #count(): void {
    this.#outsideBytes = 0;
    for (const value of this.#values) if (value.offset < 0) this.#outsideBytes += value.data.byteLength;
  }
}

/** Counts what code asks of the allocator in array buffers, so that a test can hold it to what its input justifies. */

const COUNTED = [
  "ArrayBuffer",
  "Float32Array",
  "Float64Array",
  "Int8Array",
  "Uint8Array",
  "Int16Array",
  "Uint16Array",
  "Int32Array",
  "Uint32Array",
  "BigInt64Array",
  "BigUint64Array",
] as const;

type Constructor = new (...args: unknown[]) => { readonly byteLength: number };

export interface Measured<T> {
  readonly value: T;
  /** Bytes of all buffers constructed meanwhile, freed or not; views of existing buffers count nothing. */
  readonly bytes: number;
}

/**
 * Runs `work` with the constructors of array buffers counted. A single request above `limit` bytes is refused with a
 * RangeError before it is made, so that a test of hostile input does not itself exhaust the machine.
 */
export function allocatedBytes<T>(work: () => T, limit = 2 ** 30): Measured<T> {
  const scope = globalThis as unknown as Record<string, Constructor>;
  const originals = COUNTED.map((name) => [name, scope[name]] as const);
  let bytes = 0;
  for (const [name, original] of originals) {
    if (!original) continue;
    const size = (original as unknown as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    scope[name] = new Proxy(original, {
      construct(target, args: unknown[], newTarget) {
        const [first] = args;
        const wanted = typeof first === "number" ? first * size : 0;
        if (wanted > limit) throw new RangeError(`${name}: ${wanted} bytes at once`);
        const made = Reflect.construct(target, args, newTarget) as { readonly byteLength: number };
        const view = typeof first === "object" && first !== null && "byteLength" in first && !("length" in first);
        if (!view) bytes += made.byteLength;
        return made;
      },
    });
  }
  try {
    return { value: work(), bytes };
  } finally {
    for (const [name, original] of originals) if (original) scope[name] = original;
  }
}

/**
 * Bounds of the ORT Worker. An isolate has 128 MB for everything, and WebAssembly memory never shrinks. What one session
 * and all of them may occupy stands in `models/engine/ort-memory.ts`, because publication holds models to it as well.
 */

const MIB = 2 ** 20;

/** With this much WebAssembly memory grown (fragmentation, an underestimate) the isolate takes no further model. */
export const MEMORY_CEILING_BYTES = 96 * MIB;

/** Values of one call, in or out: 4 MiB each way as float32, far below the 32 MiB that one RPC may carry. */
export const MAX_BATCH_VALUES = 1 << 20;

/** R2 answers in tens of milliseconds; a caller is told to fall back long before its own deadline budget is a minute. */
export const LOAD_DEADLINE_MS = 10_000;

/** How long a refused version is answered from memory instead of being read and parsed again. */
export const REFUSAL_MS = 60_000;

/** Remembered refusals per isolate; the oldest goes first. */
export const MAX_REFUSALS = 64;

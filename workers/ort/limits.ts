/** Bounds of the ORT Worker. An isolate has 128 MB for everything, and WebAssembly memory never shrinks. */

const MIB = 2 ** 20;

/** Resident sessions together. With the runtime's floor of 16 MB and a load in progress this stays well below 128 MB. */
export const SESSION_BUDGET_BYTES = 50 * MIB;

/** One session takes at most half the budget, so that a live version and its candidate always fit side by side. */
export const MAX_SESSION_BYTES = SESSION_BUDGET_BYTES / 2;

/** With this much WebAssembly memory grown (fragmentation, an underestimate) the isolate takes no further model. */
export const MEMORY_CEILING_BYTES = 96 * MIB;

/** Nodes of a tree ensemble become objects and hash tables in the runtime: 12 to 15 bytes per byte of file, measured. */
export const TREE_BYTES_PER_FILE_BYTE = 15;

/** Weights are copied out of the file and once more packed for the kernels; the file itself is dropped after the load. */
export const DENSE_BYTES_PER_FILE_BYTE = 3;

/** Charged to every session: graph, allocator arena, names. Keeps a flood of tiny models countable. */
export const SESSION_BASE_BYTES = 256 * 1024;

/** The largest file whose session could fit; anything longer is refused before it is read. */
export const MAX_MODEL_BYTES = Math.floor((MAX_SESSION_BYTES - SESSION_BASE_BYTES) / DENSE_BYTES_PER_FILE_BYTE);

/** Values of one call, in or out: 4 MiB each way as float32, far below the 32 MiB that one RPC may carry. */
export const MAX_BATCH_VALUES = 1 << 20;

/** R2 answers in tens of milliseconds; a caller is told to fall back long before its own deadline budget is a minute. */
export const LOAD_DEADLINE_MS = 10_000;

/** How long a refused version is answered from memory instead of being read and parsed again. */
export const REFUSAL_MS = 60_000;

/** Remembered refusals per isolate; the oldest goes first. */
export const MAX_REFUSALS = 64;

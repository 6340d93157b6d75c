/**
 * What a session of ONNX Runtime occupies in WebAssembly memory, which the runtime does not tell: charged by the Worker
 * that holds the session, and checked at publication so that a model that cannot fit is refused there.
 */

/** Resident sessions of one isolate together. With the runtime's floor of 16 MB this stays well below 128 MB. */
export const ORT_BUDGET_BYTES = 50 * 2 ** 20;

/** One session takes at most half the budget, so that a live version and its candidate always fit side by side. */
export const MAX_ORT_SESSION_BYTES = ORT_BUDGET_BYTES / 2;

/** Nodes of a tree ensemble become objects and hash tables in the runtime: 12 to 15 bytes per byte of file, measured. */
const TREE_BYTES_PER_FILE_BYTE = 15;

/**
 * The file, its parsed form, the weights and their packed copy are there at once while a session is made (3.7 bytes per
 * byte measured), and WebAssembly memory keeps the size of its worst moment.
 */
const DENSE_BYTES_PER_FILE_BYTE = 4;

/** Charged to every session: graph, allocator arena, names. Keeps a flood of tiny models countable. */
const SESSION_BASE_BYTES = 256 * 1024;

/** The largest file whose session could fit; anything longer need not even be read. */
export const MAX_ORT_FILE_BYTES = Math.floor((MAX_ORT_SESSION_BYTES - SESSION_BASE_BYTES) / DENSE_BYTES_PER_FILE_BYTE);

const TREE_MARK = Uint8Array.from("TreeEnsemble", (char) => char.charCodeAt(0));

/** Bytes a session of this file will occupy. Operator names stand in a file as plain text, so no parsing is needed. */
export function ortSessionBytes(file: Uint8Array): number {
  const factor = contains(file, TREE_MARK) ? TREE_BYTES_PER_FILE_BYTE : DENSE_BYTES_PER_FILE_BYTE;
  return SESSION_BASE_BYTES + file.length * factor;
}

/** Why a file of this many bytes has no place in the ORT Worker, in words for whoever published it. */
export const ortTooLarge = (fileBytes: number): string =>
  `a model of ${fileBytes} bytes does not fit the ORT Worker: a session may occupy ${MAX_ORT_SESSION_BYTES} bytes, at ` +
  `${TREE_BYTES_PER_FILE_BYTE} per byte of a tree model and ${DENSE_BYTES_PER_FILE_BYTE} per byte of others`;

function contains(bytes: Uint8Array, mark: Uint8Array): boolean {
  const first = mark[0] ?? 0;
  for (let at = bytes.indexOf(first); at !== -1; at = bytes.indexOf(first, at + 1)) {
    if (mark.every((value, offset) => bytes[at + offset] === value)) return true;
  }
  return false;
}

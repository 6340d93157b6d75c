/**
 * NumPy's `.npy` files, versions 1 to 3, of plain numeric types.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { endianness } from "node:os";
import { type Matrix, MatrixError, MAX_MATRIX_VALUES } from "./matrix.ts";

interface Header {
  readonly descr: string;
  readonly fortran: boolean;
  readonly shape: readonly number[];
  readonly dataStart: number;
}

type NumberArray = { readonly length: number; readonly [index: number]: number | bigint };

const READERS: Readonly<Record<string, { size: number; read: (buffer: ArrayBuffer) => NumberArray }>> = {
  f4: { size: 4, read: (buffer) => new Float32Array(buffer) },
  f8: { size: 8, read: (buffer) => new Float64Array(buffer) },
  i1: { size: 1, read: (buffer) => new Int8Array(buffer) },
  i2: { size: 2, read: (buffer) => new Int16Array(buffer) },
  i4: { size: 4, read: (buffer) => new Int32Array(buffer) },
  i8: { size: 8, read: (buffer) => new BigInt64Array(buffer) },
  u1: { size: 1, read: (buffer) => new Uint8Array(buffer) },
  u2: { size: 2, read: (buffer) => new Uint16Array(buffer) },
  u4: { size: 4, read: (buffer) => new Uint32Array(buffer) },
  b1: { size: 1, read: (buffer) => new Uint8Array(buffer) },
};

/** Numbers as float64, so that nothing of a float64 or 32-bit integer file is lost; row-major whatever the file's order. */
export interface NpyArray {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}

/** @throws MatrixError */
export function readNpyArray(bytes: Uint8Array): NpyArray {
  const { descr, fortran, shape, dataStart } = readHeader(bytes);
  const type = READERS[descr.slice(1)];
  if (!type || descr.startsWith(">") || endianness() !== "LE") {
    throw new MatrixError(`.npy type "${descr}" is not read; save it with .astype("<f4") (or <f8, <i4, <i8)`);
  }
  const count = shape.reduce((product, size) => product * size, 1);
  if (!Number.isSafeInteger(count) || count > MAX_MATRIX_VALUES) {
    throw new MatrixError(`the .npy array has ${count} values, over the limit of ${MAX_MATRIX_VALUES}`);
  }
  if (bytes.length - dataStart !== count * type.size) {
    const found = bytes.length - dataStart;
    throw new MatrixError(`the .npy header states ${count * type.size} bytes of data, the file has ${found}`);
  }
  if (fortran && shape.length > 2) {
    throw new MatrixError("the .npy array is in Fortran order; save np.ascontiguousarray(array)");
  }
  const stored = type.read(new Uint8Array(bytes.subarray(dataStart)).buffer);
  const [rows = 1, width = 1] = fortran ? shape : [count, 1];
  const data = new Float64Array(count);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < width; column++) data[row * width + column] = Number(stored[column * rows + row]);
  }
  return { data, shape };
}

/**
 * The array as a matrix: a vector is one row per element, more dimensions than two are flattened into the row.
 * @throws MatrixError
 */
export function readNpy(bytes: Uint8Array): Matrix {
  const { data, shape } = readNpyArray(bytes);
  if (data.length === 0) throw new MatrixError("the .npy array is empty");
  const rows = shape[0] ?? 1;
  return { values: Float32Array.from(data), rows, width: data.length / rows, columns: null };
}

function readHeader(bytes: Uint8Array): Header {
  const magic = [0x93, ...Buffer.from("NUMPY")];
  if (bytes.length < 12 || !magic.every((value, index) => bytes[index] === value)) {
    throw new MatrixError("the file is no .npy file: its first bytes are not \\x93NUMPY");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint8(6);
  if (version < 1 || version > 3) throw new MatrixError(`.npy format version ${version} is not known`);
  const start = version === 1 ? 10 : 12;
  const dataStart = start + (version === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
  if (dataStart > bytes.length) throw new MatrixError("the .npy header is truncated");
  // A Python dict literal: {'descr': '<f4', 'fortran_order': False, 'shape': (10, 3), }
  const text = Buffer.from(bytes.subarray(start, dataStart)).toString("utf8");
  const descr = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  const fortran = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape':\s*\(([\d,\sL]*)\)/.exec(text)?.[1];
  if (descr === undefined || fortran === undefined || shape === undefined) {
    throw new MatrixError(`the .npy header is not understood: ${text.trim().slice(0, 120)}`);
  }
  const sizes = shape.split(",").flatMap((part) => (part.trim() === "" ? [] : [Number.parseInt(part, 10)]));
  return { descr, fortran: fortran === "True", shape: sizes, dataStart };
}

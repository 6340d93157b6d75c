import { describe, expect, it } from "vitest";
import { readCsvMatrix } from "../../../../batch-training/sources/read-csv-matrix.ts";
import { readNpy } from "../../../../batch-training/sources/read-npy.ts";

/** Files that NumPy 2.4 wrote with `np.save`, base64. */
const HEAD = "k05VTVBZAQB2AHsnZGVzY3InOiAn";
const npy = {
  /** [[1, 2.5, nan], [-inf, 4, 5]] as float32; the same as float64 in Fortran order; as big-endian float32 */
  float32: `${HEAD}PGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAIA/AAAgQAAAwH8AAID/AACAQAAAoEA=`,
  fortran: `${HEAD}PGY4JywgJ2ZvcnRyYW5fb3JkZXInOiBUcnVlLCAnc2hhcGUnOiAoMiwgMyksIH0gICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAADwPwAAAAAAAPD/AAAAAAAABEAAAAAAAAAQQAAAAAAAAPh/AAAAAAAAFEA=`,
  bigEndian: `${HEAD}PmY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDIsIDMpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAo/gAAAQCAAAH/AAAD/gAAAQIAAAECgAAA=`,
  /** [7, -3, 2**40] as int64 */
  vector: `${HEAD}PGk4JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDMsKSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoHAAAAAAAAAP3/////////AAAAAAABAAA=`,
};
const bytesOf = (name: keyof typeof npy): Uint8Array => Buffer.from(npy[name], "base64");

const EXPECTED = { values: Float32Array.of(1, 2.5, Number.NaN, -Infinity, 4, 5), rows: 2, width: 3, columns: null };

describe("a .npy file", () => {
  it.each(["float32", "fortran"] as const)("%s is read as NumPy meant it", (name) => {
    expect(readNpy(bytesOf(name))).toEqual(EXPECTED);
  });

  it("a vector is one row per element, integers included", () => {
    expect(readNpy(bytesOf("vector"))).toMatchObject({ values: Float32Array.of(7, -3, 2 ** 40), rows: 3, width: 1 });
  });

  it.each([
    ["a foreign byte order", bytesOf("bigEndian"), /">f4" is not read/],
    ["missing data", bytesOf("float32").subarray(0, -4), /states 24 bytes of data, the file has 20/],
    ["surplus data", Buffer.concat([bytesOf("float32"), Buffer.alloc(1)]), /states 24 bytes of data, the file has 25/],
    ["another format", Buffer.from("a,b\n1,2\n3,4\n"), /no \.npy file/],
    ["a truncated header", bytesOf("float32").subarray(0, 40), /truncated/],
    ["no bytes", new Uint8Array(0), /no \.npy file/],
  ])("%s is refused with its reason", (_name, bytes, message) => {
    expect(() => readNpy(bytes)).toThrow(message);
  });
});

describe("a CSV file", () => {
  it("has missing and infinite values, with or without column names", () => {
    expect(readCsvMatrix("1,2.5,\n-inf,4,5\n")).toEqual(EXPECTED);
    expect(readCsvMatrix("a,b,c\r\n1,2.5,NaN\r\n-Infinity,4,5")).toEqual({ ...EXPECTED, columns: ["a", "b", "c"] });
  });

  it("may use semicolons or tabs, quotes and a byte-order mark", () => {
    expect(readCsvMatrix("\uFEFF1;2.5;NA\n-inf;4;5")).toEqual(EXPECTED);
    expect(readCsvMatrix('"1"\t"2.5"\tnull\n-inf\t4\t5')).toEqual(EXPECTED);
  });

  it.each([
    ["nothing", "", /empty/],
    ["column names alone", "a,b\n", /no row/],
    ["a short record", "1,2\n3\n", /record 2 of the CSV file has 1 cells, the first one has 2/],
    ["a word", "a,b\n1,red\n", /record 2, b: "red" is no number/],
    ["a hexadecimal number", "a\n0x10\n", /"0x10" is no number/],
    ["an open quote", '1,2\n"3,4\n', /cannot be read/],
  ])("with %s is refused, naming the place", (_name, text, message) => {
    expect(() => readCsvMatrix(text)).toThrow(message);
  });
});

import { readFileSync } from "node:fs";

/** The typed face of `kernel.wasm`; what each function does stands in `kernel.as.ts`. All numbers are i32 or byte offsets. */
export interface IalsKernel {
  readonly addGram: (z: number, n: number, d: number, matrix: number) => void;
  readonly solveRows: (
    begin: number,
    end: number,
    d: number,
    start: number,
    column: number,
    weight: number,
    fixed: number,
    gram: number,
    ridge: number,
    out: number,
    scratch: number,
  ) => number;
}

const CHUNK = 256;

/** Floats of scratch that `solveRows` needs. */
export const scratchFloats = (d: number): number => CHUNK * d + d * d + d;

export function compileKernel(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL("./kernel.wasm", import.meta.url)));
}

export function instantiateKernel(module: WebAssembly.Module, memory: WebAssembly.Memory): IalsKernel {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as IalsKernel;
}

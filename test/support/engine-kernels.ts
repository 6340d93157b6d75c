import { readFileSync } from "node:fs";

/** The engine's compiled kernels, as a Node program hands them to `compileSession`. */
export const engineKernels: WebAssembly.Module = new WebAssembly.Module(
  readFileSync(new URL("../../models/engine/kernels/kernels.wasm", import.meta.url)),
);

/** The functions of `kernels.wasm`. Addresses are bytes in the memory that the module was instantiated with. */

/** 0: none, 1: ReLU. */
export type Activation = 0 | 1;

export interface Kernels {
  /** out[height × width] = activation(x[height × depth] · packed + bias); see `operators/dense.ts` for the packing. */
  dense(
    x: number,
    packed: number,
    bias: number,
    out: number,
    height: number,
    width: number,
    depth: number,
    activation: Activation,
  ): void;
}

export function loadKernels(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  return instance.exports as unknown as Kernels;
}

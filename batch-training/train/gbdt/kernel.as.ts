/**
 * The inner loops of the boosted-tree trainer: AssemblyScript, compiled to `kernel.wasm` by `build-kernel.ts`.
 *
 * Laws. No state of its own and no static data: every byte lies in the imported shared memory at offsets the caller
 * gives, so any number of threads may instantiate this module on one memory. Gradients are fixed-point integers and
 * histograms are sums of integers, hence exact and independent of the order of rows and threads. Only IEEE basic
 * operations are used on floats (no fused multiply-add), so results are the same bits on every machine.
 *
 * One histogram cell is 16 bytes: i64 sum of gradients, then i64 with the hessian sum in the low `countBit` bits and the
 * row count above. A feature has 256 cells (bin 0 = missing), a block is eight features, 32 KiB.
 */

export * from "./kernel/binning.as";
export * from "./kernel/histogram.as";
export * from "./kernel/split.as";
export * from "./kernel/rows.as";
export * from "./kernel/gradients.as";

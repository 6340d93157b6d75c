/**
 * The inner loops of the compact engine: AssemblyScript, compiled to `kernels.wasm` by
 * `node test/support/build-engine-kernels.ts`.
 *
 * Laws. No state of its own and no static data: every byte lies in the imported memory at addresses the caller gives.
 * Layouts are those of `../trees/packed-trees.ts`, `../trees/tree-shap.ts` and `../operators/dense.ts`.
 */

export * from "./walk-trees.as";
export * from "./pack-trees.as";
export * from "./tree-shap.as";
export * from "./dense.as";
export * from "./top-k.as";

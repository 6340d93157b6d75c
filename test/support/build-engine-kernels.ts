import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = resolve(import.meta.dirname, "../../models/engine/kernels");

const OPTIONS =
  "--baseDir / -O3 --noAssert --runtime stub --importMemory --initialMemory 1 --enable simd --enable relaxed-simd --enable bulk-memory".split(
    " ",
  );

/**
 * Compiles `models/engine/kernels/kernels.as.ts` and what it exports: `node test/support/build-engine-kernels.ts`. A test
 * rebuilds it and compares the bytes, so the committed `kernels.wasm` is always the compiled source.
 */
export async function buildEngineKernels(output: string): Promise<void> {
  const { main } = await import("assemblyscript/asc");
  const { error } = await main([join(FOLDER, "kernels.as.ts"), "--outFile", output, ...OPTIONS]);
  if (error) throw new Error(`the kernels do not compile: ${error.message}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildEngineKernels(join(FOLDER, "kernels.wasm"));

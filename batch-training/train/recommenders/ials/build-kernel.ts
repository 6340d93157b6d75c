import { join } from "node:path";
import { fileURLToPath } from "node:url";

const OPTIONS =
  "--baseDir / -O3 --noAssert --runtime stub --importMemory --sharedMemory --initialMemory 1 --maximumMemory 65536 --enable simd --enable threads --enable bulk-memory".split(
    " ",
  );

/**
 * Compiles `kernel.as.ts` to `kernel.wasm`: `node batch-training/train/recommenders/ials/build-kernel.ts`. A test rebuilds it and
 * compares the bytes, so the committed file is always the compiled source.
 */
export async function buildKernel(output: string): Promise<void> {
  const { main } = await import("assemblyscript/asc");
  const source = join(import.meta.dirname, "kernel.as.ts");
  const { error } = await main([source, "--outFile", output, ...OPTIONS]);
  if (error) throw new Error(`the kernel does not compile: ${error.message}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildKernel(join(import.meta.dirname, "kernel.wasm"));

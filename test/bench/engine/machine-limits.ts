import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What one core of this machine does at best through WebAssembly, per microsecond. */
export interface MachineLimits {
  /** Multiply-adds of float32. */
  readonly multiplyAdds: number;
  /** Loads of a word from the nearest cache. */
  readonly loads: number;
  /** Bytes read in sequence, by working set: nearest cache, 1 MB, and 32 MB. */
  readonly bytesNear: number;
  readonly bytesMiddle: number;
  readonly bytesFar: number;
}

interface LimitKernels {
  multiplyAdds(count: number): number;
  read(bytes: number, times: number): number;
  loads(count: number): number;
}

const FAR_BYTES = 32 << 20;

/** Longer than the optimising compiler has been seen to wait for a processor. */
const PATIENCE_MS = 1_200;

/** Best of several tries: a limit is what can be reached, not what usually is. */
export async function machineLimits(): Promise<MachineLimits> {
  const memory = new WebAssembly.Memory({ initial: FAR_BYTES / 65_536 });
  const kernels = new WebAssembly.Instance(await compiled(), { env: { memory } }).exports as unknown as LimitKernels;
  const best = (work: number, run: () => unknown): number => {
    let fastest = Infinity;
    // Until nothing better comes for a while: the optimising compiler takes over late on a busy machine.
    for (let improved = performance.now(); performance.now() - improved < PATIENCE_MS;) {
      const start = performance.now();
      run();
      const end = performance.now();
      if (end - start < 0.98 * fastest) improved = end;
      fastest = Math.min(fastest, end - start);
    }
    return work / (fastest * 1000);
  };
  return {
    multiplyAdds: best(8 * 4 * 20_000, () => kernels.multiplyAdds(20_000)),
    loads: best(16 * 20_000, () => kernels.loads(20_000)),
    bytesNear: best(16_384 * 100, () => kernels.read(16_384, 100)),
    bytesMiddle: best((1 << 20) * 4, () => kernels.read(1 << 20, 4)),
    bytesFar: best(FAR_BYTES, () => kernels.read(FAR_BYTES, 1)),
  };
}

async function compiled(): Promise<WebAssembly.Module> {
  const folder = mkdtempSync(join(tmpdir(), "limits-"));
  const output = join(folder, "limits.wasm");
  try {
    const { main } = await import("assemblyscript/asc");
    const options =
      "--baseDir / -O3 --noAssert --runtime stub --importMemory --initialMemory 1 --enable simd --enable relaxed-simd";
    const { error } = await main([
      join(import.meta.dirname, "machine-limits.as.ts"),
      "--outFile",
      output,
      ...options.split(" "),
    ]);
    if (error) throw new Error(`machine-limits.as.ts does not compile: ${error.message}`);
    return new WebAssembly.Module(readFileSync(output));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

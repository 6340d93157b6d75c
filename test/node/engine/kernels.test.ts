import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { buildEngineKernels } from "../../support/build-engine-kernels.ts";

it("the committed kernels are what their source compiles to", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kernels-"));
  try {
    await buildEngineKernels(join(folder, "kernels.wasm"));
    const committed = new URL("../../../models/engine/kernels/kernels.wasm", import.meta.url);
    expect(readFileSync(join(folder, "kernels.wasm")).equals(readFileSync(committed))).toBe(true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

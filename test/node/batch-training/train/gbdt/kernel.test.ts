import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { edgeBetween, findEdges, storeEdges } from "../../../../../batch-training/train/gbdt/binning.ts";
import { buildKernel } from "../../../../../batch-training/train/gbdt/build-kernel.ts";
import { compileKernel, instantiateKernel } from "../../../../../batch-training/train/gbdt/kernel.ts";

const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const kernel = instantiateKernel(compileKernel(), memory);
const floats = (at: number, n: number): Float32Array => new Float32Array(memory.buffer, at, n);
const anyFloat = fc.float({ noNaN: true });

describe("the training kernel", () => {
  it("is what its source compiles to", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kernel-"));
    try {
      await buildKernel(join(folder, "kernel.wasm"));
      const committed = new URL("../../../../../batch-training/train/gbdt/kernel.wasm", import.meta.url);
      expect(readFileSync(join(folder, "kernel.wasm")).equals(readFileSync(committed))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("sorts any floats, infinities and zeros of both signs included, as Float32Array.sort does", () => {
    fc.assert(
      fc.property(fc.array(anyFloat, { maxLength: 200 }), (values) => {
        floats(1024, values.length).set(values);
        kernel.sortFloats(1024, 4096, 8192, values.length);
        expect([...floats(1024, values.length)]).toEqual([...Float32Array.from(values).sort()]);
      }),
    );
  });

  it("puts a value into the bin whose edges enclose it, and NaN into bin 0", () => {
    fc.assert(
      fc.property(
        fc.array(anyFloat, { maxLength: 100 }),
        fc.array(fc.float(), { maxLength: 50 }),
        fc.integer({ min: 2, max: 255 }),
        (sample, values, maxBins) => {
          const edges = findEdges(Float32Array.from(sample).sort(), maxBins);
          expect(edges.length).toBeLessThan(maxBins);
          storeEdges(edges, floats(1024, 256));
          floats(4096, values.length).set(values);
          kernel.binColumn(4096, values.length, 1024, 8192);
          const bins = new Uint8Array(memory.buffer, 8192, values.length);
          const naive = values.map((v) => (Number.isNaN(v) ? 0 : 1 + edges.filter((edge) => edge < v).length));
          expect([...bins]).toEqual(naive);
        },
      ),
    );
  });

  it("cuts between any two different floats so that `<= edge` holds for the lower one only", () => {
    fc.assert(
      fc.property(anyFloat, anyFloat, (a, b) => {
        fc.pre(a !== b);
        const edge = edgeBetween(Math.min(a, b), Math.max(a, b));
        expect(Math.fround(edge)).toBe(edge);
        expect(Math.min(a, b) <= edge && Math.max(a, b) > edge).toBe(true);
      }),
    );
  });

  it("computes logistic gradients to 2^-29 of exact ones", () => {
    const scores = [-60, -20, -3, -1e-3, 0, 0.5, 2, 19, 60, -1000];
    new Float64Array(memory.buffer, 1024, scores.length).set(scores);
    floats(4096, scores.length).set(scores.map((_, i) => i % 2));
    kernel.gradientsLogistic(1024, 4096, 0, 0, scores.length, 2 ** 30, 2 ** 29, 8192);
    const pairs = new Int32Array(memory.buffer, 8192, scores.length * 2);
    for (const [i, score] of scores.entries()) {
      const p = 1 / (1 + Math.exp(-score));
      expect(Math.abs((pairs[2 * i] ?? 0) / 2 ** 30 - (p - (i % 2)))).toBeLessThan(2 ** -30);
      expect(Math.abs((pairs[2 * i + 1] ?? 0) / 2 ** 29 - p * (1 - p))).toBeLessThan(2 ** -29);
    }
  });
});

describe("bin edges", () => {
  it("give every distinct value its own bin where they are few", () => {
    expect([...findEdges(Float32Array.of(1, 1, 2, 2, 3), 255)]).toEqual([1.5, 2.5]);
  });

  it("hold equal counts where values are many, and a frequent value alone", () => {
    const sorted = Float32Array.from({ length: 10_000 }, (_, i) => (i < 5000 ? 0 : i));
    const edges = findEdges(sorted, 11);
    expect(edges.length).toBe(10);
    expect(edges[0]).toBe(2500);
    const counts = Array.from(
      edges.slice(1),
      (edge, i) => sorted.filter((v) => v <= edge && v > (edges[i] ?? 0)).length,
    );
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(3);
  });

  it("are fine where values are rare: the outermost bins shrink to one row, whatever lies there can be told apart", () => {
    const sorted = Float32Array.from({ length: 100_000 }, (_, i) => i);
    const edges = findEdges(sorted, 255);
    expect(edges.length).toBeLessThanOrEqual(254);
    expect([...edges]).toEqual([...new Set(edges)].toSorted((a, b) => a - b));
    const above = (rank: number): number => edges.filter((edge) => edge >= 100_000 - rank - 1).length;
    const below = (rank: number): number => edges.filter((edge) => edge <= rank).length;
    for (const count of [above, below]) {
      expect(count(0.6)).toBe(1);
      expect(count(100)).toBeGreaterThan(10);
    }
    // Bins of equal count would hold 392 rows; those of the middle are not much larger.
    const widest = Math.max(...[...edges].slice(1).map((edge, i) => edge - (edges[i] ?? 0)));
    expect(widest).toBeLessThan(500);
  });
});

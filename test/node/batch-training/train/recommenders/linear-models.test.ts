import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildKernel } from "../../../../../batch-training/train/recommenders/ials/build-kernel.ts";
import {
  compileKernel,
  instantiateKernel,
  scratchFloats,
} from "../../../../../batch-training/train/recommenders/ials/kernel.ts";
import {
  type IalsModel,
  type IalsParameters,
  trainIals,
} from "../../../../../batch-training/train/recommenders/ials/train-ials.ts";
import {
  invertSymmetric,
  NotPositiveDefinite,
} from "../../../../../batch-training/train/recommenders/linear-algebra/invert.ts";
import {
  interactionMatrix,
  type SparseMatrix,
} from "../../../../../batch-training/train/recommenders/sparse-matrix.ts";
import { solveFoldIn } from "../../../../../models/recommend/fold-in.ts";
import type { ServedEmbeddings } from "../../../../../models/recommend/served-recommender.ts";
import { seededRandom } from "../../../../../models/stats/random.ts";
import { logOf, tasteRows } from "../../../../support/interaction-logs.ts";

/** Six item vectors of width 8 and the solution for items 0, 2, 5 with weights 1, 2, 0.5 by numpy 2.4.6's linalg.solve. */
const Q = [
  [0.063, -0.066, 0.32, 0.052, -0.268, 0.181, 0.652, 0.474],
  [-0.352, -0.633, -0.312, 0.021, -1.163, -0.109, -0.623, -0.366],
  [-0.272, -0.158, 0.206, 0.521, -0.064, 0.683, -0.333, 0.176],
  [0.452, 0.047, -0.372, -0.461, -0.229, 0.11, -0.505, -0.105],
  [-0.08, 0.27, 0.107, 0.178, -0.327, -0.065, 0.392, 0.747],
  [-0.63, 0.757, 0.673, 0.391, 0.132, -0.157, 0.729, 0.98],
];
const UNOBSERVED = 0.3;
const RIDGE = 0.2;
const SOLUTION = [
  -0.056256893634318975, -0.17959911957062985, 0.41491169175544385, 0.24470589064837003, -0.23214179364547818,
  0.7539651506487202, 0.13583843064995893, 0.35357391542743,
];
const gram = Float32Array.from({ length: 64 }, (_, cell) => {
  const [r, c] = [Math.floor(cell / 8), cell % 8];
  return UNOBSERVED * Q.reduce((sum, q) => sum + (q[r] ?? 0) * (q[c] ?? 0), 0);
});

describe("the iALS kernel", () => {
  it("is what its source compiles to", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ials-kernel-"));
    try {
      await buildKernel(join(folder, "kernel.wasm"));
      const committed = new URL("../../../../../batch-training/train/recommenders/ials/kernel.wasm", import.meta.url);
      expect(readFileSync(join(folder, "kernel.wasm")).equals(readFileSync(committed))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("solves a row as numpy does, leaves a row without entries at 0 and counts one without a solution", () => {
    const memory = new WebAssembly.Memory({ initial: 4, maximum: 65_536, shared: true });
    const kernel = instantiateKernel(compileKernel(), memory);
    const ints = (at: number, values: number[]): number => {
      new Int32Array(memory.buffer, at, values.length).set(values);
      return at;
    };
    const floats = (at: number, values: ArrayLike<number>): number => {
      new Float32Array(memory.buffer, at, values.length).set(values);
      return at;
    };
    const solve = (gramAt: number): number =>
      kernel.solveRows(
        0,
        3,
        8,
        ints(0, [0, 3, 3, 4]),
        ints(64, [0, 2, 5, 1]),
        floats(128, [1, 2, 0.5, 1]),
        floats(192, Q.flat()),
        gramAt,
        floats(1024, [RIDGE, RIDGE, RIDGE]),
        1088,
        2048,
      );
    expect(scratchFloats(8) * 4 + 2048).toBeLessThan(4 * 65_536);
    expect(solve(floats(512, gram))).toBe(0);
    const out = new Float32Array(memory.buffer, 1088, 24);
    for (let f = 0; f < 8; f++) expect(out[f]).toBeCloseTo(SOLUTION[f] ?? Number.NaN, 5);
    expect([...out.subarray(8, 16)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    const negative = gram.map((x, cell) => (cell % 9 === 0 ? -10 : x));
    expect(solve(floats(512, negative))).toBe(2);
  });
});

describe("folding in", () => {
  const embeddings: ServedEmbeddings = {
    kind: "embeddings",
    items: 6,
    dimensions: 8,
    vectors: Float32Array.from(Q.flat()),
    gram,
    ridge: { level: RIDGE, offset: 1, power: 0 },
    profile: { stepDecay: 1, halfLifeSeconds: Infinity },
  };

  it("solves the same system", () => {
    const profile = { items: Int32Array.of(0, 2, 5), weights: Float32Array.of(1, 2, 0.5) };
    const user = solveFoldIn(embeddings, profile);
    for (let f = 0; f < 8; f++) expect(user[f]).toBeCloseTo(SOLUTION[f] ?? Number.NaN, 6);
  });

  it("has no vector for nobody", () => {
    const user = solveFoldIn(embeddings, { items: new Int32Array(0), weights: new Float32Array(0) });
    expect([...user]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });
});

describe("iALS", () => {
  const matrix = interactionMatrix(logOf(tasteRows({ users: 150, items: 80, perUser: 15, seed: 2 })));
  const parameters: IalsParameters = {
    factors: 16,
    sweeps: 4,
    unobserved: 0.1,
    regularisation: 0.02,
    regularisationPower: 0.7,
  };

  it("lowers its objective with every sweep", async () => {
    let before = Infinity;
    for (const sweeps of [1, 2, 3, 5, 9]) {
      const value = objective(await trainIals(matrix, { ...parameters, sweeps }, { seed: 1, threads: 1 }), matrix);
      expect(value).toBeLessThan(before);
      before = value;
    }
  });

  it("is the same to the bit for one and for two threads", async () => {
    const large = interactionMatrix(logOf(tasteRows({ users: 1_200, items: 400, perUser: 25, seed: 4 })));
    const run = (threads: number): Promise<IalsModel> =>
      trainIals(large, { ...parameters, factors: 48, sweeps: 1 }, { seed: 1, threads });
    const [one, two] = [await run(1), await run(2)];
    expect(Buffer.from(two.itemFactors.buffer).equals(Buffer.from(one.itemFactors.buffer))).toBe(true);
    expect(Buffer.from(two.userFactors.buffer).equals(Buffer.from(one.userFactors.buffer))).toBe(true);
  });

  it("starts from its seed", async () => {
    const run = async (seed: number): Promise<Float32Array> =>
      (await trainIals(matrix, { ...parameters, sweeps: 1 }, { seed, threads: 1 })).itemFactors;
    expect(await run(1)).toEqual(await run(1));
    expect(await run(1)).not.toEqual(await run(2));
  });

  it("pads the width to a multiple of 8", async () => {
    expect((await trainIals(matrix, { ...parameters, factors: 5, sweeps: 1 }, { seed: 1, threads: 1 })).d).toBe(8);
  });

  it.each([{ factors: 0 }, { sweeps: 0 }, { regularisation: 0 }, { unobserved: -1 }])("refuses %o", async (wrong) => {
    await expect(trainIals(matrix, { ...parameters, ...wrong }, { seed: 1, threads: 1 })).rejects.toThrow(RangeError);
  });
});

/** The objective of `train-ials.ts`, written out over all pairs. */
function objective(model: IalsModel, matrix: SparseMatrix): number {
  const { d, userFactors, itemFactors } = model;
  const { unobserved, regularisation, regularisationPower: power } = model.parameters;
  const entries = matrix.column.length;
  const square = (factors: Float32Array, row: number): number =>
    factors.subarray(row * d, (row + 1) * d).reduce((sum, x) => sum + x * x, 0);
  const ridge = (count: number, others: number, rows: number): number =>
    regularisation * (count + unobserved * others) ** power * (entries / rows + unobserved * others) ** (1 - power);
  const itemCounts = new Float64Array(matrix.columns);
  for (const item of matrix.column) itemCounts[item] = (itemCounts[item] ?? 0) + 1;
  let sum = 0;
  for (let user = 0; user < matrix.rows; user++) {
    const from = matrix.start[user] ?? 0;
    const to = matrix.start[user + 1] ?? 0;
    const own = new Set(matrix.column.subarray(from, to));
    for (let item = 0; item < matrix.columns; item++) {
      let dot = 0;
      for (let f = 0; f < d; f++) dot += (userFactors[user * d + f] ?? 0) * (itemFactors[item * d + f] ?? 0);
      sum += unobserved * dot * dot + (own.has(item) ? (1 - dot) ** 2 : 0);
    }
    sum += ridge(to - from, matrix.columns, matrix.rows) * square(userFactors, user);
  }
  for (let item = 0; item < matrix.columns; item++) {
    sum += ridge(itemCounts[item] ?? 0, matrix.rows, matrix.columns) * square(itemFactors, item);
  }
  return sum;
}

describe("inverting a symmetric matrix", () => {
  it.each([1, 7, 383, 385, 700])("gives A A⁻¹ = I for %i rows", async (n) => {
    const random = seededRandom(n);
    const a = new Float32Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < i; j++) a[i * n + j] = a[j * n + i] = random() < 0.1 ? random() : 0;
      a[i * n + i] = 0.1 * n + random();
    }
    const inverse = a.slice();
    await invertSymmetric(inverse, n, 1);
    let worst = 0;
    for (let sample = 0; sample < 40; sample++) {
      const i = Math.floor(n * random());
      const j = sample % 2 === 0 ? i : Math.floor(n * random());
      let sum = 0;
      for (let k = 0; k < n; k++) sum += (a[i * n + k] ?? 0) * (inverse[k * n + j] ?? 0);
      worst = Math.max(worst, Math.abs(sum - (i === j ? 1 : 0)));
    }
    expect(worst).toBeLessThan(1e-5);
  });

  it.each([3, 500])("refuses a matrix that is not positive definite (%i rows)", async (n) => {
    const matrix = new Float32Array(n * n);
    for (let i = 0; i < n; i++) matrix[i * n + i] = i === n - 1 ? -1 : 1;
    await expect(invertSymmetric(matrix, n, 1)).rejects.toThrow(NotPositiveDefinite);
  });
});

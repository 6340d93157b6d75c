import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadCompact } from "../../../batch-training/evaluate/load-session.ts";
import { UnsupportedOperator } from "../../../models/engine/unsupported-operator.ts";
import { CLOSE, expectAlike, fuzzParameters } from "../../support/onnx/against-ort.ts";
import {
  arbitraryEnsemble,
  arbitraryRows,
  type EnsembleShape,
  MODES,
  withMembers,
} from "../../support/onnx/arbitrary-ensemble.ts";
import {
  AGGREGATES,
  classifierBytes,
  ensembleV5Bytes,
  POST_TRANSFORMS,
  type PostTransform,
  regressorBytes,
} from "../../support/onnx/ensemble-model.ts";

const withRows = (ensembles: fc.Arbitrary<EnsembleShape>) =>
  ensembles.chain((shape) => arbitraryRows(shape).map((batch) => ({ shape, batch, rows: batch.length / shape.width })));

const LIMIT = 64;
const base = (targets: number) =>
  fc.option(
    fc.array(
      fc.integer({ min: -LIMIT, max: LIMIT }).map((value) => value / 4),
      { minLength: targets, maxLength: targets },
    ),
  );

const tolerance = (post: PostTransform) => (post === "NONE" ? "exact" : CLOSE);

/** Runs a property and insists that ONNX Runtime took most of its graphs, so that it cannot pass by testing nothing. */
async function check<T>(arbitrary: fc.Arbitrary<T>, runs: number, one: (value: T) => Promise<boolean>): Promise<void> {
  let taken = 0;
  let total = 0;
  await fc.assert(
    fc.asyncProperty(arbitrary, async (value) => {
      total++;
      if (await one(value)) taken++;
    }),
    fuzzParameters(runs),
  );
  expect(taken / total).toBeGreaterThan(0.5);
}

describe("TreeEnsembleRegressor", () => {
  it.each(MODES)("BRANCH_%s: ties, missing, infinite and denormal values reach ONNX Runtime's leaf", async (mode) => {
    const ensembles = arbitraryEnsemble({ modes: [mode], maxTargets: 1, severalWeights: false });
    await check(withRows(ensembles), 60, ({ shape, batch, rows }) =>
      expectAlike(regressorBytes(shape, { aggregate: "SUM", post: "NONE", base: null }), batch, {
        rows,
        tolerance: "exact",
      }),
    );
  });

  it("mixed modes, several targets, several weights at a leaf, every aggregate, base values", async () => {
    const ensembles = arbitraryEnsemble({ modes: MODES, maxTargets: 3, severalWeights: true });
    const cases = withRows(ensembles).chain((value) =>
      fc.record({
        value: fc.constant(value),
        aggregate: fc.constantFrom(...AGGREGATES),
        base: base(value.shape.targets),
      }),
    );
    await check(cases, 200, ({ value: { shape, batch, rows }, aggregate, base }) =>
      expectAlike(regressorBytes(shape, { aggregate, post: "NONE", base }), batch, { rows, tolerance: CLOSE }),
    );
  });

  it.each(POST_TRANSFORMS)("post-transform %s", async (post) => {
    const ensembles = arbitraryEnsemble({ modes: ["LEQ"], maxTargets: 3, severalWeights: true });
    const cases = withRows(ensembles).chain((value) =>
      fc.record({
        value: fc.constant(value),
        aggregate: fc.constantFrom(...AGGREGATES),
        base: base(value.shape.targets),
      }),
    );
    await check(cases, 60, ({ value: { shape, batch, rows }, aggregate, base }) =>
      expectAlike(regressorBytes(shape, { aggregate, post, base }), batch, { rows, tolerance: CLOSE }),
    );
  });

  it("a single leaf, a deep chain, and many small trees", async () => {
    const leaf = { kind: "leaf", weights: [{ target: 0, eighths: 4 }] } as const;
    const chain = Array.from({ length: 40 }).reduce<EnsembleShape["trees"][number]>(
      (below, _, depth) => ({
        kind: "split",
        mode: "LEQ",
        feature: depth % 2,
        threshold: depth,
        missingTrue: depth % 3 === 0,
        whenTrue: leaf,
        whenFalse: depth % 5 === 0 ? below : { ...below },
      }),
      { kind: "leaf", weights: [{ target: 0, eighths: 16 }] },
    );
    for (const trees of [[leaf], [chain], Array.from({ length: 100 }, () => leaf), [chain, leaf, chain]]) {
      const bytes = regressorBytes({ width: 2, targets: 1, trees }, { aggregate: "SUM", post: "NONE", base: null });
      const batch = Float32Array.of(0, 0, 39, 39, 41, 41, Number.NaN, 20, 3.5, Infinity);
      expect(await expectAlike(bytes, batch, { rows: 5, tolerance: "exact" })).toBe(true);
    }
  });
});

/** ONNX Runtime leaves the second score of a binary model without a value under PROBIT: nothing to compare with. */
const BINARY_POSTS = POST_TRANSFORMS.filter((post) => post !== "PROBIT");

describe("TreeEnsembleClassifier", () => {
  /** The encodings of a binary model that load without complaint and mean different things. */
  it.each([
    ["class 0 alone, one base value", 0, [0.5]],
    ["class 0 alone, base in the leaves", 0, null],
    ["class 0 alone, two base values", 0, [0.5, 0]],
    ["class 1 alone, one base value", 1, [0.5]],
    ["class 1 alone, two base values", 1, [0, 0.5]],
    ["class 1 alone, base in the leaves", 1, null],
  ])("binary, %s, in every post-transform and label type", async (_name, classId, base) => {
    const ensembles = arbitraryEnsemble({ modes: ["LEQ", "LT"], maxTargets: 1, severalWeights: false });
    const cases = fc.record({
      value: withRows(ensembles),
      post: fc.constantFrom(...BINARY_POSTS),
      labels: fc.constantFrom("strings" as const, "integers" as const),
    });
    await check(cases, 60, ({ value: { shape, batch, rows }, post, labels }) =>
      expectAlike(classifierBytes(shape, { classes: 2, classOf: () => classId, post, base, labels }), batch, {
        rows,
        tolerance: tolerance(post),
      }),
    );
  });

  it("binary with weights that are all positive: the scores are taken for probabilities", async () => {
    const ensembles = arbitraryEnsemble({ modes: ["LEQ"], maxTargets: 1, severalWeights: false }).map((shape) => ({
      ...shape,
      trees: shape.trees.map(positive),
    }));
    const cases = fc.record({
      value: withRows(ensembles),
      post: fc.constantFrom(...BINARY_POSTS),
      classId: fc.constantFrom(0, 1),
      base: fc.constantFrom(null, [0.25], [0.25, 0.5]),
    });
    await check(cases, 100, ({ value: { shape, batch, rows }, post, classId, base }) =>
      expectAlike(
        classifierBytes(shape, { classes: 2, classOf: () => classId, post, base, labels: "integers" }),
        batch,
        {
          rows,
          tolerance: tolerance(post),
        },
      ),
    );
  });

  it("weights for both classes, and three or more classes, with and without base values", async () => {
    const cases = fc.integer({ min: 2, max: 4 }).chain((classes) =>
      fc.record({
        classes: fc.constant(classes),
        value: withRows(arbitraryEnsemble({ modes: ["LEQ", "LT", "GT"], maxTargets: classes, severalWeights: true })),
        post: fc.constantFrom(...(classes === 2 ? BINARY_POSTS : POST_TRANSFORMS)),
        base: base(classes),
        labels: fc.constantFrom("strings" as const, "integers" as const),
      }),
    );
    await check(cases, 200, ({ classes, value: { shape, batch, rows }, post, base, labels }) =>
      expectAlike(classifierBytes(shape, { classes, classOf: (target) => target, post, base, labels }), batch, {
        rows,
        tolerance: CLOSE,
      }),
    );
  });
});

describe("what ONNX Runtime reads in a way of its own", () => {
  it("a leaf without a weight is left to ONNX Runtime", () => {
    const shape = { width: 1, targets: 1, trees: [{ kind: "leaf" as const, weights: [] }] };
    const bytes = regressorBytes(shape, { aggregate: "SUM", post: "NONE", base: null });
    expect(() => loadCompact(bytes)).toThrow(UnsupportedOperator);
  });
});

describe("TreeEnsemble (ai.onnx.ml 5)", () => {
  it.each(MODES)("mode %s reaches ONNX Runtime's leaf", async (mode) => {
    const ensembles = arbitraryEnsemble({ modes: [mode], maxTargets: 1, severalWeights: false });
    await check(withRows(ensembles), 40, ({ shape, batch, rows }) =>
      expectAlike(ensembleV5Bytes(shape, { aggregate: "SUM", post: "NONE" }), batch, { rows, tolerance: "exact" }),
    );
  });

  /** ONNX Runtime cuts a value to its whole part before it looks into a set, so only whole numbers and NaN are asked. */
  it("membership in sets beside ordered splits, categories of no set and missing ones included", async () => {
    const ensembles = withMembers(arbitraryEnsemble({ modes: ["LEQ", "LT"], maxTargets: 1, severalWeights: false }));
    const category = fc.oneof(fc.integer({ min: -3, max: 40 }), fc.constantFrom(Number.NaN, Infinity, -Infinity));
    const cases = ensembles.chain((shape) =>
      fc.array(category, { minLength: 8 * shape.width, maxLength: 8 * shape.width }).map((cells) => ({ shape, cells })),
    );
    await check(cases, 200, ({ shape, cells }) =>
      expectAlike(ensembleV5Bytes(shape, { aggregate: "SUM", post: "NONE" }), Float32Array.from(cells), {
        rows: 8,
        tolerance: "exact",
      }),
    );
  });

  it("mixed modes, several targets, every aggregate and post-transform", async () => {
    const cases = fc.record({
      value: withRows(arbitraryEnsemble({ modes: MODES, maxTargets: 3, severalWeights: false })),
      aggregate: fc.constantFrom(...AGGREGATES),
      post: fc.constantFrom(...POST_TRANSFORMS),
    });
    await check(cases, 150, ({ value: { shape, batch, rows }, aggregate, post }) =>
      expectAlike(ensembleV5Bytes(shape, { aggregate, post }), batch, { rows, tolerance: CLOSE }),
    );
  });
});

function positive(shape: EnsembleShape["trees"][number]): EnsembleShape["trees"][number] {
  if (shape.kind === "split")
    return { ...shape, whenTrue: positive(shape.whenTrue), whenFalse: positive(shape.whenFalse) };
  return {
    kind: "leaf",
    weights: shape.weights.map(({ target, eighths }) => ({ target, eighths: Math.abs(eighths) })),
  };
}

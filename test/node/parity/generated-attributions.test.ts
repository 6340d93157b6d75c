import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadCompact } from "../../../batch-training/evaluate/load-session.ts";
import type { Contributions } from "../../../models/engine/session.ts";
import { fuzzParameters } from "../../support/onnx/against-ort.ts";
import {
  arbitraryEnsemble,
  arbitraryRows,
  type EnsembleShape,
  MODES,
  type TreeShape,
} from "../../support/onnx/arbitrary-ensemble.ts";
import { regressorBytes } from "../../support/onnx/ensemble-model.ts";
import {
  covered,
  type CoveredTree,
  coversInFileOrder,
  type NaiveAttribution,
  naivePath,
  naiveShapley,
} from "../../support/onnx/naive-shapley.ts";

interface Case {
  readonly shape: EnsembleShape;
  readonly trees: readonly CoveredTree[];
  readonly batch: Float32Array;
  readonly base: readonly number[] | null;
}

/** Comparisons that order their values: what the engine explains, and all that any trainer emits for numbers. */
const ORDERED = MODES.filter((mode) => mode !== "EQ" && mode !== "NEQ");

const cases = (options: { maxTargets: number; emptyLeaves: boolean; maxDepth?: number }): fc.Arbitrary<Case> =>
  arbitraryEnsemble({ modes: ORDERED, severalWeights: false, ...options })
    .map((shape) => ({ ...shape, trees: shape.trees.map((tree, index) => aimed(tree, index % shape.targets)) }))
    .chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        trees: fc.constant(covered(shape, options.emptyLeaves)),
        batch: arbitraryRows(shape, 4),
        base: fc.option(
          fc.array(fc.integer({ min: -9, max: 9 }), { minLength: shape.targets, maxLength: shape.targets }),
        ),
      }),
    );

/** The tree with all its leaves on one target, as trainers of several classes build them. */
function aimed(tree: TreeShape, target: number): TreeShape {
  if (tree.kind === "leaf") return { kind: "leaf", weights: tree.weights.map(({ eighths }) => ({ target, eighths })) };
  return { ...tree, whenTrue: aimed(tree.whenTrue, target), whenFalse: aimed(tree.whenFalse, target) };
}

type Attribute = (row: Float32Array) => Contributions;
type Naive = typeof naiveShapley;

/** Holds one way of attributing to its definition, on every row and target. */
function hold(
  arbitrary: fc.Arbitrary<Case>,
  runs: number,
  way: { of: (bytes: Uint8Array) => Attribute; naive: Naive },
): void {
  fc.assert(
    fc.property(arbitrary, ({ shape, trees, batch, base }) => {
      const covers = coversInFileOrder(trees);
      const attribute = way.of(regressorBytes(shape, { aggregate: "SUM", post: "NONE", base, covers }));
      for (let start = 0; start < batch.length; start += shape.width) {
        const row = batch.subarray(start, start + shape.width);
        const own = attribute(row);
        expect([own.features, own.outputs]).toEqual([shape.width, shape.targets]);
        for (let target = 0; target < shape.targets; target++) {
          compare(own, way.naive(trees, row, { width: shape.width, target }), { target, base: base?.[target] ?? 0 });
        }
      }
    }),
    fuzzParameters(runs),
  );
}

function compare(own: Contributions, naive: NaiveAttribution, at: { target: number; base: number }): void {
  const values = own.values.subarray(at.target * own.features, (at.target + 1) * own.features);
  for (const [feature, value] of naive.values.entries()) {
    expect(Math.abs((values[feature] ?? Number.NaN) - value), `feature ${feature}`).toBeLessThan(1e-9);
  }
  expect(Math.abs((own.base[at.target] ?? Number.NaN) - naive.base - at.base), "base").toBeLessThan(1e-9);
  const sum = values.reduce((total, value) => total + value, own.base[at.target] ?? 0);
  expect(Math.abs(sum - (own.raw[at.target] ?? Number.NaN)), "additivity").toBeLessThan(1e-9);
}

const present = (attribute: Attribute | null): Attribute => {
  if (!attribute) throw new Error("the session does not explain");
  return attribute;
};

const exact = (plain: boolean) => ({
  of: (bytes: Uint8Array) => present(loadCompact(bytes, { plain }).explain),
  naive: naiveShapley,
});
const path = (plain: boolean) => ({
  of: (bytes: Uint8Array) => present(loadCompact(bytes, { plain }).preview),
  naive: naivePath,
});
const ENGINES = [
  ["with kernels", false],
  ["in plain JavaScript", true],
] as const;

describe.each(ENGINES)("exact attributions %s", (_name, plain) => {
  it("are Shapley values by definition: ordered comparisons, repeated features, missing and infinite values", () => {
    hold(cases({ maxTargets: 1, emptyLeaves: false, maxDepth: 6 }), 150, exact(plain));
  });

  it("for several targets at once", () => {
    hold(cases({ maxTargets: 3, emptyLeaves: false }), 100, exact(plain));
  });

  it("where leaves were reached by no training row", () => {
    hold(cases({ maxTargets: 1, emptyLeaves: true }), 150, exact(plain));
  });
});

describe.each(ENGINES)("path attributions %s", (_name, plain) => {
  it("are Saabas' by definition, and add up as well", () => {
    hold(cases({ maxTargets: 2, emptyLeaves: false, maxDepth: 6 }), 150, path(plain));
  });
});

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { loadCompact } from "../../../batch-training/evaluate/load-session.ts";
import { supportedOperators } from "../../../models/engine/registry.ts";
import { UnsupportedOperator } from "../../../models/engine/unsupported-operator.ts";
import { CLOSE, expectAlike, fuzzParameters } from "../../support/onnx/against-ort.ts";
import { elementwiseCases } from "../../support/onnx/elementwise-cases.ts";
import { mathCases } from "../../support/onnx/math-cases.ts";
import { mlCases } from "../../support/onnx/ml-cases.ts";
import { drawCase } from "../../support/onnx/operator-case.ts";
import { shapeCases } from "../../support/onnx/shape-cases.ts";

const cases = [...elementwiseCases, ...mathCases, ...shapeCases, ...mlCases];
const supported = new Set(supportedOperators());
/** Held by `generated-trees.test.ts`. */
const ELSEWHERE = /TreeEnsemble/;

it("every operator that the compact engine lists has a generated case", () => {
  const covered = new Set(cases.map(({ operator }) => operator));
  expect([...supported].filter((operator) => !covered.has(operator) && !ELSEWHERE.test(operator))).toEqual([]);
});

describe.each(
  cases.filter(({ operator }) => supported.has(operator)).map((one) => [one.operator, one.variant, one] as const),
)("%s %s", (_operator, _variant, one) => {
  it("gives ONNX Runtime's values, in a batch and row by row", async () => {
    let taken = 0;
    let total = 0;
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (generate) => {
        const { bytes, batch, rows } = drawCase(one, generate);
        total++;
        if (await expectAlike(bytes, batch, { rows, tolerance: CLOSE })) taken++;
      }),
      // Shrinking draws of this many kinds costs minutes and the graphs are small as they are.
      { ...fuzzParameters(20), endOnFailure: true },
    );
    expect(taken / total, "share of graphs that ONNX Runtime took").toBeGreaterThan(0.5);
  });
});

it("operators outside the list are refused by name, never run wrongly", () => {
  for (const one of cases.filter(({ operator }) => !supported.has(operator))) {
    fc.assert(
      fc.property(fc.gen(), (generate) => {
        const { bytes } = drawCase(one, generate);
        expect(() => loadCompact(bytes)).toThrow(UnsupportedOperator);
      }),
      fuzzParameters(3),
    );
  }
});

import { describe, expect, it } from "vitest";
import { compactSession } from "../../../batch-training/evaluate/load-session.ts";
import type { Contributions, Session } from "../../../models/engine/session.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { encodeTreeCover, treeCoverKey } from "../../../models/onnx/tree-cover.ts";
import { type GoldenFixture, goldenFixtures } from "../../support/onnx/golden-fixtures.ts";
import { ensembleOf } from "../../support/onnx/leaf-probe.ts";

/** The model with its covers where the compact engine looks for them. */
function explainable(fixture: GoldenFixture, plain: boolean): Session {
  const model = readModel(fixture.bytes);
  const [output = ""] = ensembleOf(model).outputs;
  const covers = encodeTreeCover(fixture.covers?.data ?? new Float64Array(0));
  return compactSession(
    { ...model, metadata: new Map([...model.metadata, [treeCoverKey(output), covers]]) },
    { plain },
  );
}

function* rowsOf(fixture: GoldenFixture): Generator<[number, Float32Array]> {
  const { values, rows, width } = fixture.input;
  for (let row = 0; row < rows; row++) yield [row, values.subarray(row * width, (row + 1) * width)];
}

/** Largest difference, with kernels and without, to `rows × outputs × (features + 1)` reference values, base last. */
function largestError(fixture: GoldenFixture, reference: Float64Array): number {
  return Math.max(...[true, false].map((plain) => errorOf(explainable(fixture, plain), fixture, reference)));
}

function errorOf(session: Session, fixture: GoldenFixture, reference: Float64Array): number {
  const { width, rows } = fixture.input;
  const outputs = reference.length / rows / (width + 1);
  let worst = 0;
  for (const [row, values] of rowsOf(fixture)) {
    const own = contributionsOf(session, values);
    expect([own.features, own.outputs]).toEqual([width, outputs]);
    for (let output = 0; output < outputs; output++) {
      const start = (row * outputs + output) * (width + 1);
      for (let feature = 0; feature < width; feature++) {
        const error = (own.values[output * width + feature] ?? Number.NaN) - (reference[start + feature] ?? Number.NaN);
        worst = Math.max(worst, Number.isNaN(error) ? Infinity : Math.abs(error));
      }
      worst = Math.max(worst, Math.abs((own.base[output] ?? Number.NaN) - (reference[start + width] ?? Number.NaN)));
    }
  }
  return worst;
}

function contributionsOf(session: Session, row: Float32Array): Contributions {
  if (!session.explain) throw new Error("the session does not explain");
  return session.explain(row);
}

const explained = goldenFixtures.filter((fixture) => fixture.covers);
const named = (fixtures: readonly GoldenFixture[]) => fixtures.map((fixture) => [fixture.id, fixture] as const);

it("the fixtures cover every library of trees", () => {
  expect(new Set(explained.map((fixture) => fixture.family))).toEqual(new Set(["lightgbm", "sklearn", "xgboost"]));
});

describe.each(named(explained))("%s", (_id, fixture) => {
  it("attributions are those of the shap package on the same trees, within 1e-9", () => {
    expect(largestError(fixture, fixture.shap?.data ?? new Float64Array(0))).toBeLessThan(1e-9);
  });

  it.each([true, false])("base and attributions add up to the raw score, within 1e-9 (plain: %s)", (plain) => {
    const session = explainable(fixture, plain);
    for (const [, row] of rowsOf(fixture)) {
      const { features, outputs, base, values, raw } = contributionsOf(session, row);
      for (let output = 0; output < outputs; output++) {
        const sum = values
          .subarray(output * features, (output + 1) * features)
          .reduce((a, b) => a + b, base[output] ?? 0);
        expect(Math.abs(sum - (raw[output] ?? Number.NaN))).toBeLessThan(1e-9);
      }
    }
  });
});

describe.each(named(explained.filter((fixture) => fixture.contrib)))("%s", (_id, fixture) => {
  it("attributions are LightGBM's pred_contrib end to end, within 1e-5", () => {
    expect(largestError(fixture, fixture.contrib?.data ?? new Float64Array(0))).toBeLessThan(1e-5);
  });
});

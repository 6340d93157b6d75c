import { describe, expect, it } from "vitest";
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { buildTrainingRows } from "../../../batch-training/features/build-training-rows.ts";
import { FEATURE_CATALOG } from "../../../models/catalog/feature-catalog.ts";
import { fraudLabel } from "../../../models/catalog/fraud-orders/label.ts";
import type { Checks } from "../../../models/features/definition.ts";
import { checkColumns, checkService, qualityText, stabilityIndex } from "../../../models/features/quality.ts";
import { generatedLog } from "../../support/generated-log.ts";

const found = (
  checks: Checks,
  values: number[],
  reference: number[] | null = null,
  age: number | null = null,
): string[] =>
  checkColumns(
    [{ name: "x", checks }],
    [Float32Array.from(values)],
    reference === null ? null : [Float32Array.from(reference)],
    age,
  ).findings.map((finding) => finding.check);

describe("quality checks", () => {
  it("pass on sound rows of the product's own features", async () => {
    const rows = await buildTrainingRows({
      events: generatedLog(500, 5),
      catalog: FEATURE_CATALOG,
      service: FRAUD_FEATURES,
      label: fraudLabel,
      maturityMs: 0,
    });
    const report = checkService(FRAUD_FEATURES.definition, rows.columns);
    expect(report.findings).toEqual([]);
    expect(report.checks).toBeGreaterThan(20);
    expect(qualityText(report)).toMatch(/^\d+ checks on 500 rows passed$/);
  });

  it.each<[string, Checks, number[]]>([
    ["maxNullShare", { maxNullShare: 0.4 }, [1, Number.NaN]],
    ["min", { min: 0 }, [-1, 2]],
    ["max", { max: 1 }, [0.5, 1.5]],
    ["max", {}, [1, Number.POSITIVE_INFINITY]],
    ["minDistinct", { minDistinct: 2 }, [3, 3, 3]],
  ])("%s finds what is wrong and nothing else", (check, checks, values) => {
    expect(found(checks, values)).toEqual([check]);
    expect(found({ maxNullShare: 0.5, min: -1, max: 3, minDistinct: 1 }, values.filter(Number.isFinite))).toEqual([]);
  });

  it("find a load that is too old, and a distribution that moved", () => {
    expect(found({ maxAgeSeconds: 60 }, [1], null, 61)).toEqual(["maxAgeSeconds"]);
    expect(found({ maxAgeSeconds: 60 }, [1], null, 59)).toEqual([]);
    const reference = Array.from({ length: 1_000 }, (_, i) => i);
    expect(found({ maxShift: 0.25 }, reference.toReversed(), reference)).toEqual([]);
    expect(
      found(
        { maxShift: 0.25 },
        reference.map((value) => value + 400),
        reference,
      ),
    ).toEqual(["maxShift"]);
  });

  it("measure a shift as the population stability index of a worked example", () => {
    // Tenths of the reference; the sample has 20 % in the first and none in the last: 0.1·ln 2 + (0.1 − 0.0001)·ln(0.1/0.0001).
    const reference = Float32Array.from({ length: 1_000 }, (_, i) => i / 100);
    const sample = Float32Array.from({ length: 1_000 }, (_, i) => (i < 900 ? i / 100 : (i - 900) / 100));
    expect(stabilityIndex(reference, sample)).toBeCloseTo(0.1 * Math.log(2) + 0.0999 * Math.log(1_000), 4);
  });

  it("say in words what failed", () => {
    const report = checkColumns([{ name: "amount", checks: { min: 0 } }], [Float32Array.of(-3)], null);
    expect(qualityText(report)).toBe("1 of 1 checks on 1 rows failed:\n  amount: the smallest value is -3, below 0");
  });
});

import { describe, expect, it } from "vitest";
import { describeParity, exportParity } from "../../../../batch-training/evaluate/export-parity.ts";
import { singleNode, stumps } from "../../../support/onnx/small-models.ts";

const batch = Float32Array.of(0, 0, 0, 2, 0, -1, Number.NaN, 0, Number.NaN);
const sigmoid = (raw: number): number => 1 / (1 + Math.exp(-raw));
/** The two stumps by hand, as a trainer would have scored them. */
const trainer = [sigmoid(0.25 - 1 + 2), sigmoid(0.25 + 2 - 1), sigmoid(0.25 - 1 + 2)];
const tolerance = { absolute: 1e-6, relative: 1e-5 };

describe("parity of an export", () => {
  it("passes where both engines repeat the trainer's scores, and the explanations add up", async () => {
    const parity = await exportParity({ bytes: stumps(), batch, rows: 3, expected: trainer, tolerance });
    expect(parity).toMatchObject({ ok: true, failure: null, rows: 3 });
    expect(parity.compact?.absolute).toBeLessThan(1e-6);
    expect(parity.additivity?.error).toBeLessThan(1e-12);
    expect(describeParity(parity)).toHaveLength(3);
  });

  it("fails where one score differs, and names the row for both engines", async () => {
    const expected = trainer.with(1, 0.5);
    const parity = await exportParity({ bytes: stumps(), batch, rows: 3, expected, tolerance });
    expect(parity).toMatchObject({ ok: false, ort: { row: 1, excessRow: 1 }, compact: { row: 1 } });
    expect(parity.failure).toMatch(/on ONNX Runtime: row 1 is .* trainer 0\.5, engine 0\.777/);
    expect(describeParity(parity)[0]).toContain("at row 1 (trainer 0.5, engine 0.777");
  });

  it("is judged on ONNX Runtime alone where the compact engine does not run the graph", async () => {
    const input = { bytes: singleNode("Hardmax"), batch: Float32Array.of(2, 3, 1), rows: 1 };
    const parity = await exportParity({ ...input, expected: [0, 1, 0], tolerance });
    expect(parity).toMatchObject({ ok: true, compact: null, additivity: null });
    expect(parity.compactReason).toContain("Hardmax");
  });

  it("of scores that do not fit the model is an error that states both widths", async () => {
    const input = { bytes: stumps(), batch, rows: 3, tolerance };
    await expect(exportParity({ ...input, expected: [...trainer, ...trainer] })).rejects.toThrow(
      "the model gives 1 values per row, the trainer gave 2",
    );
    await expect(exportParity({ ...input, expected: [1, 2] })).rejects.toThrow("do not fit 3 rows");
  });
});

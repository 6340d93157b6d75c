import { describe, expect, it } from "vitest";
import { loadCompact, loadOrt } from "../../../batch-training/evaluate/load-session.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { type GoldenFixture, goldenFixtures } from "../../support/onnx/golden-fixtures.ts";
import { leafProbe } from "../../support/onnx/leaf-probe.ts";
import { expectClose, expectSame } from "../../support/onnx/expect-scores.ts";

const families = [...new Set(goldenFixtures.map((fixture) => fixture.family))];
const ids = (fixtures: readonly GoldenFixture[]) => fixtures.map((fixture) => [fixture.id, fixture] as const);

const TOLERANCE = { relative: 1e-5, absolute: 1e-6 };

it("there are at least three exports of each library", () => {
  expect(families).toEqual(["lightgbm", "sklearn", "torch", "xgboost"]);
  for (const family of families) {
    expect(goldenFixtures.filter((fixture) => fixture.family === family).length).toBeGreaterThanOrEqual(3);
  }
});

describe.each(ids(goldenFixtures))("%s", (_id, fixture) => {
  const { values, rows } = fixture.input;

  it("on ONNX Runtime gives the library's scores", async () => {
    const session = await loadOrt(fixture.bytes);
    expectClose(await session.run(values, rows), fixture.output.data, TOLERANCE);
    await session.release();
  });

  it.each([
    ["with kernels", false],
    ["in plain JavaScript", true],
  ])("on the compact engine, %s, gives the library's scores, in a batch and row by row", (_name, plain) => {
    const session = loadCompact(fixture.bytes, { plain });
    const batch = session.run(values, rows).slice();
    expectClose(batch, fixture.output.data, TOLERANCE);
    const width = fixture.input.width;
    const single = Array.from({ length: rows }, (_, row) => [
      ...session.run(values.subarray(row * width, (row + 1) * width), 1),
    ]).flat();
    expectClose(single, fixture.output.data, TOLERANCE);
  });
});

describe.each(ids(goldenFixtures.filter((fixture) => fixture.leaves)))("%s: leaves", (_id, fixture) => {
  const probe = leafProbe(readModel(fixture.bytes), fixture.input.width);
  const { values, rows } = fixture.input;

  it("ONNX Runtime reaches the library's leaf in every tree", async () => {
    const session = await loadOrt(probe);
    expectSameLeaves(await session.run(values, rows), fixture);
    await session.release();
  });

  it("the compact engine reaches the library's leaf, the one ONNX Runtime reaches", async () => {
    const session = await loadOrt(probe);
    const judged = await session.run(values, rows);
    await session.release();
    for (const plain of [true, false]) {
      const compact = loadCompact(probe, { plain }).run(values, rows);
      expectSameLeaves(compact, fixture);
      expectSame(compact, judged);
    }
  });
});

/**
 * The library numbers its leaves in its own way, so the leaves are the same if, tree by tree, its numbers and ours map one
 * to one over all rows.
 */
function expectSameLeaves(ours: Float32Array, fixture: GoldenFixture): void {
  const theirs = fixture.leaves?.data ?? new Float64Array(0);
  const { rows } = fixture.input;
  const trees = ours.length / rows;
  expect(theirs.length).toBe(ours.length);
  for (let tree = 0; tree < trees; tree++) {
    const forward = new Map<number, number>();
    const backward = new Map<number, number>();
    for (let row = 0; row < rows; row++) {
      const own = ours[row * trees + tree] ?? -1;
      const library = theirs[row * trees + tree] ?? -1;
      const where = `row ${row}, tree ${tree}: leaf ${own} for the library's ${library}`;
      expect(forward.get(library) ?? own, where).toBe(own);
      expect(backward.get(own) ?? library, where).toBe(library);
      forward.set(library, own);
      backward.set(own, library);
    }
  }
}

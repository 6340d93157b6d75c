import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compactSession } from "../../../batch-training/evaluate/load-session.ts";
import { UnsupportedOperator } from "../../../models/engine/unsupported-operator.ts";
import { OnnxError } from "../../../models/onnx/error.ts";
import type { Model } from "../../../models/onnx/model.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { allocatedBytes } from "../../support/allocated-bytes.ts";
import { fuzzParameters } from "../../support/onnx/against-ort.ts";
import { goldenFixtures } from "../../support/onnx/golden-fixtures.ts";
import { mutate } from "../../support/onnx/mutate.ts";
import { Draw } from "../../support/onnx/operator-case.ts";
import { linear, singleNode, stumps } from "../../support/onnx/small-models.ts";

/** The smaller files: wounds then hit structure more often than weights. */
const corpus = [
  ...goldenFixtures.map(({ bytes }) => bytes).filter((bytes) => bytes.length < 20_000),
  stumps(),
  singleNode("Relu"),
  linear(12),
];

const damaged = fc.gen().map((generate) => {
  const draw = new Draw(generate);
  return mutate(draw.pick(...corpus), draw.pick(...corpus), draw);
});

/** A byte of packed integers becomes a double, and lists grow by doubling: at most this per byte, and a little for all. */
const READ_BYTES_PER_BYTE = 40;
const READ_BYTES_BASE = 64 * 1024;
const SECONDS_PER_FILE = 1;

function timed<T>(work: () => T): T {
  const start = performance.now();
  const result = work();
  expect(performance.now() - start, "milliseconds").toBeLessThan(SECONDS_PER_FILE * 1000);
  return result;
}

/** The model, or null where the file was refused as it should be. */
function read(bytes: Uint8Array): Model | null {
  try {
    return readModel(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(OnnxError);
    expect((error as OnnxError).message).not.toBe("");
    return null;
  }
}

describe("a damaged file", () => {
  it("is read or refused with a typed error, in bounded time, within memory that its bytes justify", () => {
    let refused = 0;
    let total = 0;
    fc.assert(
      fc.property(damaged, (bytes) => {
        const measured = timed(() => allocatedBytes(() => read(bytes)));
        total++;
        if (!measured.value) refused++;
        expect(measured.bytes).toBeLessThan(READ_BYTES_BASE + READ_BYTES_PER_BYTE * bytes.length);
      }),
      { ...fuzzParameters(3000), endOnFailure: true },
    );
    // The wounds must neither all be harmless nor all be fatal in the first byte.
    expect(refused / total).toBeGreaterThan(0.3);
    expect(refused / total).toBeLessThan(0.98);
  });

  it("that can still be read is planned and run, or refused with a typed error", () => {
    let ran = 0;
    fc.assert(
      fc.property(damaged, (bytes) => {
        const model = read(bytes);
        if (!model) return;
        const done = timed(() =>
          allocatedBytes(() => [planAndRun(model, true), planAndRun(model, false)].some(Boolean), 2 ** 28),
        );
        if (done.value) ran++;
        expect(done.bytes).toBeLessThan(2 ** 28);
      }),
      { ...fuzzParameters(2000), endOnFailure: true },
    );
    expect(ran).toBeGreaterThan(0);
  });

  it("cut short anywhere is refused: no prefix of a model is a model", () => {
    const bytes = singleNode("Relu");
    for (let length = 0; length < bytes.length; length++) expect(read(bytes.subarray(0, length))).toBeNull();
    expect(read(bytes)).not.toBeNull();
  });
});

function planAndRun(model: Model, plain: boolean): boolean {
  try {
    const session = compactSession(model, { plain });
    const width = session.inputs.reduce(
      (sum, { shape }) => sum + shape.slice(1).reduce<number>((product, size) => product * (size ?? 1), 1),
      0,
    );
    if (width > 100_000) return false;
    session.run(new Float32Array(2 * width), 2);
    return true;
  } catch (error) {
    // A graph that the wound froze to another batch size refuses the call, not the model.
    const call = error instanceof RangeError && error.message.includes("rows at a time");
    expect(call || error instanceof OnnxError || error instanceof UnsupportedOperator ? "typed" : error).toBe("typed");
    return false;
  }
}

import { describe, expect, it } from "vitest";
import { joinExposures, readExposures } from "../../../../batch-training/sources/exposures.ts";
import type { StoredEvent } from "../../../../models/contract/events.ts";
import { encodeVectors, exposureVectors, type ExposureRecord } from "../../../../models/recommend/exposure.ts";
import { POSITION_FEATURE, RANKING_SERVICE, RANKING_WIDTH } from "../../../../models/recommend/ranking-features.ts";
import { gzipSync } from "node:zlib";

const T = 1_780_000_000_000;
const HOUR = 3_600_000;

function exposure(id: string, products: readonly string[], change: Partial<ExposureRecord> = {}): ExposureRecord {
  const vectors = Float32Array.from({ length: products.length * RANKING_WIDTH }, (_, at) => at / 7);
  return {
    v: 1,
    tenant: "default",
    recommendationId: id,
    at: T,
    placement: "home",
    customer: null,
    session: null,
    model: "product-recommendations",
    modelVersion: "f".repeat(64),
    arm: "recommender",
    degraded: [],
    ranking: RANKING_SERVICE.hash,
    items: products.map((productId) => ({ productId, source: "popular", score: 1 })),
    vectors: encodeVectors(vectors),
    ...change,
  };
}

function outcome(recommendationId: string, productId: string, kind: string, at: number, ingestedAt = at): StoredEvent {
  const event = {
    specversion: "1.0",
    id: `${recommendationId}-${productId}-${kind}-${at}`,
    source: "/shop",
    time: new Date(at).toISOString(),
    type: "behavior.recommendation_feedback.v1",
    data: { recommendationId, productId, kind },
    tenant: "default",
    ingestedAt,
  };
  return event as StoredEvent;
}

describe("exposures joined with outcomes", () => {
  it("take the vector as it was served, with the position, and the best outcome within the wait", () => {
    const { rows, lists, outcomes } = joinExposures(
      [exposure("a", ["x", "y", "z"]), exposure("a", ["x"]), exposure("young", ["x"], { at: T + HOUR })],
      [
        outcome("a", "y", "purchase", T + 10),
        outcome("a", "y", "click", T + 5),
        outcome("a", "z", "dismiss", T + 5),
        outcome("a", "x", "click", T + HOUR + 1),
        outcome("a", "x", "click", T - HOUR),
        outcome("a", "x", "cart", T + 5, T + 3 * HOUR),
        outcome("a", "elsewhere", "click", T + 5),
        outcome("unknown", "x", "click", T + 5),
      ],
      { waitMs: HOUR, asOf: T + 1.5 * HOUR },
    );
    expect(rows.map(({ productId, position, gain }) => [productId, position, gain])).toEqual([
      ["x", 1, 0],
      ["y", 2, 3],
      ["z", 3, 0],
    ]);
    expect(rows[1]?.vector[0]).toBe(Math.fround(RANKING_WIDTH / 7));
    expect(rows.map(({ vector }) => vector[POSITION_FEATURE])).toEqual([1, 2, 3]);
    expect(lists).toEqual({ joined: 1, young: 1, withoutVectors: 0, repeated: 1 });
    expect(outcomes).toEqual({ joined: 3, elsewhere: 4 });
  });

  it("leave out lists without vectors or of other ranking features", () => {
    const records = [
      exposure("a", ["x"], { vectors: "" }),
      exposure("b", ["x"], { ranking: "0".repeat(64) }),
      exposure("c", ["x", "y"], { vectors: encodeVectors(new Float32Array(3)) }),
      exposure("d", ["x"], { vectors: "not base64" }),
      exposure("e", ["x"], { arm: "outside", model: null, modelVersion: null }),
      exposure("f", ["x"], { arm: "control", model: null, modelVersion: null, vectors: "" }),
    ];
    const { rows, lists } = joinExposures(records, [], { waitMs: 0, asOf: T });
    expect([rows.length, lists.withoutVectors]).toEqual([0, 6]);
  });

  it("keep every bit of a vector, as Node's own base64 has it", () => {
    for (let length = 0; length < 8; length++) {
      const values = Float32Array.from({ length }, (_, at) => (at % 3 === 2 ? Number.NaN : Math.sin(at) * 1e9));
      expect(encodeVectors(values)).toBe(Buffer.from(values.buffer).toString("base64"));
    }
    const one = exposure("a", ["x"]);
    expect(Buffer.from(exposureVectors(one)?.buffer ?? new ArrayBuffer(0)).toString("base64")).toBe(one.vectors);
  });

  it("are read page by page, and a damaged line is named", async () => {
    const lines = (records: readonly unknown[]): Uint8Array =>
      gzipSync(records.map((record) => `${JSON.stringify(record)}\n`).join(""));
    const objects: Record<string, Uint8Array> = {
      a: lines([exposure("1", ["x"]), exposure("2", ["x"])]),
      b: lines([exposure("3", ["x"])]),
    };
    const client = {
      call: (route: { operationId: string }, input: { query: { cursor?: string; key?: string; log?: string } }) => {
        if (route.operationId !== "listEventLog") return Promise.resolve({ body: objects[input.query.key ?? ""] });
        expect(input.query.log).toBe("exposures");
        const key = input.query.cursor ?? "a";
        return Promise.resolve({ body: { objects: [{ key }], cursor: key === "a" ? "b" : null } });
      },
    } as unknown as Parameters<typeof readExposures>[0];
    expect((await readExposures(client)).map((record) => record.recommendationId)).toEqual(["1", "2", "3"]);
    objects["b"] = gzipSync("{oops\n");
    await expect(readExposures(client)).rejects.toThrow("damaged at b, line 1");
  });
});

import { describe, expect, it } from "vitest";
import { MIN_SHOWN, shownLists, shownRows } from "../../../../../batch-training/pipeline/recommend/shown-lists.ts";
import { fitRanker } from "../../../../../batch-training/train/recommenders/two-stage/fit-ranker.ts";
import { loadCompact } from "../../../../../batch-training/evaluate/load-session.ts";
import type { StoredEvent } from "../../../../../models/contract/events.ts";
import { encodeVectors, type ExposureRecord } from "../../../../../models/recommend/exposure.ts";
import { POSITION_FEATURE, RANKING_SERVICE, RANKING_WIDTH } from "../../../../../models/recommend/ranking-features.ts";
import { seededRandom } from "../../../../../models/stats/random.ts";

const START = Date.parse("2026-03-01T00:00:00Z");
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const LATER = { waitMs: DAY, asOf: START + 400 * DAY };

/** A list whose products have `value` in their first feature. */
function shown(id: string, at: number, values: readonly number[]): ExposureRecord {
  const vectors = new Float32Array(values.length * RANKING_WIDTH);
  for (const [row, value] of values.entries()) vectors[row * RANKING_WIDTH] = value;
  return {
    v: 1,
    tenant: "default",
    recommendationId: id,
    at,
    placement: "home",
    customer: null,
    session: null,
    model: "product-recommendations",
    modelVersion: "f".repeat(64),
    arm: "recommender",
    degraded: [],
    ranking: RANKING_SERVICE.hash,
    items: values.map((_, row) => ({ productId: `p${row}`, source: "popular", score: 0 })),
    vectors: encodeVectors(vectors),
  };
}

function clicked(recommendationId: string, productId: string, at: number): StoredEvent {
  const data = { recommendationId, productId, kind: "click", sessionId: "s" };
  const time = new Date(at).toISOString();
  const type = "behavior.recommendation_feedback.v1";
  return {
    id: `${recommendationId}-${productId}`,
    source: "/s",
    type,
    time,
    data,
    tenant: "default",
    ingestedAt: at,
  } as never;
}

describe("lists as they were shown", () => {
  it("carry vectors as served, positions and outcomes; a list whose wait is not over is left out", () => {
    const lists = [shown("r-1", START, [1, 2]), shown("r-2", START + 3 * DAY, [3])];
    const joined = shownLists(lists, [clicked("r-1", "p1", START + HOUR)], {
      waitMs: DAY,
      asOf: START + 3 * DAY + HOUR,
    });
    expect([...joined.at]).toEqual([START]);
    expect([...joined.sizes]).toEqual([2]);
    expect([...joined.gains]).toEqual([0, 1]);
    expect([joined.values[0], joined.values[RANKING_WIDTH]]).toEqual([1, 2]);
    expect([joined.values[POSITION_FEATURE], joined.values[RANKING_WIDTH + POSITION_FEATURE]]).toEqual([1, 2]);
  });

  it("teach only when enough of them had an outcome, and never from after the moment", () => {
    const ids = Array.from({ length: 2 * MIN_SHOWN }, (_, index) => `r-${index}`);
    const lists = ids.map((id, index) => shown(id, START + index * HOUR, [1, 2, 3]));
    const events = ids.map((id, index) => clicked(id, "p2", START + index * HOUR + 1));
    const joined = shownLists(lists, events, LATER);
    expect(shownRows(joined, START + (MIN_SHOWN - 1) * HOUR)).toBeNull();
    const rows = shownRows(joined, START + MIN_SHOWN * HOUR);
    expect(rows?.groups.length).toBe(MIN_SHOWN);
    expect(rows?.labels.length).toBe(3 * MIN_SHOWN);
    expect(shownRows(shownLists(lists, [], LATER), Infinity)).toBeNull();
  });

  it("do not let a place pass for merit: with the position at its constant, equal products score alike", async () => {
    const random = seededRandom(1);
    // Every product is the same; people click the first place four times as often as the others.
    const lists: ExposureRecord[] = [];
    const events: StoredEvent[] = [];
    for (let index = 0; index < 400; index++) {
      const at = START + index * HOUR;
      lists.push(
        shown(
          `r-${index}`,
          at,
          Array.from({ length: 5 }, () => random()),
        ),
      );
      for (let place = 0; place < 5; place++) {
        if (random() < (place === 0 ? 0.6 : 0.15)) events.push(clicked(`r-${index}`, `p${place}`, at + 1));
      }
    }
    const rows = shownRows(shownLists(lists, events, LATER), Infinity);
    expect(rows).not.toBeNull();
    if (rows === null) return;
    const session = loadCompact((await fitRanker(rows, { seed: 1, threads: 1 })).onnx);
    const score = (value: number, position: number): number => {
      const vector = new Float32Array(RANKING_WIDTH);
      vector[0] = value;
      vector[POSITION_FEATURE] = position;
      return session.run(vector, 1)[0] ?? Number.NaN;
    };
    const byPlace = score(0.5, 1) - score(0.5, 3);
    const values = [0.1, 0.3, 0.5, 0.7, 0.9].map((value) => score(value, 1));
    expect(byPlace).toBeGreaterThan(2 * (Math.max(...values) - Math.min(...values)));
  });
});

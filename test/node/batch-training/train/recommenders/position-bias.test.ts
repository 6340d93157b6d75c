import { describe, expect, it } from "vitest";
import { loadCompact } from "../../../../../batch-training/evaluate/load-session.ts";
import { fitRanker, type RankingRows } from "../../../../../batch-training/train/recommenders/two-stage/fit-ranker.ts";
import { listQuality } from "../../../../../models/stats/recommendation-metrics.ts";
import { seededRandom } from "../../../../../models/stats/random.ts";

/**
 * The position-based click model (Craswell 2008): a place is looked at with a probability of its own, and what is looked at is clicked by its
 * merit. The lists were ordered by a score that knows little of merit, so places and clicks favour what that score likes.
 */
const PLACES = 10;
const NAMES = ["merit_seen", "old_score", "position"];
const [MERIT, OLD, POSITION] = [0, 1, 2];
const examined = (place: number): number => 1 / place;

interface Product {
  readonly merit: number;
  readonly old: number;
  /** What a feature shows of the merit. */
  readonly seen: number;
}

function list(random: () => number): Product[] {
  const products = Array.from({ length: PLACES }, (): Product => {
    const merit = random();
    return { merit, old: 0.2 * merit + random(), seen: merit + 0.3 * (random() - 0.5) };
  });
  return products.sort((a, b) => b.old - a.old);
}

function shownLists(seed: number, lists: number): RankingRows {
  const random = seededRandom(seed);
  const values: number[] = [];
  const labels: number[] = [];
  for (let one = 0; one < lists; one++) {
    for (const [at, { merit, old, seen }] of list(random).entries()) {
      values.push(seen, old, at + 1);
      labels.push(random() < examined(at + 1) * 0.8 * merit ** 2 ? 1 : 0);
    }
  }
  return {
    names: NAMES,
    values: Float32Array.from(values),
    labels: Float32Array.from(labels),
    groups: new Int32Array(lists).fill(PLACES),
  };
}

/** The same rows where the position says nothing, as it does at serving. */
const withoutPosition = (rows: RankingRows): RankingRows => ({
  ...rows,
  values: rows.values.map((value, at) => (at % NAMES.length === POSITION ? 1 : value)),
});

/** NDCG@3 of the order by true merit, the three best being right, over lists never shown; the position at its constant. */
async function trueQuality(rows: RankingRows): Promise<number> {
  const session = loadCompact((await fitRanker(rows, { seed: 1, threads: 1 })).onnx);
  const random = seededRandom(99);
  let sum = 0;
  for (let one = 0; one < 500; one++) {
    const products = list(random);
    const scores = session.run(Float32Array.from(products.flatMap(({ seen, old }) => [seen, old, 1])), PLACES);
    const order = products.map((_, at) => at).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
    const best = new Set(order.toSorted((a, b) => (products[b]?.merit ?? 0) - (products[a]?.merit ?? 0)).slice(0, 3));
    sum += listQuality(order, (at) => best.has(at), { relevant: 3, k: 3 }).ndcg / 500;
  }
  return sum;
}

describe("a ranker that learned from clicks on ordered lists", () => {
  it.each([1, 2])("finds the true order better where it knows the places, seed %i", async (seed) => {
    const rows = shownLists(seed, 1_000);
    expect([MERIT, OLD, POSITION]).toEqual([0, 1, 2]);
    const [knows, blind] = [await trueQuality(rows), await trueQuality(withoutPosition(rows))];
    expect(knows).toBeGreaterThan(blind + 0.01);
  });
});

import { describe, expect, it } from "vitest";
import { openIndexed } from "../../../../batch-training/evaluate/recommenders/indexed-scorer.ts";
import { byteEmbeddings } from "../../../../models/recommend/byte-embeddings.ts";
import { cutHead, embeddingsBeyond, type IndexSearch } from "../../../../models/recommend/indexed-part.ts";
import { type PlacedRecommender, placeServed } from "../../../../models/recommend/place-served.ts";
import { Retrieval } from "../../../../models/recommend/retrieval.ts";
import { openScorer, scoreVectors } from "../../../../models/recommend/scorer.ts";
import type { BlendScale, ServedRecommender } from "../../../../models/recommend/served-recommender.ts";
import type { IndexedHistory } from "../../../../models/recommend/visitor-history.ts";
import { engineKernels } from "../../../support/engine-kernels.ts";
import { generatedBundle } from "../../../support/recommender-bundle.ts";

const ITEMS = 300;
const HEAD = 100;

function recommender(dimensions: number, scale: BlendScale): ServedRecommender {
  const { retrieval } = generatedBundle({ items: ITEMS, seed: 4, dimensions, precision: "bytes" });
  return retrieval.kind === "blend" ? { ...retrieval, scale } : retrieval;
}

function historyOf(...items: number[]): IndexedHistory {
  const times = Float64Array.from(items, (_, at) => at);
  const history = { items: Int32Array.from(items), times, values: new Float32Array(items.length).fill(1) };
  return { taste: history, repeat: history, session: history, items: history.items, actions: [], times, dismissed: [] };
}

/** What an exact index of the items beyond the head answers. */
function searchFor(whole: ServedRecommender, user: Float64Array): IndexSearch {
  const part = embeddingsBeyond(whole, HEAD);
  if (part === null) throw new Error("nothing is beyond the head");
  const scores = new Float32Array(ITEMS);
  scoreVectors(byteEmbeddings(part), user, scores);
  const items = Int32Array.from({ length: ITEMS - HEAD }, (_, at) => HEAD + at);
  return { user, items, scores: scores.subarray(HEAD) };
}

describe.each([16, 12])("embeddings of %i dimensions with the rest in a vector index", (dimensions) => {
  const open = (whole: ServedRecommender): { placed: PlacedRecommender; retrieval: Retrieval } => {
    const placed = placeServed(whole, engineKernels, HEAD);
    return { placed, retrieval: new Retrieval(placed.served, placed) };
  };

  it.each(["deviation", "maximum", "rank"] as const)("score as if all were here, blended by %s", (scale) => {
    const whole = recommender(dimensions, scale);
    const { placed, retrieval } = open(whole);
    expect(placed.indexed?.held).toBe(HEAD);
    expect(placed.bytes).toBeLessThanOrEqual(placeServed(whole, engineKernels).bytes);
    // All that is known of the visitor is in the head; another item beyond it would make the visitor's vector another.
    const history = historyOf(3, 42, 7);
    const user = retrieval.searchVector(history, 10) ?? new Float64Array(0);
    retrieval.score(history, 10, searchFor(whole, user));
    const exact = new Retrieval(whole);
    exact.score(history, 10);
    for (const [item, score] of exact.total.entries()) expect(retrieval.total[item]).toBeCloseTo(score, 2);
  });

  it("answer from the head where the index does not", () => {
    const whole = recommender(dimensions, "deviation");
    const { retrieval } = open(whole);
    const [history, exact] = [historyOf(3, 42, 7), new Retrieval(whole)];
    retrieval.score(history, 10);
    exact.score(history, 10);
    for (let item = 0; item < HEAD; item++) {
      expect(retrieval.total[item]).toBeCloseTo(exact.total[item] ?? Number.NaN, 2);
    }
  });

  it("ask nothing about a visitor of whom only rare items are known, and score them by the other parts", () => {
    const { retrieval } = open(recommender(dimensions, "deviation"));
    const rare = historyOf(ITEMS - 1, ITEMS - 2);
    expect(retrieval.searchVector(rare, 10)).toBeNull();
    retrieval.score(rare, 10);
    expect(retrieval.total.some((score) => score > 0)).toBe(true);
    expect(retrieval.searchVector(historyOf(), 10)).toBeNull();
  });

  it("take no score for an item of the head, or for none of the catalogue", () => {
    const { retrieval } = open(recommender(dimensions, "deviation"));
    const history = historyOf(3, 42, 7);
    retrieval.score(history, 10);
    const before = retrieval.total.slice();
    const user = retrieval.searchVector(history, 10) ?? new Float64Array(0);
    retrieval.score(history, 10, {
      user,
      items: Int32Array.of(0, ITEMS, ITEMS + 5),
      scores: Float32Array.of(99, 99, 99),
    });
    expect(retrieval.total).toEqual(before);
  });
});

it("an evaluation with a head takes the hundred best beyond it", () => {
  const { retrieval } = generatedBundle({
    items: 400,
    seed: 4,
    dimensions: 16,
    retrieval: "embeddings",
    precision: "bytes",
  });
  if (retrieval.kind !== "embeddings") throw new Error("not embeddings");
  const history = historyOf(3, 42, 7).taste;
  const [indexed, whole] = [new Float32Array(400), new Float32Array(400)];
  openIndexed(retrieval, HEAD).score(history, 10, indexed);
  openScorer(retrieval).score(history, 10, whole);
  const best = Array.from({ length: 300 }, (_, at) => HEAD + at).sort((a, b) => (whole[b] ?? 0) - (whole[a] ?? 0));
  const kept = new Set(best.slice(0, 100));
  for (const [item, score] of whole.entries()) {
    expect(indexed[item]).toBeCloseTo(item < HEAD || kept.has(item) ? score : 0, 5);
  }
  openIndexed(retrieval, HEAD).score(historyOf(399).taste, 10, indexed);
  expect(indexed.every((score) => score === 0)).toBe(true);
  openIndexed(retrieval, 400).score(history, 10, indexed);
  expect(indexed).toEqual(whole);
});

it("a catalogue within the head stays whole, and one without embeddings too", () => {
  const whole = recommender(16, "deviation");
  expect(cutHead(whole, ITEMS)).toEqual({ served: whole, head: null });
  expect(placeServed(whole, engineKernels, ITEMS).indexed).toBeNull();
  const { retrieval } = generatedBundle({ items: ITEMS, seed: 4, retrieval: "neighbours" });
  expect(embeddingsBeyond(retrieval, 1)).toBeNull();
});

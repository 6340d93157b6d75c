import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BestFirst } from "../../../../models/recommend/best-first.ts";
import { EMPTY_HISTORY, type History } from "../../../../models/recommend/history.ts";
import { Retrieval, topItems } from "../../../../models/recommend/retrieval.ts";
import { openScorer } from "../../../../models/recommend/scorer.ts";
import type { ServedBlend, ServedSessions } from "../../../../models/recommend/served-recommender.ts";
import { generatedBundle } from "../../../support/recommender-bundle.ts";
import { SeededRandom } from "../../../support/seeded-random.ts";

/** A filter, a sort and a cut. */
function naiveTop(scores: Float32Array, limit: number, passes: (item: number) => boolean): number[] {
  return [...scores.keys()]
    .filter((item) => (scores[item] ?? 0) > 0 && passes(item))
    .toSorted((a, b) => Math.sign((scores[b] ?? 0) - (scores[a] ?? 0) || 0) || a - b)
    .slice(0, limit);
}

describe("topItems", () => {
  // Few distinct values, so that equal scores are common.
  const score = fc.oneof(fc.integer({ min: -2, max: 6 }), fc.constant(Number.NaN), fc.float({ noNaN: true }));

  it("is a filter, a sort and a cut: best first, the lower index among equals", () => {
    fc.assert(
      fc.property(
        fc.array(score, { maxLength: 120 }),
        fc.integer({ min: 0, max: 140 }),
        fc.integer({ min: 1, max: 5 }),
        (values, limit, step) => {
          const scores = Float32Array.from(values);
          const passes = (item: number): boolean => item % step !== 1;
          expect(topItems(scores, limit, passes)).toEqual(naiveTop(scores, limit, passes));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("is the same where a sample of a large catalogue misleads about what the last of the best will have", () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(10_000),
          items: fc.integer({ min: 0, max: 3_000 }),
          limit: fc.integer({ min: 0, max: 60 }),
          // Only so many in a thousand pass, and scores fall, rise, repeat every sixteenth item, or are drawn.
          passing: fc.constantFrom(1_000, 500, 20, 0),
          shape: fc.constantFrom("fall", "rise", "sixteenth", "drawn", "few" as const),
        }),
        ({ seed, items, limit, passing, shape }) => {
          const random = new SeededRandom(seed);
          const shapes = {
            fall: (item: number) => 1 / (1 + item),
            rise: (item: number) => item,
            sixteenth: (item: number) => (item % 16 === 0 ? 5 + random.below(3) : random.below(3)),
            drawn: () => random.below(40) - 10,
            few: () => (random.below(200) === 0 ? random.next() : 0),
          };
          const scores = Float32Array.from({ length: items }, (_, item) => shapes[shape](item));
          const allowed = Array.from({ length: items }, () => random.below(1_000) < passing);
          const passes = (item: number): boolean => allowed[item] === true;
          expect(topItems(scores, limit, passes)).toEqual(naiveTop(scores, limit, passes));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("BestFirst", () => {
  it("is a sort by score, the lower item first among equals, for every float32 and every item", () => {
    const score = fc.oneof(fc.float({ noNaN: true }), fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity));
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(fc.nat(2_050_000 - 1), score), { selector: ([item]) => item }), (given) => {
        const order = new BestFirst(given.length);
        for (const [item, own] of given) order.add(item, own);
        const expected = given.toSorted(([a, x], [b, y]) => Math.sign(y - x || 0) || a - b).map(([item]) => item);
        expect([...order.items()]).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });
});

describe("a retrieval", () => {
  it("has the scores of the evaluated scorer to the bit, one history after another, whether parts speak of few items or of many", () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(1_000),
          items: fc.constantFrom(20, 150, 900),
          scale: fc.constantFrom("deviation", "maximum", "rank" as const),
          lengths: fc.array(fc.constantFrom(0, 1, 3, 12, 80), { minLength: 1, maxLength: 6 }),
        }),
        ({ seed, items, scale, lengths }) => {
          const random = new SeededRandom(seed);
          const served = blendOfAll(items, scale, random);
          const retrieval = new Retrieval(served);
          const scorer = openScorer(served);
          const expected = new Float32Array(items);
          for (const length of lengths) {
            const history = randomHistory(length, items, random);
            retrieval.score(everywhere(history), NOW);
            if (length === 0) expected.set(onlyScores(served));
            else scorer.score(history, NOW, expected);
            expect(retrieval.total).toEqual(expected);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

const NOW = 1_780_000_000;

/** Every kind of part in one blend. */
function blendOfAll(items: number, scale: ServedBlend["scale"], random: SeededRandom): ServedBlend {
  const { retrieval } = generatedBundle({ items, seed: items, dimensions: 6, neighbours: 3 });
  if (retrieval.kind !== "blend") throw new Error("a blend was asked for");
  const start = Int32Array.from({ length: 81 }, (_, session) => session * 4);
  const sessions: ServedSessions = {
    kind: "sessions",
    items,
    rule: { neighbours: 10, sampled: 20, decay: 0.8, halfLifeSeconds: Infinity, distanceDecay: 0.9, rarity: 0.3 },
    start,
    item: Int32Array.from({ length: 320 }, () => random.below(items)),
    lastTime: Float64Array.from({ length: 80 }, (_, session) => NOW - session),
  };
  const scores = Float32Array.from({ length: items }, () => random.below(5) - 1);
  const more = [
    { weight: 0.4, part: sessions },
    { weight: 0.2, part: { kind: "scores", items, scores } as const },
  ];
  return { ...retrieval, scale, parts: [...more, ...retrieval.parts] };
}

/** What the blend says of a visitor without a history. */
function onlyScores(served: ServedBlend): Float32Array {
  const out = new Float32Array(served.items);
  openScorer({ ...served, parts: served.parts.filter(({ part }) => part.kind === "scores") }).score(
    EMPTY_HISTORY,
    NOW,
    out,
  );
  return out;
}

function randomHistory(length: number, items: number, random: SeededRandom): History {
  // Some products are outside the catalogue, or newer than the model.
  const draw = (): number => (random.below(9) === 0 ? random.below(5) - 5 : random.below(items + 1));
  return {
    items: Int32Array.from({ length }, (_, at) => (at === 0 ? random.below(items) : Math.max(-1, draw()))),
    times: Float64Array.from({ length }, (_, at) => NOW - (length - at) * 60),
    values: new Float32Array(length).fill(1),
  };
}

const everywhere = (history: History) => {
  const { items, times } = history;
  return { taste: history, repeat: history, session: history, items, actions: [], times, dismissed: [] };
};

import fc from "fast-check";
import { expect, it } from "vitest";
import { openIds } from "../../../models/recommend/bundle.ts";
import type { LiveProduct } from "../../../models/recommend/live-product.ts";
import { NOT_PLACED } from "../../../models/recommend/place-served.ts";
import { RANKING_FEATURES, RANKING_WIDTH } from "../../../models/recommend/ranking-features.ts";
import {
  ANYONE,
  type Recommended,
  type RecommendRequest,
  SOURCES,
} from "../../../models/recommend/recommend-request.ts";
import type { Ranker } from "../../../models/recommend/recommender.ts";
import type { LoadedRecommender } from "../../../workers/recommendations/load-recommender.ts";
import { Shops } from "../../../workers/recommendations/shops.ts";
import { BUNDLE_TIME, generatedBundle } from "../../support/recommender-bundle.ts";
import { FakeProducts } from "./fake-products.ts";

const T = (BUNDLE_TIME + 3_600) * 1_000;
/** Of the model, and newer ones. */
const ITEMS = 24;
const byPrice: Ranker = (vectors, rows) => {
  const at = RANKING_FEATURES.findIndex(({ name }) => name === "item_price");
  return Float32Array.from({ length: rows }, (_, row) => vectors[row * RANKING_WIDTH + at] ?? Number.NaN);
};

const id = fc.nat(ITEMS + 7).map((item) => `p-${item}`);
const anyId = fc.oneof(id, fc.constantFrom("unheard-of", "p-x"));
const placement = fc.constantFrom(...(["home", "product", "basket", "category", "content", "trending"] as const));
const change = fc.record({
  id,
  active: fc.option(fc.boolean(), { freq: 3 }),
  stock: fc.option(fc.nat(2)),
  price: fc.option(fc.nat(20_000)),
  categories: fc.option(fc.subarray(["department 0", "shelf 0-1", "shelf 1-1", "elsewhere"])),
});
const request = fc.record({
  placement,
  productId: fc.option(anyId),
  basket: fc.array(anyId, { maxLength: 5 }),
  recent: fc.array(anyId, { maxLength: 5 }),
  exclude: fc.array(anyId, { maxLength: 30 }),
  categories: fc.subarray(["department 0", "shelf 1-1", "nowhere"], { maxLength: 2 }),
  priceFrom: fc.option(fc.nat(12_000)),
  limit: fc.integer({ min: 1, max: 30 }),
  facts: fc.array(
    fc.record({
      productId: anyId,
      action: fc.constantFrom(...(["view", "cart", "purchase", "dismiss"] as const)),
      at: fc.integer({ min: T - 86_400_000, max: T + 86_400_000 }),
      quantity: fc.integer({ min: 1, max: 3 }),
    }),
    { maxLength: 10 },
  ),
});
type Step =
  | { said: (typeof change extends fc.Arbitrary<infer C> ? C : never)[] }
  | { asked: Omit<RecommendRequest, "now" | "priceTo" | "visitor"> };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(fc.record({ said: fc.array(change, { minLength: 1, maxLength: 12 }) }), fc.record({ asked: request })),
  { minLength: 2, maxLength: 12 },
);

/** What the shop said of each product, as sets and sums would have it. */
class Oracle {
  readonly products = new Map<string, LiveProduct>();

  constructor(model: readonly LiveProduct[]) {
    for (const product of model) this.products.set(product.id, product);
  }

  /** Returns the product as its object would tell it. */
  say(said: Omit<LiveProduct, "brand" | "publishedAt">): LiveProduct {
    const before = this.products.get(said.id);
    const next = {
      id: said.id,
      active: said.active ?? before?.active ?? null,
      stock: said.stock ?? before?.stock ?? null,
      price: said.price ?? before?.price ?? null,
      categories: said.categories ?? before?.categories ?? null,
      brand: null,
      publishedAt: null,
    };
    this.products.set(said.id, next);
    return next;
  }

  check(asked: RecommendRequest, { items, flags }: Recommended, empty: boolean): void {
    const shown = items.map(({ productId }) => productId);
    // The newest verdict on a product holds, of two at one moment the one told later; a look is none.
    const verdicts = asked.facts.filter(({ action, at }) => action !== "view" && at <= asked.now);
    const dismissed = verdicts.filter(
      ({ productId, action, at }, place) =>
        action === "dismiss" &&
        !verdicts.some(
          (other, later) => other.productId === productId && (other.at > at || (other.at === at && later > place)),
        ),
    );
    const blocked = new Set([...asked.exclude, ...dismissed.map(({ productId }) => productId)]);
    const eligible = [...this.products.values()].filter(
      (product) => product.active === true && !blocked.has(product.id),
    );
    const within = (product: LiveProduct | undefined): boolean =>
      product !== undefined &&
      product.stock !== 0 &&
      (asked.priceFrom === null || (product.price ?? -1) >= asked.priceFrom) &&
      (asked.categories.length === 0 || asked.categories.some((name) => product.categories?.includes(name))) &&
      !asked.basket.includes(product.id) &&
      product.id !== asked.productId;
    expect(new Set(shown).size).toBe(shown.length);
    expect(shown.length).toBeLessThanOrEqual(asked.limit);
    for (const own of shown) expect(eligible.map((product) => product.id)).toContain(own);
    expect(shown.length > 0).toBe(eligible.length > 0);
    // As long as the shop has enough of what passes, no place stays empty, and no filter is given up.
    const passing = eligible.filter(within);
    if (passing.length > 0) {
      expect([flags, shown.length]).toEqual([[], Math.min(asked.limit, passing.length)]);
      for (const own of shown) expect(within(this.products.get(own))).toBe(true);
    } else if (eligible.length > 0) expect(flags).toEqual(["filters-relaxed"]);
    else expect(flags).toEqual([empty ? "catalogue-empty" : "nothing-eligible"]);
    for (const { source, reason, score } of items) {
      expect(SOURCES).toContain(source);
      expect([reason.length > 5, reason.length <= 200, Number.isFinite(score)]).toEqual([true, true, true]);
    }
  }
}

function opened(seed: number, ranked: boolean): { loaded: LoadedRecommender; products: LiveProduct[] } {
  const bundle = generatedBundle({ items: ITEMS, seed });
  const { table } = bundle;
  const names = (item: number): string[] => {
    const text = new TextDecoder();
    const name = (at: number): string =>
      text.decode(
        table.categoryNames.letters.subarray(table.categoryNames.start[at], table.categoryNames.start[at + 1]),
      );
    return [...table.category.subarray(table.categoryStart[item], table.categoryStart[item + 1])].map(name);
  };
  const products = Array.from({ length: ITEMS }, (_, item): LiveProduct => {
    const price = table.price[item] ?? 0;
    return {
      id: `p-${item}`,
      active: true,
      stock: null,
      price,
      categories: names(item),
      brand: null,
      publishedAt: null,
    };
  });
  const ranker = ranked ? byPrice : null;
  return {
    loaded: { name: "r", version: "1", bundle, placed: NOT_PLACED, ids: openIds(bundle), ranker, bytes: 1 },
    products,
  };
}

it("law: lists hold what the shop has and may show, on every page, with a model and without, ranked or not, control or not", async () => {
  const way = fc.record({ model: fc.boolean(), ranked: fc.boolean(), control: fc.boolean(), seed: fc.nat(50) });
  await fc.assert(
    fc.asyncProperty(way, steps, async ({ model, ranked, control, seed }, taken) => {
      const { loaded, products } = opened(seed, ranked);
      const oracle = new Oracle(model ? products : []);
      const source = new FakeProducts();
      const shops = new Shops(source, () => {});
      let now = T;
      for (const step of taken) {
        // Longer than an isolate trusts what it has.
        now += 60_000;
        if ("said" in step) {
          source.said.push(...step.said.map((said) => oracle.say(said)));
          source.popular = step.said.map((said) => said.id);
          continue;
        }
        const { shop, wait } = shops.of("shop", model ? loaded : null, now);
        await wait;
        const recommender = control ? shop.control() : shop.recommender;
        const asked: RecommendRequest = {
          ...ANYONE,
          ...step.asked,
          facts: step.asked.facts.toSorted((a, b) => a.at - b.at),
          now,
        };
        const answer = recommender.recommend(asked);
        oracle.check(asked, answer, shop.catalogue.size === 0);
        expect(recommender.recommend(asked)).toEqual(answer);
        // A list that was kept shows nothing that may not be shown now.
        const earlier = ["p-0", "p-3", "unheard-of", "p-26", "p-5"].map((productId) => ({
          productId,
          score: 1,
          source: "popular",
          reason: "Popular",
        }));
        for (const { productId } of recommender.patch(asked, earlier).items) {
          const known = oracle.products.get(productId);
          expect([known?.active, known?.stock !== 0, asked.exclude.includes(productId)]).toEqual([true, true, false]);
        }
      }
    }),
    { numRuns: 250 },
  );
});

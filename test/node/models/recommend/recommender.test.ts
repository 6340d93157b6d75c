import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type NeighbourLists, openIds, type RecommenderBundle } from "../../../../models/recommend/bundle.ts";
import { Catalogue } from "../../../../models/recommend/catalogue.ts";
import { EMPTY_ITEMS } from "../../../../models/recommend/item-table.ts";
import type { LiveProduct } from "../../../../models/recommend/live-product.ts";
import { PackedLookup } from "../../../../models/recommend/packed-strings.ts";
import { POSITION_FEATURE, RANKING_FEATURES, RANKING_WIDTH } from "../../../../models/recommend/ranking-features.ts";
import { ANYONE, type RecommendRequest } from "../../../../models/recommend/recommend-request.ts";
import { type Ranker, Recommender } from "../../../../models/recommend/recommender.ts";
import { openScorer } from "../../../../models/recommend/scorer.ts";
import type { VisitorFact } from "../../../../models/recommend/visitor-history.ts";
import { BUNDLE_TIME, type BundleOptions, generatedBundle } from "../../../support/recommender-bundle.ts";

const column = (name: string): number => RANKING_FEATURES.findIndex((feature) => feature.name === name);
const PRICE = column("item_price");
const PLACEMENT = column("placement");
const NOW = (BUNDLE_TIME + 3_600) * 1_000;

function opened(options: BundleOptions, live: readonly LiveProduct[] = [], ranker: Ranker | null = null) {
  const bundle = generatedBundle(options);
  const catalogue = new Catalogue(bundle.table, openIds(bundle));
  catalogue.apply(live);
  return { bundle, catalogue, recommender: new Recommender(bundle, catalogue, ranker) };
}

const said = (id: string, change: Partial<LiveProduct>): LiveProduct => {
  const nothing = { active: null, categories: null, brand: null, price: null, stock: null, publishedAt: null };
  return { id, ...nothing, ...change };
};
const ask = (change: Partial<RecommendRequest>): RecommendRequest => ({ ...ANYONE, limit: 10, now: NOW, ...change });
const fact = (productId: string, change: Partial<VisitorFact> = {}): VisitorFact => {
  return { productId, action: "view", at: NOW - 60_000, quantity: 1, ...change };
};
const idsOf = (answer: { items: readonly { productId: string }[] }): string[] =>
  answer.items.map(({ productId }) => productId);

/** What the home page must show, from the scorer of the evaluation, sets and a sort. */
function naiveHome(bundle: RecommenderBundle, request: RecommendRequest, gone: ReadonlySet<string>): string[] {
  const ids = Array.from({ length: bundle.table.items }, (_, item) => `p-${item}`);
  const facts = request.facts.filter((entry) => entry.at <= request.now).slice(-bundle.policy.maxEvents);
  const history = {
    items: Int32Array.from(facts, (entry) => ids.indexOf(entry.productId)),
    times: Float64Array.from(facts, (entry) => entry.at / 1_000),
    values: new Float32Array(facts.length).fill(1),
  };
  const scores = new Float32Array(ids.length);
  if (history.items.some((item) => item >= 0)) openScorer(bundle.retrieval).score(history, request.now / 1_000, scores);
  return ids
    .map((id, item) => ({ id, item, score: scores[item] ?? 0, price: bundle.table.price[item] ?? 0 }))
    .filter(({ id, score }) => score > 0 && !gone.has(id) && !request.exclude.includes(id))
    .filter(({ price }) => price >= (request.priceFrom ?? 0) && price <= (request.priceTo ?? Infinity))
    .sort((a, b) => b.score - a.score || a.item - b.item)
    .slice(0, request.limit)
    .map(({ id }) => id);
}

describe("recommendations", () => {
  it("show on the home page what the evaluated scorer ranks first, filters applied", () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(1_000),
          met: fc.array(fc.tuple(fc.nat(45), fc.nat(500)), { maxLength: 12 }),
          gone: fc.array(fc.nat(39), { maxLength: 15 }),
          exclude: fc.array(fc.nat(45), { maxLength: 10 }),
          band: fc.option(fc.tuple(fc.nat(5_000), fc.nat(6_000))),
          limit: fc.integer({ min: 1, max: 20 }),
        }),
        ({ seed, met, gone, exclude, band, limit }) => {
          const withdrawn = new Set(gone.map((item) => `p-${item}`));
          const { bundle, recommender } = opened(
            { items: 40, seed, policy: { repeatActions: ["view"], candidates: 50 } },
            [...withdrawn].map((id) => said(id, { active: false })),
          );
          const facts = met
            .map(([item, hours]) => fact(`p-${item}`, { at: NOW - hours * 3_600_000 }))
            .sort((a, b) => a.at - b.at);
          const request = ask({
            facts,
            limit,
            exclude: exclude.map((item) => `p-${item}`),
            priceFrom: band?.[0] ?? null,
            priceTo: band === null ? null : band[0] + band[1],
          });
          const expected = naiveHome(bundle, request, withdrawn);
          const answer = recommender.recommend(request);
          if (!answer.flags.includes("filters-relaxed")) {
            expect(idsOf(answer).slice(0, expected.length)).toEqual(expected);
          } else expect(expected).toEqual([]);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("are never empty while a product may be shown, never repeat, and show nothing unknown, withdrawn, excluded or dismissed", () => {
    const id = fc.nat(34).map((item) => `p-${item}`);
    const some = fc.array(id, { maxLength: 12 });
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(200),
          placement: fc.constantFrom("home", "product", "basket", "category", "content", "trending" as const),
          facts: fc.array(fc.tuple(id, fc.constantFrom("view", "cart", "purchase", "dismiss" as const)), {
            maxLength: 8,
          }),
          productId: fc.option(id),
          basket: some,
          recent: some,
          exclude: fc.array(id, { maxLength: 40 }),
          withdrawn: fc.array(id, { maxLength: 40 }),
          soldOut: some,
          categories: fc.array(fc.constantFrom("department 0", "shelf 1-1", "nowhere"), { maxLength: 2 }),
          priceFrom: fc.option(fc.nat(20_000)),
          limit: fc.integer({ min: 1, max: 40 }),
          diversity: fc.constantFrom(0, 0.3, 1),
          newShare: fc.constantFrom(0, 0.2),
          categoryShare: fc.constantFrom(1, 0.3),
          ranked: fc.boolean(),
        }),
        ({ seed, facts, withdrawn, soldOut, diversity, newShare, categoryShare, ranked, ...context }) => {
          const live = [
            said("p-30", { active: true, categories: ["department 0"] }),
            ...withdrawn.map((gone) => said(gone, { active: false })),
            ...soldOut.filter((gone) => !withdrawn.includes(gone)).map((gone) => said(gone, { stock: 0 })),
          ];
          const policy = { diversity, newShare, categoryShare, bought: "drop", viewed: "drop" } as const;
          const byPrice: Ranker = (vectors, rows) =>
            Float32Array.from({ length: rows }, (_, row) => vectors[row * RANKING_WIDTH + PRICE] ?? 0);
          const { catalogue, recommender } = opened({ items: 30, seed, policy }, live, ranked ? byPrice : null);
          const history = facts.map(([productId, action]) => fact(productId, { action }));
          const answer = recommender.recommend(ask({ ...context, facts: history }));
          const shown = idsOf(answer);
          // The newest verdict holds; a look is none.
          const verdicts = new Map(
            history.filter(({ action }) => action !== "view").map(({ productId, action }) => [productId, action]),
          );
          const dismissed = [...verdicts].filter(([, action]) => action === "dismiss").map(([own]) => own);
          const blocked = new Set([...context.exclude, ...dismissed]);
          const eligible = Array.from({ length: catalogue.size }, (_, item) => catalogue.idOf(item)).filter(
            (own) => catalogue.isActive(catalogue.indexOf(own)) && !blocked.has(own),
          );
          expect(new Set(shown).size).toBe(shown.length);
          expect(shown.length).toBeLessThanOrEqual(context.limit);
          expect(shown.every((own) => eligible.includes(own))).toBe(true);
          expect(shown.length > 0).toBe(eligible.length > 0);
          expect(answer.flags.includes("nothing-eligible")).toBe(eligible.length === 0);
          expect(answer.vectors.length).toBe(shown.length * RANKING_WIDTH);
          for (const item of answer.items)
            expect([item.reason.length > 0, Number.isFinite(item.score)]).toEqual([true, true]);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("fill the list from popular products for a visitor nobody knows, and say so", () => {
    const { recommender } = opened({ items: 40, seed: 3 });
    const answer = recommender.recommend(ask({ facts: [fact("never-seen")], limit: 5 }));
    expect(idsOf(answer)).toEqual(["p-0", "p-1", "p-2", "p-3", "p-4"]);
    expect(new Set(answer.items.map(({ source }) => source))).toEqual(new Set(["popular"]));
  });

  it("are those of the home page where the product in view is unknown", () => {
    const newest: Ranker = (vectors, rows) =>
      Float32Array.from({ length: rows }, (_, row) => vectors[row * RANKING_WIDTH + PLACEMENT] ?? 0);
    const { recommender } = opened({ items: 40, seed: 3 }, [], newest);
    for (const facts of [[], [fact("p-7"), fact("p-9")]]) {
      const home = recommender.recommend(ask({ facts, limit: 8 }));
      expect(recommender.recommend(ask({ facts, limit: 8, placement: "product", productId: "unheard-of" }))).toEqual(
        home,
      );
      const known = recommender.recommend(ask({ facts, limit: 8, placement: "product", productId: "p-3" }));
      expect(known).not.toEqual(home);
    }
  });

  it("go with the product in view, with the basket, and with the category of a product newer than the model", () => {
    const { bundle, recommender } = opened({ items: 40, seed: 4 }, [
      said("brand-new", { active: true, categories: ["department 1", "shelf 1-2"], price: 500 }),
    ]);
    const first = bundle.retrieval.kind === "blend" ? bundle.retrieval.parts[0]?.part : undefined;
    const nearest = first?.kind === "neighbours" ? first.neighbour[first.start[7] ?? 0] : -1;
    const similar = recommender.recommend(ask({ placement: "product", productId: "p-7" }));
    expect(similar.items[0]).toMatchObject({ productId: `p-${nearest}`, source: "similar", reason: "Similar to p-7" });
    const together = recommender.recommend(ask({ placement: "basket", basket: ["p-9"] }));
    const partner = bundle.together.item[bundle.together.start[9] ?? 0];
    expect(together.items[0]).toMatchObject({ productId: `p-${partner}`, source: "together" });
    const content = recommender.recommend(ask({ placement: "product", productId: "brand-new" }));
    expect(content.items[0]).toMatchObject({ source: "content", reason: "Same category as brand-new" });
    expect(idsOf(content)).not.toContain("brand-new");
  });

  it("relax filters that nothing passes, in order, and say so", () => {
    const { recommender } = opened({ items: 10, seed: 5, policy: { viewed: "drop" } });
    const all = Array.from({ length: 10 }, (_, item) => fact(`p-${item}`));
    expect(recommender.recommend(ask({ facts: all, limit: 3 }))).toMatchObject({ flags: ["filters-relaxed"] });
    const dear = recommender.recommend(ask({ priceFrom: 1_000_000, limit: 3 }));
    expect([dear.items.length, dear.flags]).toEqual([3, ["filters-relaxed"]]);
    const basket = Array.from({ length: 10 }, (_, item) => `p-${item}`);
    expect(recommender.recommend(ask({ basket, limit: 3 })).flags).toEqual(["filters-relaxed"]);
  });

  it("say that the catalogue is empty", () => {
    const { recommender } = opened({ items: 0, seed: 6 });
    expect(recommender.recommend(ask({}))).toMatchObject({ items: [], flags: ["catalogue-empty"] });
    const none = new Catalogue(EMPTY_ITEMS, new PackedLookup(EMPTY_ITEMS.ids));
    expect(none.size).toBe(0);
  });

  it("keep places for new products and limits for categories", () => {
    const plain = opened({ items: 60, seed: 7 }).recommender.recommend(ask({ limit: 20 }));
    const fresh = new Set(Array.from({ length: 50 }, (_, at) => `p-${10 + at}`));
    const shared = opened({ items: 60, seed: 7, policy: { newShare: 0.2, categoryShare: 0.1 } });
    const answer = shared.recommender.recommend(ask({ limit: 20 }));
    for (const place of [4, 9, 14, 19]) expect(fresh.has(idsOf(answer)[place] ?? "")).toBe(true);
    const shelves = Map.groupBy(idsOf(answer), (id) => shared.catalogue.narrowest(shared.catalogue.indexOf(id)));
    expect(Math.max(...[...shelves.values()].map((shelf) => shelf.length))).toBeLessThanOrEqual(2);
    expect(plain.items).toHaveLength(20);
    // A page about one kind of product shows that kind.
    const content = ask({ limit: 10, placement: "content", productId: "p-3" });
    expect(shared.recommender.recommend(content).items.slice(0, 4)).toEqual(
      opened({ items: 60, seed: 7 }).recommender.recommend(content).items.slice(0, 4),
    );
  });

  it("give the ranker exactly the vectors that are logged, with the position constant", () => {
    const seen = new Set<string>();
    const ranker: Ranker = (vectors, rows) => {
      for (let row = 0; row < rows; row++)
        seen.add(vectors.slice(row * RANKING_WIDTH, (row + 1) * RANKING_WIDTH).join());
      return new Float32Array(rows);
    };
    const { recommender } = opened({ items: 40, seed: 8 }, [], ranker);
    const facts = [fact("p-3", { action: "purchase" }), fact("p-4"), fact("p-3")];
    const answer = recommender.recommend(
      ask({ facts, visitor: { kind: "customer", facts }, basket: ["p-9"], productId: "p-4", placement: "product" }),
    );
    for (let row = 0; row < answer.items.length; row++) {
      const vector = answer.vectors.slice(row * RANKING_WIDTH, (row + 1) * RANKING_WIDTH);
      expect(seen.has(vector.join())).toBe(true);
      expect(vector[POSITION_FEATURE]).toBe(1);
    }
    const [first] = [answer.vectors.slice(0, RANKING_WIDTH)];
    expect(first[column("placement")]).toBe(1);
    expect(first[column("basket_size")]).toBe(1);
    expect(first[column("user_events_1h")]).toBe(2);
    expect(first[column("user_purchases")]).toBe(1);
    expect(first[column("user_seconds_since_event")]).toBe(60);
  });

  it("take the product in view for the newest thing met, known visitor or not", () => {
    const { recommender } = opened({ items: 40, seed: 10 }, [], null);
    const onPage = { placement: "product", productId: "p-7", limit: 20 } as const;
    const stranger = recommender.recommend(ask(onPage));
    const seen = recommender.recommend(ask({ ...onPage, facts: [fact("p-7", { at: NOW })] }));
    expect(stranger).toEqual(seen);
    // A view that is on its way as an event, and said by the page as well, is one view.
    expect(recommender.recommend(ask({ ...onPage, recent: ["p-7"] }))).toEqual(stranger);
    const elsewhere = recommender.recommend(ask({ ...onPage, placement: "home" }));
    expect(elsewhere.items.some(({ source }) => source === "neighbours")).toBe(true);
  });

  it("are ordered by the ranker where it was trained, and by their sources on other pages", () => {
    const last: Ranker = (vectors, rows) =>
      Float32Array.from({ length: rows }, (_, row) => vectors[row * RANKING_WIDTH + 1] ?? 0);
    const [plain, ranked] = [opened({ items: 40, seed: 11 }), opened({ items: 40, seed: 11 }, [], last)];
    for (const placement of ["home", "product", "basket", "category", "content", "trending"] as const) {
      const request = ask({ placement, productId: placement === "basket" ? null : "p-7", basket: ["p-9"] });
      const same =
        idsOf(plain.recommender.recommend(request)).join() === idsOf(ranked.recommender.recommend(request)).join();
      expect([placement, same]).toEqual([placement, !["home", "product"].includes(placement)]);
    }
  });

  it("name in a reason the product that the source went out from", () => {
    const { bundle, catalogue, recommender } = opened({ items: 40, seed: 12, retrieval: "embeddings" });
    const has = (lists: NeighbourLists | null, from: number, to: number): boolean =>
      lists?.item.subarray(lists.start[from], lists.start[from + 1]).includes(to) ?? false;
    let named = 0;
    for (const placement of ["product", "basket", "content"] as const) {
      for (let item = 0; item < 12; item++) {
        const basket = [`p-${item}`, `p-${item + 13}`, `p-${item + 27}`];
        const facts = [fact(`p-${item + 5}`), fact(`p-${item + 6}`, { at: NOW - 1_000 })];
        const { items } = recommender.recommend(ask({ placement, basket, facts, limit: 40 }));
        for (const { productId, source, reason } of items) {
          const [, id] = /(p-[0-9]+)$/.exec(reason) ?? [];
          if (id === undefined) continue;
          named++;
          const [own, from] = [catalogue.indexOf(productId), catalogue.indexOf(id)];
          if (source === "similar")
            expect([productId, id, has(bundle.similar, from, own)]).toEqual([productId, id, true]);
          if (source === "together")
            expect([productId, id, has(bundle.together, from, own)]).toEqual([productId, id, true]);
          const categories = [...catalogue.categories(own)].filter((one) => catalogue.categories(from).includes(one));
          if (reason.startsWith("Same category")) expect(categories.length).toBeGreaterThan(0);
          if (reason.startsWith("Same brand")) expect(catalogue.brand(own)).toBe(catalogue.brand(from));
        }
      }
    }
    expect(named).toBeGreaterThan(100);
  });

  it("say that somebody bought a product only where they did", () => {
    const { recommender } = opened({ items: 40, seed: 13, policy: { repeatActions: ["view", "cart", "purchase"] } });
    const facts = [fact("p-3"), fact("p-4", { action: "cart" }), fact("p-5", { action: "purchase" })];
    const reasons = recommender
      .recommend(ask({ facts, limit: 40 }))
      .items.flatMap(({ productId, source, reason }) => (source === "repeat" ? [[productId, reason]] : []));
    expect(Object.fromEntries(reasons)).toEqual({
      "p-3": "You looked at this before",
      "p-4": "You put this into your cart before",
      "p-5": "You bought this before",
    });
  });

  it("never show again what was dismissed, however much was done since", () => {
    const { recommender } = opened({ items: 20, seed: 14, policy: { maxEvents: 5 } });
    const later = Array.from({ length: 50 }, (_, at) => fact("p-1", { at: NOW - 5_000 + at }));
    const facts = [fact("p-0", { action: "dismiss", at: NOW - 86_400_000 }), ...later];
    expect(idsOf(recommender.recommend(ask({ facts, limit: 20 })))).not.toContain("p-0");
  });

  it("survive a ranker that answers nonsense", () => {
    const ranker: Ranker = (_vectors, rows) => new Float32Array(rows).fill(Number.NaN);
    const { recommender } = opened({ items: 40, seed: 9 }, [], ranker);
    expect(idsOf(recommender.recommend(ask({ limit: 3 })))).toEqual(["p-0", "p-1", "p-2"]);
  });
});

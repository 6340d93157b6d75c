import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { describe, expect, it } from "vitest";
import { buildFeatures } from "../../../../batch-training/features/build-features.ts";
import { ReplayState } from "../../../../batch-training/features/replay-state.ts";
import { requestReader } from "../../../../batch-training/features/source-reader.ts";
import { ProductReplay, REPLAY_MS } from "../../../../batch-training/pipeline/recommend/product-replay.ts";
import { shopLog } from "../../../../batch-training/pipeline/recommend/shop-log.ts";
import { FEATURE_CATALOG, PRODUCT_RANKING } from "../../../../models/catalog/feature-catalog.ts";
import type { RankingRequest } from "../../../../models/catalog/product-recommendations/features.ts";
import type { StoredEvent } from "../../../../models/contract/events.ts";
import { openIds } from "../../../../models/recommend/bundle.ts";
import { CandidateSet } from "../../../../models/recommend/candidates.ts";
import { Catalogue } from "../../../../models/recommend/catalogue.ts";
import {
  CANDIDATE_FEATURES,
  PLACEMENTS,
  RANKING_FEATURES,
  RANKING_SERVICE,
  RANKING_WIDTH,
  rankingVectors,
} from "../../../../models/recommend/ranking-features.ts";
import { PRODUCT_WIDTH } from "../../../../models/recommend/ranking-service.ts";
import { VisitorFeatures } from "../../../../models/recommend/visitor-features.ts";
import {
  type IdentifiedFact,
  indexHistory,
  type VisitorFact,
  visitorFactsOf,
} from "../../../../models/recommend/visitor-history.ts";
import { behaviourLog } from "../../../support/behaviour-log.ts";
import { generatedBundle } from "../../../support/recommender-bundle.ts";

const PRODUCTS = 8;
/** A moment at which training takes values of products. */
const NOW = Math.floor(1_780_003_600_000 / REPLAY_MS) * REPLAY_MS;
const bundle = generatedBundle({ items: PRODUCTS, seed: 1 });
const AT = CANDIDATE_FEATURES.length;

/** What the histories' object keeps of a visitor: each fact once, whoever told it first, oldest first. */
function historyOf(events: readonly StoredEvent[], visitor: string): VisitorFact[] {
  const facts = new Map<string, IdentifiedFact>();
  for (const fact of events.flatMap(visitorFactsOf)) {
    const owner = fact.customer ?? fact.session;
    if (owner === visitor && !facts.has(fact.identity)) facts.set(fact.identity, fact);
  }
  return [...facts.values()].sort((a, b) => a.at - b.at);
}

/** Vectors of all products as an isolate makes them: from the visitor's history and the values that the shards gave of the products. */
function served(
  events: readonly StoredEvent[],
  asked: { readonly visitor: { kind: "customer" | "session"; id: string } | null; readonly now: number },
): Float32Array {
  const { visitor, now } = asked;
  const catalogue = new Catalogue(bundle.table, openIds(bundle));
  const shards = replayed(events);
  const ids = Array.from({ length: PRODUCTS }, (_, item) => `p-${item}`);
  const numbers = ids.flatMap((productId) => [
    ...shards.vector(PRODUCT_RANKING, { productId }, now).vector.subarray(0, PRODUCT_WIDTH),
  ]);
  const at = Float64Array.from(ids, () => now);
  catalogue.setValues({ products: ids, at, numbers: Float32Array.from(numbers) }, 0);
  const facts = visitor === null ? [] : historyOf(events, visitor.id);
  const candidates = new CandidateSet(PRODUCTS);
  for (let item = 0; item < PRODUCTS; item++) candidates.add(item);
  const out = new Float32Array(PRODUCTS * RANKING_WIDTH);
  rankingVectors(
    {
      catalogue,
      products: catalogue.values,
      visitors: new VisitorFeatures(1_000),
      history: indexHistory(catalogue, bundle.policy, { facts, recent: [], now }),
      candidates,
      request: {
        placement: "product",
        basket: ["p-1"],
        now,
        visitor: visitor === null ? null : { kind: visitor.kind, facts },
      },
    },
    out,
  );
  return out;
}

function replayed(events: readonly StoredEvent[]): ReplayState {
  const state = new ReplayState(FEATURE_CATALOG);
  for (const event of events) state.apply(event);
  return state;
}

/** The same from the log alone, by the code that serves and explains features. */
function fromTheLog(
  state: ReplayState,
  item: number,
  { visitor, now }: Parameters<typeof served>[1],
): (number | null)[] {
  const request: RankingRequest = {
    ...(visitor?.kind === "customer" && { customerId: visitor.id }),
    ...(visitor?.kind === "session" && { sessionId: visitor.id }),
    productId: `p-${item}`,
    price: bundle.table.price[item] ?? 0,
    publishedAt: (bundle.table.publishedAt[item] ?? 0) * 1_000,
    placement: PLACEMENTS.indexOf("product"),
    basketSize: 1,
    position: 1,
  };
  return [...state.vector(PRODUCT_RANKING, request, now).vector];
}

describe("ranking features", () => {
  it("law: are one meaning: an isolate makes of a history what the log's replay makes of the events", () => {
    fc.assert(
      fc.property(
        fc.record({
          events: fc.integer({ min: 0, max: 500 }),
          seed: fc.nat(100_000),
          customers: fc.integer({ min: 1, max: 6 }),
          days: fc.constantFrom(0.1, 3, 36, 300),
          // Also while the windows move on after the last event.
          later: fc.constantFrom(0, 60_000, 40 * 60_000, 20 * 86_400_000),
          who: fc.constantFrom("customer", "session", null),
        }),
        ({ events, seed, customers, days, later, who }) => {
          const log = behaviourLog({ events, seed, until: NOW, customers, products: PRODUCTS, days });
          const visitor = who === null ? null : { kind: who, id: who === "customer" ? "c-0" : "s-0" };
          const asked = { visitor, now: NOW + later };
          const vectors = served(log, asked);
          const state = replayed(log);
          for (let item = 0; item < PRODUCTS; item++) {
            const own = vectors.slice(item * RANKING_WIDTH + AT, (item + 1) * RANKING_WIDTH);
            expect([...own]).toEqual(fromTheLog(state, item, asked));
          }
        },
      ),
      { numRuns: 120 },
    );
  });

  it("of products are in training what the shards had at that moment, and nothing from later", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 50, max: 600 }),
        fc.nat(100_000),
        fc.array(fc.integer({ min: -40 * 24, max: 0 }), { minLength: 1, maxLength: 5 }),
        (events, seed, moments) => {
          const log = behaviourLog({ events, seed, until: NOW, customers: 20, products: PRODUCTS, days: 40 })
            // What is visible at once, so that a moment of the log is a moment of the events.
            .map((event) => ({ ...event, ingestedAt: Date.parse(event.time) }))
            .sort((a, b) => a.ingestedAt - b.ingestedAt);
          const replay = new ProductReplay(shopLog(log), (item) => `p-${item}`);
          // Some moments go back.
          for (const moment of moments) {
            const now = NOW + moment * REPLAY_MS;
            const before = replayed(log.filter(({ time }) => Date.parse(time) <= now));
            for (let item = 0; item < PRODUCTS; item++) {
              const values = new Float32Array(PRODUCT_WIDTH);
              replay.write(item, now + REPLAY_MS - 1, values, 0);
              const { vector } = before.vector(PRODUCT_RANKING, { productId: `p-${item}` }, now);
              expect([...values]).toEqual([...vector.subarray(0, PRODUCT_WIDTH)]);
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("are built offline as the replay has them, a row for each product of a session", async () => {
    const log = behaviourLog({ events: 1_200, seed: 3, until: NOW, customers: 30, products: PRODUCTS, days: 60 });
    const state = new ReplayState(FEATURE_CATALOG);
    const requests = requestReader(PRODUCT_RANKING);
    const expected = new Map<string, (number | null)[]>();
    for (const event of log) {
      const request = requests(event);
      if (request !== null && !expected.has(request.identity)) {
        const { vector } = state.vector(PRODUCT_RANKING, request.payload, request.time);
        expected.set(
          request.identity,
          Array.from(vector, (value) => (Number.isNaN(value) ? null : value)),
        );
      }
      state.apply(event);
    }
    const folder = mkdtempSync(join(tmpdir(), "ranking-parity-"));
    try {
      const [file, out] = [join(folder, "log.ndjson"), join(folder, "rows.parquet")];
      writeFileSync(file, log.map((event) => `${JSON.stringify(event)}\n`).join(""));
      await buildFeatures({
        files: [file],
        service: PRODUCT_RANKING,
        out,
        maturityMs: 0,
        threads: 1,
        onStage: () => {},
      });
      const rows = await parquetReadObjects({ file: await asyncBufferFromFile(out) });
      expect(rows.length).toBe(expected.size);
      for (const row of rows) {
        const values = PRODUCT_RANKING.names.map((name) => row[name] as number | null);
        expect(values.map((value) => (Number.isNaN(value) ? null : value))).toEqual(
          expected.get(String(row["order_id"])),
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("end with those of the shared service, whose hash is part of theirs", () => {
    expect(RANKING_FEATURES.slice(AT).map(({ name }) => name)).toEqual(PRODUCT_RANKING.names);
    expect(new Set(RANKING_FEATURES.map(({ name }) => name)).size).toBe(RANKING_WIDTH);
    expect(RANKING_SERVICE.hash).not.toBe(PRODUCT_RANKING.hash);
  });
});

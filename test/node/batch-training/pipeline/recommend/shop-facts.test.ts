import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bookBefore } from "../../../../../batch-training/pipeline/recommend/products-at.ts";
import { questionsOf } from "../../../../../batch-training/pipeline/recommend/questions.ts";
import { describeFacts, splitFacts } from "../../../../../batch-training/pipeline/recommend/recommend-data.ts";
import { factsOf, shopLog } from "../../../../../batch-training/pipeline/recommend/shop-log.ts";
import { trainingBefore } from "../../../../../batch-training/pipeline/recommend/training-logs.ts";
import { StageRefusal } from "../../../../../batch-training/pipeline/pipeline-error.ts";
import type { StoredEvent } from "../../../../../models/contract/events.ts";

const START = Date.parse("2026-01-01T08:00:00Z");
const MINUTE = 60_000;
const DAY = 86_400_000;
let number = 0;

function event(type: string, at: number, data: object): StoredEvent {
  const time = new Date(at).toISOString();
  const id = `e-${number++}`;
  return { specversion: "1.0", id, source: "/shop", type, time, data, tenant: "default", ingestedAt: at } as never;
}
const view = (at: number, productId: string, who: { customerId?: string; sessionId?: string }): StoredEvent =>
  event("behavior.page_view.v1", at, { page: "/p", productId, sessionId: "s-0", ...who });
const line = (productId: string) => ({ productId, quantity: 1, unitPrice: { amount: 100, currency: "EUR" } });
const placed = (at: number, orderId: string, customerId: string, products: readonly string[]): StoredEvent =>
  event("order.placed.v1", at, {
    orderId,
    customerId,
    channel: "web",
    placedAt: new Date(at).toISOString(),
    total: { amount: 100, currency: "EUR" },
    lines: products.map(line),
    payment: { method: "card" },
  });
const bought = (at: number, orderId: string, customerId: string, products: readonly string[]): StoredEvent =>
  event("behavior.purchase.v1", at, { sessionId: "s-1", customerId, orderId, lines: products.map(line) });
const announced = (at: number, productId: string, status: "active" | "withdrawn" = "active"): StoredEvent =>
  event("catalog.product.updated.v1", at, { productId, title: productId, categories: ["all"], status });

describe("facts of a shop's log", () => {
  it("count a purchase once, however often and by whom it was told", () => {
    const log = shopLog([
      placed(START, "o-1", "c-1", ["a", "b"]),
      bought(START + MINUTE, "o-1", "c-1", ["a", "b"]),
      placed(START + DAY, "o-2", "c-1", ["a"]),
    ]);
    expect(log.visitors).toBe(1);
    expect(
      factsOf(log, 0)
        .map(({ productId, action }) => `${action} ${productId}`)
        .toSorted(),
    ).toEqual(["purchase a", "purchase a", "purchase b"]);
    // Two baskets: the two products of the first go together.
    expect(log.order.toSorted()).toEqual(Int32Array.of(0, 0, 1));
  });

  it("keep strangers apart by session and leave out what nobody is known to have done", () => {
    const log = shopLog([
      view(START, "a", { sessionId: "s-1" }),
      view(START + 1, "b", { sessionId: "s-2" }),
      view(START + 2, "c", { sessionId: "s-2", customerId: "c-1" }),
    ]);
    expect(log.visitors).toBe(3);
    expect([...log.known]).toEqual([0, 0, 1]);
  });

  it("are the same under other pseudonyms", () => {
    const told = (name: (who: number) => string) =>
      shopLog([3, 1, 2, 1].map((who, at) => view(START + at, `p${who}`, { customerId: name(who) })));
    expect(told((who) => `c-${who}`)).toEqual(told((who) => `z-${9 - who}`));
  });

  it("are grouped by visitor and by time, in whatever order they were logged", () => {
    const rows = fc.array(fc.tuple(fc.nat(3), fc.nat(5), fc.nat(1_000)), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(rows, (facts) => {
        // Visitors are numbered by their first appearance.
        const people = [...new Set(facts.map(([who]) => who))];
        const log = shopLog(facts.map(([who, what, at]) => view(START + at, `p${what}`, { customerId: `c-${who}` })));
        expect(log.product.length).toBe(facts.length);
        for (let visitor = 0; visitor < log.visitors; visitor++) {
          const times = factsOf(log, visitor).map(({ at }) => at);
          expect(times).toEqual(times.toSorted((a, b) => a - b));
          const own = facts.filter(([who]) => who === people[visitor]).length;
          expect(times.length).toBe(own);
        }
      }),
    );
  });
});

describe("what training sees before a moment", () => {
  const log = shopLog([
    announced(START, "never-met"),
    announced(START, "a"),
    announced(START + 3 * DAY, "later"),
    view(START + MINUTE, "a", { customerId: "c-1" }),
    view(START + 2 * MINUTE, "b", { customerId: "c-1" }),
    view(START + 3 * MINUTE, "b", { customerId: "c-2" }),
    view(START + 2 * DAY, "a", { customerId: "c-1" }),
    view(START + 4 * DAY, "later", { customerId: "c-1" }),
  ]);
  const training = trainingBefore(log, START + 3 * DAY, 1_800);

  it("is nothing of what came after", () => {
    expect(training.items.ids).not.toContain("later");
    expect(training.byVisitor.item.length).toBe(4);
    expect(training.byVisitor.lastTime).toBe((START + 2 * DAY) / 1_000);
  });

  it("numbers products by falling number of visitors, those that nobody met last", () => {
    expect(training.items.ids).toEqual(["b", "a", "never-met"]);
    expect([...training.items.knownBy]).toEqual([2, 1, 0]);
  });

  it("cuts visits at pauses", () => {
    expect(training.byVisit.users).toBe(3);
    expect(training.byVisitor.users).toBe(2);
  });

  it("knows products as they were then: withdrawn and announced again, stock by place", () => {
    const stock = (at: number, locationId: string, available: number): StoredEvent =>
      event("inventory.stock.changed.v1", at, { productId: "a", locationId, available });
    const price = event("pricing.updated.v1", START + 5, { productId: "a", price: { amount: 7, currency: "EUR" } });
    const told = shopLog([
      announced(START, "a"),
      stock(START + 1, "x", 3),
      stock(START + 2, "y", 4),
      price,
      stock(START + 9, "x", 0),
      announced(START + 9, "a", "withdrawn"),
    ]);
    expect(bookBefore(told.changes, START + 9).product("a")).toMatchObject({ active: true, stock: 7, price: 7 });
    expect(bookBefore(told.changes, START + 10).product("a")).toMatchObject({ active: false, stock: 4, price: 7 });
    expect(bookBefore(told.changes, START).product("a")).toBeNull();
  });
});

describe("questions", () => {
  const rows = fc.array(fc.tuple(fc.nat(3), fc.nat(8), fc.nat(4_000)), { minLength: 1, maxLength: 80 });
  const options = { gapSeconds: 1_800, maxEvents: 20, limit: 1_000, seed: 1, until: Infinity };

  it("are asked with the past alone: no fact after the moment, no product in view among the right ones", () => {
    fc.assert(
      fc.property(rows, fc.nat(4_000), (facts, from) => {
        const told = facts.map(([who, what, at]) => view(START + at * MINUTE, `p${what}`, { customerId: `c-${who}` }));
        const log = shopLog(told);
        for (const question of questionsOf(log, { ...options, from: START + from * MINUTE })) {
          expect(question.facts.every(({ at }) => at <= question.now)).toBe(true);
          expect(question.facts.length).toBeLessThanOrEqual(20);
          expect(question.now).toBeGreaterThanOrEqual(START + from * MINUTE - 1);
          expect(question.outcome.size).toBeGreaterThan(0);
          if (question.productId !== null) expect(question.outcome.has(question.productId)).toBe(false);
          const later = factsOf(log, question.visitor).filter(({ at }) => at >= question.now);
          for (const id of question.outcome.keys()) expect(later.some(({ productId }) => productId === id)).toBe(true);
        }
      }),
    );
  });

  it("keep the most that became of a product in the visit", () => {
    const log = shopLog([
      view(START, "a", { customerId: "c-1" }),
      view(START + MINUTE, "b", { customerId: "c-1" }),
      placed(START + 2 * MINUTE, "o-1", "c-1", ["b"]),
      placed(START + 2 * DAY, "o-2", "c-1", ["c"]),
    ]);
    const [home, product] = questionsOf(log, { ...options, from: START });
    expect(home).toMatchObject({ placement: "home", facts: [] });
    expect(home?.outcome).toEqual(
      new Map([
        ["a", "view"],
        ["b", "purchase"],
      ]),
    );
    expect(product?.placement).toBe("product");
    expect([...(product?.outcome.keys() ?? [])]).not.toContain("c");
  });
});

describe("a log that no recommender can come from", () => {
  it("is refused with what is missing", () => {
    expect(() => describeFacts(shopLog([]))).toThrow(/0 views, carts and purchases over 0.0 days; 1000 over 7 days/);
    const short = Array.from({ length: 1_200 }, (_, at) =>
      view(START + at, `p${at % 9}`, { customerId: `c-${at % 7}` }),
    );
    expect(() => describeFacts(shopLog(short))).toThrow(StageRefusal);
    const gap = [...short, view(START + 60 * DAY, "p1", { customerId: "c-1" })];
    expect(() => splitFacts(shopLog(gap))).toThrow(/a slice of the log's time is empty/);
  });
});

import { describe, expect, it } from "vitest";
import { factsOf, shopLog } from "../../../../batch-training/pipeline/recommend/shop-log.ts";
import { trainingBefore } from "../../../../batch-training/pipeline/recommend/training-logs.ts";
import type { InboundEvent, StoredEvent } from "../../../../models/contract/events.ts";
import { dismissedProducts, mergedHistories } from "../../../../models/recommend/contradictions.ts";
import { DEFAULT_POLICY } from "../../../../models/recommend/policy.ts";
import { indexHistory, type VisitorFact } from "../../../../models/recommend/visitor-history.ts";
import { shuffled } from "../../../support/seeded-random.ts";
import { contradictoryEvents, TOLD_CUSTOMERS, type ToldFact, toldHistory } from "../../../support/told-history.ts";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const stored = (events: readonly InboundEvent[]): StoredEvent[] =>
  events.map((event) => ({ ...event, tenant: "default", ingestedAt: NOW }));
const fact = (action: VisitorFact["action"], productId: string, at: number, more = {}): VisitorFact => {
  return { action, productId, at, quantity: 1, ...more };
};

describe("what training makes of events that contradict each other", () => {
  it("is what histories hold: those of a slow reading of all events, in whatever order they were logged", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const events = contradictoryEvents(seed, NOW);
      const log = shopLog(stored(shuffled([...events, ...events], seed)));
      // Visitors have no names in a log: histories are compared as a set.
      const histories = Array.from({ length: log.visitors }, (_, visitor) =>
        log.known[visitor] === 1 ? [factsOf(log, visitor).map(readable)] : [],
      ).flat();
      const expected = TOLD_CUSTOMERS.map((customer) => toldHistory(events, customer)).filter(
        ({ length }) => length > 0,
      );
      const asTexts = (all: readonly (readonly ToldFact[])[]): string[] =>
        all
          .map((history) =>
            history
              .map(({ productId, action, at, quantity, returnedAt }) =>
                [productId, action, at, quantity, returnedAt].join(" "),
              )
              .toSorted()
              .join("; "),
          )
          .toSorted();
      expect(asTexts(histories), `seed ${seed}`).toEqual(asTexts(expected));
    }
  });

  it("counts no dismissal as an interest, and no order that came back as a basket", () => {
    const tell = (type: string, at: number, data: object): InboundEvent =>
      ({
        specversion: "1.0",
        id: `${type} ${at}`,
        source: "/s",
        type,
        time: new Date(at).toISOString(),
        data,
      }) as InboundEvent;
    const who = { customerId: "c-1", sessionId: "s-1" };
    const price = { amount: 1, currency: "EUR" };
    const lines = ["a", "b"].map((productId) => ({ productId, quantity: 1, unitPrice: price }));
    const log = shopLog(
      stored([
        tell("behavior.purchase.v1", NOW, { ...who, orderId: "o-1", lines }),
        tell("behavior.recommendation_feedback.v1", NOW + 1, {
          ...who,
          recommendationId: "r",
          productId: "c",
          kind: "dismiss",
        }),
        tell("order.refunded.v1", NOW + 100, {
          ...who,
          orderId: "o-1",
          orderPlacedAt: new Date(NOW).toISOString(),
          amount: price,
        }),
      ]),
    );
    const before = trainingBefore(log, NOW + 50, 1_800);
    const after = trainingBefore(log, NOW + 150, 1_800);
    expect(before.items.ids).toEqual(["a", "b"]);
    expect([before.byBasket.item.length, after.byBasket.item.length]).toEqual([2, 0]);
    // They looked at it and wanted it: the interest stays.
    expect([before.byVisitor.item.length, after.byVisitor.item.length]).toEqual([2, 2]);
  });
});

function readable({ told: _told, ...known }: VisitorFact): ToldFact {
  const { productId, action, at, quantity, returnedAt } = known;
  return { productId, action, at, quantity, returnedAt: returnedAt ?? null };
}

describe("what lists make of them", () => {
  const catalogue = { indexOf: (id: string) => "abcdef".indexOf(id) };
  const indexed = (facts: readonly VisitorFact[], now: number) =>
    indexHistory(catalogue, { ...DEFAULT_POLICY, repeatActions: ["purchase"] }, { facts, recent: [], now });

  it("an order that came back is bought until then, and an interest from then on", () => {
    const facts = [fact("purchase", "a", NOW, { returnedAt: NOW + 100 }), fact("purchase", "b", NOW + 1)];
    expect([...indexed(facts, NOW + 99).repeat.items]).toEqual([0, 1]);
    expect([...indexed(facts, NOW + 100).repeat.items]).toEqual([1]);
    expect([...indexed(facts, NOW + 100).taste.items]).toEqual([0, 1]);
  });

  it("the newest verdict holds: bought after a dismissal is shown again, dismissed after a purchase is not; a look is no verdict", () => {
    const verdicts = [
      fact("dismiss", "a", 1),
      fact("purchase", "a", 2),
      fact("purchase", "b", 3),
      fact("dismiss", "b", 4),
      fact("dismiss", "c", 5),
      fact("view", "c", 6),
      fact("dismiss", "d", 7),
      fact("cart", "d", 8),
    ];
    expect([...dismissedProducts(verdicts)]).toEqual(["b", "c"]);
    expect(indexed(verdicts, NOW).dismissed).toEqual([1, 2]);
    // Before the second thought.
    expect(indexed(verdicts, 1).dismissed).toEqual([0]);
  });

  it("a purchase told of the customer and of their session is one", () => {
    const customer = [fact("purchase", "a", 5, { told: 1 }), fact("purchase", "a", 9, { told: 3 })];
    const session = [
      fact("view", "b", 4),
      fact("purchase", "a", 6, { told: 1 }),
      fact("purchase", "a", 7, { told: 2 }),
    ];
    expect(mergedHistories([customer, session]).map(({ at }) => at)).toEqual([4, 5, 7, 9]);
    expect(mergedHistories([session])).toEqual(session);
  });
});

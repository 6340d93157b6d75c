import { beforeAll, describe, expect, it } from "vitest";
import { Shoppers } from "../../../../batch-training/simulator/shoppers.ts";
import { simulateShop } from "../../../../batch-training/simulator/simulate-shop.ts";
import { validateEvent } from "../../../../models/contract/validate-event.ts";

const END = Date.UTC(2026, 2, 1, 10, 17);
const shop = simulateShop({ seed: "shoppers", scale: 0.1, end: END });
let shoppers: Shoppers;

beforeAll(() => {
  for (const _told of shop.events());
  shoppers = new Shoppers(shop);
});

/** Ten products of the shop, others for each number. */
const listOf = (number: number) => ({
  recommendationId: `rec-${number}`,
  at: END + number,
  productIds: Array.from({ length: 10 }, (_, at) => shop.catalogue.products[(number * 37 + at * 11) % 400]?.id ?? ""),
});
const productOf = (event: { data: unknown }): string | undefined =>
  (event.data as { productId?: string } | undefined)?.productId;

describe("customers who use lists", () => {
  it("react to the same list in the same way, with events that the shop could have sent", () => {
    for (const visit of shoppers.visits(200)) {
      const list = listOf(visit.number);
      const reaction = shoppers.react(visit, list);
      expect(new Shoppers(shop).react(visit, list)).toEqual(reaction);
      for (const event of reaction.events) {
        expect(validateEvent(event, { now: END + 60_000, allowRecordedTime: false }).ok).toBe(true);
      }
    }
  }, 20_000);

  it("say which list led them, and of its products only", () => {
    const totals = { clicks: 0, carts: 0, purchases: 0 };
    for (const visit of shoppers.visits(600)) {
      const list = listOf(visit.number);
      const { events, clicks, carts, purchases } = shoppers.react(visit, list);
      const named = events.filter((event) => "recommendationId" in (event.data as object));
      for (const event of named) {
        const product = productOf(event);
        if (product !== undefined) expect(list.productIds).toContain(product);
      }
      const viewed = named.filter(({ type }) => type === "behavior.page_view.v1").length;
      expect([viewed, carts <= clicks, purchases <= carts]).toEqual([clicks, true, true]);
      totals.clicks += clicks;
      totals.carts += carts;
      totals.purchases += purchases;
    }
    expect(totals.purchases).toBeGreaterThan(5);
    expect(totals.clicks).toBeGreaterThan(totals.carts);
  });

  it("click what they like and look from the top, without knowing who made the list", () => {
    const places = new Uint32Array(10);
    const [liked, other] = [
      { shown: 0, clicked: 0 },
      { shown: 0, clicked: 0 },
    ];
    for (const visit of shoppers.visits(1_500)) {
      const customer = shop.people.customers.find(({ id }) => id === visit.customerId);
      const best = customer?.tastes.indexOf(Math.max(...customer.tastes));
      const list = listOf(visit.number);
      const clicked = new Set(shoppers.react(visit, list).events.map(productOf));
      for (const [place, id] of list.productIds.entries()) {
        const isLiked = shop.catalogue.products.find((product) => product.id === id)?.categoryIndex === best;
        const group = isLiked ? liked : other;
        group.shown++;
        if (!clicked.has(id)) continue;
        group.clicked++;
        places[place] = (places[place] ?? 0) + 1;
      }
    }
    expect(liked.clicked / liked.shown).toBeGreaterThan(4 * (other.clicked / other.shown));
    const sum = (from: number, to: number): number => places.slice(from, to).reduce((total, count) => total + count, 0);
    expect(sum(0, 3)).toBeGreaterThan(1.2 * sum(7, 10));
  });

  it("need a past", () => {
    expect(() => new Shoppers(simulateShop({ seed: "shoppers", scale: 0.1, end: END }))).toThrow("has not been told");
  });
});

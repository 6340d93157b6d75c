import { CATEGORIES } from "../catalogue-table.ts";
import type { BasketLine } from "../order-desk.ts";
import type { Customer } from "../people.ts";
import { DAY_MS, MINUTE_MS } from "../world.ts";
import { Underworld, type Shop, LIKES_ANYTHING } from "./underworld.ts";

/**
 * A customer's account in other hands: a new device and network, the stored card, another delivery address. From the ninth week half of
 * them buy gift cards instead, which need no address.
 */
export class AccountTakeover extends Underworld {
  constructor(shop: Shop) {
    super(shop, "account-takeover");
  }

  protected override plan(day: number): void {
    const { random, shop } = this;
    const growth = Math.min(1.6, 0.4 + day / 60);
    for (let cases = random.poisson(0.42 * shop.world.options.scale * growth); cases > 0; cases--) {
      const victim = this.#victim(day);
      if (victim !== undefined) this.#rob(victim, day);
    }
  }

  #victim(day: number): Customer | undefined {
    const { people, world } = this.shop;
    for (let tries = 0; tries < 20; tries++) {
      const candidate = this.random.pick(people.customers);
      if (candidate.orders > 0 && candidate.registeredAt < world.day(day) - 20 * DAY_MS) return candidate;
    }
    return undefined;
  }

  #rob(victim: Customer, day: number): void {
    const { random, shop } = this;
    const { people } = shop;
    const digital = day > 60 && random.chance(0.5);
    const deviceId = people.newDevice();
    const ipAddress = people.newIp(random.chance(0.55));
    const shipping =
      digital || random.chance(0.2) ? victim.household.home : people.newPlace(random.chance(0.2) ? "PL" : "DE");
    let at = this.hour(day, 0.5);
    for (let orders = 1 + random.poisson(0.7); orders > 0; orders--) {
      this.order({
        at,
        customerId: victim.id,
        registeredAt: victim.registeredAt,
        goods: () => (digital ? this.#giftCards() : this.loot(random.chance(0.35) ? 2 : 1, 120_000)),
        card: victim.cards[0],
        authenticated: random.chance(0.3),
        deviceId,
        ipAddress,
        billing: victim.household.home,
        shipping,
        fails: 0.12,
        fraud: "account-takeover",
        pages: 0.3,
      });
      at += 4 * MINUTE_MS + random.exponential(50 * MINUTE_MS);
    }
  }

  #giftCards(): BasketLine[] {
    const index = CATEGORIES.findIndex((row) => row.category === "gift-cards");
    const product = this.shop.catalogue.choose(this.random, index, LIKES_ANYTHING);
    if (product === undefined) return this.loot(1, 30_000);
    return [{ product, quantity: 1 + this.random.below(3), unitPrice: this.random.pick([2_500, 5_000, 10_000]) }];
  }
}

import type { Card, Place } from "../people.ts";
import { DAY_MS } from "../world.ts";
import { Underworld, type Shop } from "./underworld.ts";

/** Dozens of made-up customers who share a few devices, cards and parcel lockers, and buy ordinary things for weeks. */
export class BotRing extends Underworld {
  #ring: Ring | undefined;

  constructor(shop: Shop) {
    super(shop, "bot-ring");
  }

  protected override plan(day: number): void {
    const { random, shop } = this;
    if (this.#ring === undefined || day >= this.#ring.until) this.#ring = this.#found(day);
    const ring = this.#ring;
    if (day < ring.from) return;
    for (let orders = random.poisson(1.05 * shop.world.options.scale); orders > 0; orders--) {
      const account = random.pick(ring.accounts);
      const at = this.hour(day, 0.2);
      if (account.registeredAt > at) continue;
      this.order({
        at,
        customerId: account.id,
        registeredAt: account.registeredAt,
        goods: () => this.loot(1 + random.below(2), 16_000),
        card: random.pick(ring.cards),
        authenticated: random.chance(0.6),
        deviceId: random.pick(ring.devices),
        ipAddress: random.pick(ring.addresses),
        billing: random.pick(ring.lockers),
        shipping: random.pick(ring.lockers),
        fails: 0.12,
        fraud: "bot-ring",
      });
    }
  }

  /** The next ring is harder to see: more devices, more cards, older accounts. */
  #found(day: number): Ring {
    const { random, shop } = this;
    const { people, world } = shop;
    const skill = Math.min(3, 1 + Math.floor(day / 32));
    const size = Math.max(1, Math.round(shop.world.options.scale ** 0.5));
    const from = day + 6 + random.below(12);
    const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count * size }, make);
    return {
      from,
      until: from + 14 + random.below(12),
      accounts: times(12 + 4 * skill, () => ({
        id: world.id("cus"),
        registeredAt: world.day(from) - random.exponential(4 * skill) * DAY_MS + random.below(6) * DAY_MS,
      })),
      devices: times(1 + 2 * skill, () => people.newDevice()),
      cards: times(3 + 3 * skill, () => this.stolenCard()),
      addresses: times(2 + skill, () => people.newIp(random.chance(0.4))),
      lockers: times(2, () => people.newPlace("DE")),
    };
  }
}

interface Ring {
  readonly from: number;
  readonly until: number;
  readonly accounts: readonly { readonly id: string; readonly registeredAt: number }[];
  readonly devices: readonly string[];
  readonly cards: readonly Card[];
  readonly addresses: readonly string[];
  readonly lockers: readonly Place[];
}

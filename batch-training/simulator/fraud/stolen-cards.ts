import { FAR_COUNTRIES, type Place } from "../people.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../world.ts";
import { Underworld, type Shop, wave } from "./underworld.ts";

/**
 * Bursts of orders with stolen cards, from a device never seen before. At first on accounts made minutes before and all within hours;
 * from the sixth week on accounts that were left to age, with pauses, smaller sums and better papers.
 */
export class StolenCards extends Underworld {
  readonly #aged: { readonly id: string; readonly registeredAt: number }[] = [];
  readonly #drops: Place[] = [];

  constructor(shop: Shop) {
    super(shop, "stolen-card");
  }

  protected override plan(day: number): void {
    const { random, shop } = this;
    const { scale } = shop.world.options;
    const matured = day > 42;
    for (let made = random.poisson(0.5 * scale); made > 0; made--)
      this.#aged.push({ id: shop.world.id("cus"), registeredAt: shop.world.day(day) + random.below(DAY_MS) });
    for (let cases = random.poisson(0.3 * scale * wave(day, 37, 0)); cases > 0; cases--) this.#burst(day, matured);
  }

  #burst(day: number, matured: boolean): void {
    const { random, shop } = this;
    let at = this.hour(day, 0.4);
    const aged = matured && random.chance(0.75) ? this.#aged.shift() : undefined;
    const account = aged ?? { id: shop.world.id("cus"), registeredAt: at - random.exponential(90) * MINUTE_MS };
    const drop = this.#drop();
    const ipAddress = shop.people.newIp(random.chance(0.6));
    let deviceId = shop.people.newDevice();
    let card = this.stolenCard();
    for (let orders = 1 + random.poisson(matured ? 1.6 : 2.6); orders > 0; orders--) {
      this.order({
        at,
        customerId: account.id,
        registeredAt: account.registeredAt,
        goods: () => this.loot(random.chance(0.25) ? 2 : 1, matured ? 40_000 : 150_000),
        card,
        authenticated: random.chance(matured ? 0.45 : 0.15),
        deviceId,
        ipAddress,
        billing: random.chance(0.5) ? drop : shop.people.newPlace("DE"),
        shipping: drop,
        fails: 0.22,
        fraud: "stolen-card",
      });
      at += random.exponential(matured ? 9 * HOUR_MS : 35 * MINUTE_MS);
      if (random.chance(0.4)) card = this.stolenCard();
      if (matured && random.chance(0.35)) deviceId = shop.people.newDevice();
    }
  }

  #drop(): Place {
    const known = this.#drops.at(-1);
    if (known !== undefined && this.random.chance(0.45)) return known;
    const drop = this.shop.people.newPlace(this.random.chance(0.2) ? this.random.pick(FAR_COUNTRIES) : "DE");
    this.#drops.push(drop);
    return drop;
  }
}

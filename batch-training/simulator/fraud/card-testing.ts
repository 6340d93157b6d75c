import type { Product } from "../catalogue.ts";
import type { BasketLine } from "../order-desk.ts";
import { DAY_MS, MINUTE_MS } from "../world.ts";
import { Underworld, type Shop, wave } from "./underworld.ts";

/** Slow small payments, each with another card, to learn which cards work. Most fail; the good ones are used elsewhere. */
export class CardTesting extends Underworld {
  constructor(shop: Shop) {
    super(shop, "card-testing");
  }

  protected override plan(day: number): void {
    const { random, shop } = this;
    const { people, world } = shop;
    for (let campaigns = random.poisson(0.055 * world.options.scale * wave(day, 29, 11)); campaigns > 0; campaigns--) {
      const devices = [people.newDevice(), people.newDevice()];
      const ipAddress = people.newIp(true);
      const place = people.newPlace("DE");
      let account = { id: world.id("cus"), registeredAt: world.day(day) - random.exponential(3) * DAY_MS };
      let at = this.hour(day, 0.5);
      for (let tests = 10 + random.poisson(10); tests > 0; tests--) {
        this.order({
          at,
          customerId: account.id,
          registeredAt: account.registeredAt,
          goods: () => this.#small(),
          card: this.stolenCard(),
          authenticated: random.chance(0.1),
          deviceId: random.pick(devices),
          ipAddress,
          billing: place,
          shipping: place,
          fails: 0.55,
          fraud: "card-testing",
          pages: 0,
        });
        at += random.between(15, 140) * MINUTE_MS;
        if (random.chance(0.25))
          account = { id: world.id("cus"), registeredAt: at - random.between(5, 600) * MINUTE_MS };
      }
    }
  }

  #small(): BasketLine[] {
    const { random, shop } = this;
    const cheap: Product[] = shop.catalogue.products.filter(
      (product) => product.active && product.stock > 0 && product.price < 1_200,
    );
    return cheap.length === 0 ? this.loot(1, 5_000) : [{ product: random.pick(cheap), quantity: 1 }];
  }
}

import { CATEGORIES } from "../catalogue-table.ts";
import type { Catalogue } from "../catalogue.ts";
import type { BasketLine, OrderDesk, Purchase } from "../order-desk.ts";
import { type Card, FAR_COUNTRIES, type People } from "../people.ts";
import { EventQueue } from "../event-queue.ts";
import type { SeededRandom } from "../seeded-random.ts";
import type { Storefront } from "../storefront.ts";
import { HOUR_MS, MINUTE_MS, type World } from "../world.ts";

export interface Shop {
  readonly world: World;
  readonly catalogue: Catalogue;
  readonly people: People;
  readonly desk: OrderDesk;
  readonly storefront: Storefront;
}

/** What a thief looks for: things that sell again. */
const RESALE = CATEGORIES.map((row) => row.resale ** 2 + 0.01);
export const LIKES_ANYTHING = { tier: 1.3, priceSensitivity: 0.3, brands: new Set<string>() };

/** An order that a criminal means to place. What it takes is chosen when the time comes, from what is sold then. */
export interface Coup extends Omit<Purchase, "sessionId" | "channel" | "method" | "basket"> {
  readonly deviceId: string;
  readonly goods: () => readonly BasketLine[];
  /** Pages looked at before the article itself, on average; 0.8 when not given. */
  readonly pages?: number;
}

/** What the criminals of every kind share: plans over several days, loot, stolen cards. */
export abstract class Underworld {
  readonly shop: Shop;
  readonly random: SeededRandom;
  readonly #agenda = new EventQueue<Coup>();

  constructor(shop: Shop, kind: string) {
    this.shop = shop;
    this.random = shop.world.random(`fraud/${kind}`);
  }

  /** A card of somebody else: of a customer of the shop, or of a stranger. */
  stolenCard(): Card {
    const { people } = this.shop;
    if (this.random.chance(0.35)) {
      const victim = this.random.pick(people.customers);
      return victim.cards[0] ?? people.newCard("DE");
    }
    return people.newCard(this.random.chance(0.4) ? this.random.pick(FAR_COUNTRIES) : "DE");
  }

  loot(count: number, most: number): BasketLine[] {
    const basket: BasketLine[] = [];
    for (let tries = 0; tries < 3 * count && basket.length < count; tries++) {
      const product = this.shop.catalogue.choose(this.random, this.random.weighted(RESALE), LIKES_ANYTHING);
      if (product === undefined || product.price > most || basket.some((line) => line.product === product)) continue;
      basket.push({ product, quantity: this.random.chance(0.12) ? 2 : 1 });
    }
    return basket;
  }

  /** Thinks up what begins on this day, by calls of `order`. */
  protected abstract plan(day: number): void;

  live(day: number): void {
    this.plan(day);
    const end = this.shop.world.day(day + 1);
    for (let coup = this.#agenda.takeBefore(end); coup !== undefined; coup = this.#agenda.takeBefore(end))
      this.#carryOut(coup, Math.max(coup.at, this.shop.world.day(day) + MINUTE_MS));
  }

  order(coup: Coup): void {
    this.#agenda.add(coup);
  }

  /** A visit that ends in an order: few pages, straight to the thing. */
  #carryOut({ goods, pages = 0.8, ...coup }: Coup, start: number): void {
    const { storefront, world, desk } = this.shop;
    const wanted = goods();
    if (wanted.length === 0) return;
    const visitor = { customerId: coup.customerId, sessionId: world.id("ses"), deviceId: coup.deviceId };
    const basket: BasketLine[] = [];
    let at = start;
    for (const line of wanted) {
      for (let page = this.random.poisson(pages); page >= 0; page--)
        at += storefront.view(at, visitor, `/p/${line.product.id}`, line.product) * 0.5;
      basket.push(line);
      storefront.addToCart(at, visitor, basket);
    }
    storefront.leaveCart(at + 500, visitor, basket);
    const channel = this.random.chance(0.3) ? "app" : "web";
    desk.place({ ...coup, basket, at: at + 15_000, sessionId: visitor.sessionId, channel, method: "card" });
  }

  /** A time on day `day`: criminals prefer the night, but not only. */
  hour(day: number, nightShare: number): number {
    const hour = this.random.chance(nightShare) ? this.random.between(0.05, 6) : this.random.between(8, 24);
    return this.shop.world.day(day) + hour * HOUR_MS;
  }
}

/** A strength that rises and falls over the days: the mean over 98 days is near 1. */
export function wave(day: number, period: number, phase: number): number {
  return Math.max(0, 1 + 1.2 * Math.sin((2 * Math.PI * (day + phase)) / period));
}

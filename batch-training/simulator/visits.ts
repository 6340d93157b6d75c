import type { Catalogue, Product } from "./catalogue.ts";
import { type BasketLine, type OrderDesk, payment, type Purchase } from "./order-desk.ts";
import { type Customer, FAR_COUNTRIES, type People, STORE_HOURS } from "./people.ts";
import type { CompromisedTerminals } from "./fraud/compromised-terminals.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Storefront, Visitor } from "./storefront.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS, type World } from "./world.ts";

/** Pages of one visit at most: people tire. */
const MAX_PAGES = 14;

/** What honest people do: look, collect, buy, come back; on the web, in stores, by telephone. */
export class Visits {
  readonly #world: World;
  readonly #catalogue: Catalogue;
  readonly #people: People;
  readonly #desk: OrderDesk;
  readonly #storefront: Storefront;
  readonly #terminals: CompromisedTerminals;
  readonly #random: SeededRandom;
  /** Called with each paid order's customer and products: reviews come of it. */
  readonly #onBought: (customer: Customer, products: readonly Product[], at: number) => void;

  constructor(
    shop: {
      world: World;
      catalogue: Catalogue;
      people: People;
      desk: OrderDesk;
      storefront: Storefront;
      terminals: CompromisedTerminals;
    },
    onBought: (customer: Customer, products: readonly Product[], at: number) => void,
  ) {
    this.#world = shop.world;
    this.#catalogue = shop.catalogue;
    this.#people = shop.people;
    this.#desk = shop.desk;
    this.#storefront = shop.storefront;
    this.#terminals = shop.terminals;
    this.#random = shop.world.random("visits");
    this.#onBought = onBought;
  }

  live(day: number): void {
    const random = this.#random;
    const start = this.#world.day(day);
    const busy = busyness(day, new Date(start).getUTCDay());
    for (const customer of this.#people.customers) {
      if (customer.registeredAt >= start + DAY_MS) continue;
      const age = (start - customer.registeredAt) / DAY_MS;
      // A newcomer registers because there is something to buy.
      const eager = age < 1 ? 0.75 : age < 7 ? 0.05 : 0;
      for (let visits = random.poisson(customer.sessionsPerDay * busy + eager); visits > 0; visits--) {
        const welcome = customer.registeredAt + random.between(1, 40) * MINUTE_MS;
        const at = Math.max(start + this.#timeOfDay(customer.hours), welcome);
        if (at < start + DAY_MS) this.#browse(customer, at);
      }
      if (age < 0) continue;
      for (const habit of customer.habits)
        if (habit.nextAt < start + DAY_MS) {
          habit.nextAt = start + habit.periodDays * DAY_MS * random.between(0.8, 1.25);
          this.#replenish(customer, habit.product, start + this.#timeOfDay(customer.hours));
        }
      if (random.chance(customer.storeVisitsPerDay * busy))
        this.#visitStore(customer, start + this.#timeOfDay(STORE_HOURS));
      if (random.chance(0.0009 * busy)) this.#telephone(customer, start + this.#timeOfDay(STORE_HOURS));
    }
    for (let count = random.poisson(9 * this.#world.options.scale * busy); count > 0; count--)
      this.#browseUnknown(start + this.#timeOfDay(random.pick(this.#people.customers).hours));
  }

  #browse(customer: Customer, start: number): void {
    const random = this.#random;
    const visitor = this.#visitorOf(customer);
    const wants = random.chance(customer.buys);
    const basket: BasketLine[] = [];
    let at = start;
    let product = this.#interest(customer);
    if (random.chance(0.15)) at += this.#storefront.view(at, visitor, "/");
    for (let pages = 0; pages < MAX_PAGES && product !== undefined; pages++) {
      at += this.#storefront.view(at, visitor, `/p/${product.id}`, product);
      const fits = basket.every((line) => line.product !== product);
      if (fits && random.chance(wants ? (basket.length === 0 ? 0.62 : 0.34) : 0.07)) {
        basket.push({ product, quantity: quantityOf(random, product) });
        this.#storefront.addToCart(at, visitor, basket);
        const extra = random.chance(0.3) ? this.#catalogue.accessory(random, product, customer.liking) : undefined;
        if (wants && extra !== undefined && basket.every((line) => line.product !== extra)) {
          at += this.#storefront.view(at, visitor, `/p/${extra.id}`, extra);
          basket.push({ product: extra, quantity: 1 });
          this.#storefront.addToCart(at, visitor, basket);
        }
      }
      if (random.chance(basket.length > 0 && wants ? 0.75 : 0.54)) break;
      product = random.chance(0.8) ? this.#catalogue.next(random, product, customer.liking) : this.#interest(customer);
    }
    this.#storefront.leaveCart(at, visitor, basket);
    if (wants && basket.length > 0) this.#buy(customer, visitor, basket, at);
  }

  #replenish(customer: Customer, product: Product, start: number): void {
    if (!product.active || product.stock === 0) return;
    const visitor = this.#visitorOf(customer);
    let at = start + this.#storefront.view(start, visitor, `/p/${product.id}`, product);
    const basket: BasketLine[] = [{ product, quantity: quantityOf(this.#random, product) }];
    this.#storefront.addToCart(at, visitor, basket);
    const extra = this.#random.chance(0.3)
      ? this.#catalogue.accessory(this.#random, product, customer.liking)
      : undefined;
    if (extra !== undefined) {
      at += this.#storefront.view(at, visitor, `/p/${extra.id}`, extra);
      basket.push({ product: extra, quantity: 1 });
      this.#storefront.addToCart(at, visitor, basket);
    }
    this.#storefront.leaveCart(at, visitor, basket);
    this.#buy(customer, visitor, basket, at);
  }

  #buy(customer: Customer, visitor: Visitor, basket: readonly BasketLine[], at: number): void {
    const random = this.#random;
    const cents = basket.reduce((sum, line) => sum + line.quantity * line.product.price, 0);
    const abroad = at < customer.abroadUntil;
    // Some people dispute what they ordered and got: to the shop this looks like any other order.
    const friendly = random.chance(customer.disputes ? 0.12 : 0.0028);
    const paying = payment(random, customer, cents);
    const purchase: Purchase = {
      at: at + 20_000 + random.exponential(50_000),
      customerId: customer.id,
      registeredAt: customer.registeredAt,
      basket,
      channel: customer.prefersApp ? "app" : "web",
      ...paying,
      sessionId: visitor.sessionId,
      deviceId: visitor.deviceId,
      ipAddress: abroad
        ? customer.abroadIp
        : random.chance(0.12)
          ? this.#people.newIp(false)
          : customer.household.ipAddress,
      billing: customer.household.home,
      shipping: this.#shipTo(customer),
      fails: 0.025,
      fraud: friendly && paying.card !== undefined ? "friendly" : undefined,
    };
    const paid = this.#desk.place(purchase);
    // Who means to buy tries again with the next card.
    if (!paid && random.chance(0.6))
      this.#desk.place({ ...purchase, at: purchase.at + 90_000, card: customer.cards.at(-1), method: "card" });
    else if (!paid) return;
    this.#remember(customer, basket, cents, at);
  }

  #visitStore(customer: Customer, at: number): void {
    const random = this.#random;
    const basket = this.#basket(customer, 1 + random.poisson(0.7));
    const first = basket[0];
    if (first === undefined) return;
    const terminalId =
      (random.chance(0.85) ? customer.terminals[random.below(2)] : undefined) ?? random.pick(this.#people.terminals);
    this.#desk.place({
      at,
      customerId: customer.id,
      registeredAt: customer.registeredAt,
      basket,
      channel: "store",
      method: "card",
      card: customer.cards[0],
      authenticated: random.chance(0.8),
      terminalId,
      billing: customer.household.home,
      fails: 0.004,
      fraud: this.#terminals.strikes(terminalId, at) ? "compromised-terminal" : undefined,
    });
    this.#remember(customer, basket, first.product.price, at);
  }

  #telephone(customer: Customer, at: number): void {
    const random = this.#random;
    const basket = this.#basket(customer, 1 + random.poisson(0.5));
    if (basket.length === 0) return;
    this.#desk.place({
      at,
      customerId: customer.id,
      registeredAt: customer.registeredAt,
      basket,
      channel: "phone",
      method: random.chance(0.5) ? "card" : "invoice",
      card: customer.cards[0],
      authenticated: false,
      billing: customer.household.home,
      shipping: this.#shipTo(customer),
      fails: 0.05,
    });
  }

  #browseUnknown(start: number): void {
    const random = this.#random;
    const like = random.pick(this.#people.customers);
    const visitor = { sessionId: this.#world.id("ses"), deviceId: this.#people.newDevice() };
    let at = start;
    let product = this.#interest(like);
    for (let pages = 0; pages < MAX_PAGES && product !== undefined; pages++) {
      at += this.#storefront.view(at, visitor, `/p/${product.id}`, product);
      if (random.chance(0.5)) return;
      product = this.#catalogue.next(random, product, like.liking);
    }
  }

  #visitorOf(customer: Customer): Visitor {
    const random = this.#random;
    // Most people come with their usual device; a few clear their browser or borrow one.
    const deviceId = random.chance(0.012)
      ? this.#people.newDevice()
      : (customer.devices[random.chance(0.7) ? 0 : random.below(customer.devices.length)] ?? "");
    return { customerId: customer.id, sessionId: this.#world.id("ses"), deviceId };
  }

  #interest(customer: Customer): Product | undefined {
    return this.#catalogue.choose(this.#random, this.#random.weighted(customer.tastes), customer.liking);
  }

  #basket(customer: Customer, count: number): BasketLine[] {
    const basket: BasketLine[] = [];
    for (let tries = 0; tries < count; tries++) {
      const product = this.#interest(customer);
      if (product !== undefined && basket.every((line) => line.product !== product))
        basket.push({ product, quantity: quantityOf(this.#random, product) });
    }
    return basket;
  }

  #shipTo(customer: Customer): Purchase["shipping"] {
    const random = this.#random;
    if (random.chance(0.93)) return customer.household.home;
    // A present, the office, a parcel shop: an address of somebody else, or a new one.
    if (random.chance(0.6)) return random.pick(this.#people.customers).household.home;
    return this.#people.newPlace(random.chance(0.06) ? random.pick(FAR_COUNTRIES) : customer.household.home.country);
  }

  #remember(customer: Customer, basket: readonly BasketLine[], cents: number, at: number): void {
    customer.orders += 1;
    customer.spent += cents;
    for (const { product } of basket) {
      const periodDays = product.category.again;
      const known = customer.habits.some((habit) => habit.product === product);
      if (periodDays > 0 && !known && customer.habits.length < 4 && this.#random.chance(0.55))
        customer.habits.push({
          product,
          periodDays,
          nextAt: at + periodDays * DAY_MS * this.#random.between(0.8, 1.3),
        });
      // Interest moves on to what belongs to the thing, and away from what one has.
      if (periodDays === 0)
        customer.tastes[product.categoryIndex] = (customer.tastes[product.categoryIndex] ?? 0) * 0.7;
    }
    this.#onBought(
      customer,
      basket.map((line) => line.product),
      at,
    );
  }

  #timeOfDay(hours: readonly number[]): number {
    return Math.max(MINUTE_MS, (this.#random.weighted(hours) + this.#random.next()) * HOUR_MS);
  }
}

export function quantityOf(random: SeededRandom, product: { category: { again: number } }): number {
  if (product.category.again > 0) return 1 + random.weighted([6, 3, 1, 0.4]);
  return random.chance(0.06) ? 2 : 1;
}

/** Weekends are busier, pay days too, the shop grows a little, and there is a week of sales. */
function busyness(day: number, weekday: number): number {
  const week = weekday === 0 ? 1.25 : weekday === 6 ? 1.15 : 0.93;
  const sale = day >= 60 && day < 67 ? 1.45 : 1;
  return week * sale * (1 + 0.0015 * day);
}

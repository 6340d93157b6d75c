import type { InboundEvent } from "../../models/contract/events.ts";
import { appeal, type Product } from "./catalogue.ts";
import { CATEGORIES } from "./catalogue-table.ts";
import type { Customer } from "./people.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { SimulatedShop } from "./simulate-shop.ts";
import { isoTime, money } from "./world.ts";

/** A visit that begins: who comes, and nothing of what they like. */
export interface ShopVisit {
  readonly number: number;
  readonly customerId: string;
  readonly sessionId: string;
}

/** A list as the visitor sees it. */
export interface ListInView {
  readonly recommendationId: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** In the order shown. */
  readonly productIds: readonly string[];
}

export interface Reaction {
  /** What the shop would report, in the order of time, within seconds of the list. */
  readonly events: readonly InboundEvent[];
  /** Distinct products of the list that were clicked, put into the cart, bought. */
  readonly clicks: number;
  readonly carts: number;
  readonly purchases: number;
}

/** A list is looked through from the top, and given up after each product with this chance (the cascade of Craswell et al. 2008). */
const GIVES_UP = 0.1;
/** How much a wish counts: of a category that is liked twenty times as much as the average one, two products in five are clicked. */
const EAGERNESS = 0.025;
const [CARTS_WHEN_BUYING, CARTS_OTHERWISE] = [0.45, 0.06];
/** Of the carts of those who came to buy. */
const CHECKS_OUT = 0.75;
/** Buyers who take along something that the list did not show. */
const TAKES_ALONG = 0.25;
/** The server lives in real time, and nothing may be told before it happened: people here are quick. */
const STEP_MS = 200;

/**
 * The shop's customers as they meet lists of recommendations after the past was told: they like what they liked all along and never see a model. The same
 * visit to the same list gives the same reaction.
 */
export class Shoppers {
  readonly #shop: SimulatedShop;
  readonly #random: SeededRandom;
  readonly #products: ReadonlyMap<string, Product>;
  readonly #customers: ReadonlyMap<string, Customer>;
  /** Mean appeal of a category to a customer, by both. */
  readonly #usual = new Map<string, number>();

  /** @throws {RangeError} when the shop's past has not been told */
  constructor(shop: SimulatedShop) {
    this.#shop = shop;
    this.#random = new SeededRandom(`shoppers/${shop.world.tag}`);
    this.#products = new Map(shop.catalogue.products.map((product) => [product.id, product]));
    this.#customers = new Map(shop.people.customers.map((customer) => [customer.id, customer]));
    if (!shop.people.customers.some(({ orders }) => orders > 0))
      throw new RangeError("The shop's past has not been told, so nobody has ordered anything.");
  }

  /** Visits by customers as often as each of them comes; some come twice. */
  visits(count: number): ShopVisit[] {
    const { customers } = this.#shop.people;
    const often = customers.map(({ sessionsPerDay }) => sessionsPerDay);
    const random = this.#random.fork("visits");
    return Array.from({ length: count }, (_, number) => ({
      number,
      customerId: customers[random.weighted(often)]?.id ?? "",
      sessionId: `ses-${this.#shop.world.tag}-list-${number}`,
    }));
  }

  react(visit: ShopVisit, list: ListInView): Reaction {
    const customer = this.#customers.get(visit.customerId);
    if (customer === undefined) throw new RangeError(`${visit.customerId} is no customer of this shop`);
    const random = this.#random.fork(`visit ${visit.number}`);
    const told = new Told(visit, list, this.#shop.world.tag);
    const buying = random.chance(customer.buys);
    const basket: Product[] = [];
    const clicked: Product[] = [];
    for (const productId of list.productIds) {
      const [interest, decision] = [random.next(), random.next()];
      const product = this.#products.get(productId);
      if (product !== undefined && interest < this.#wish(customer, product)) {
        clicked.push(product);
        told.view(product, true);
        if (decision < (buying ? CARTS_WHEN_BUYING : CARTS_OTHERWISE)) {
          basket.push(product);
          told.addToCart(product);
        }
      }
      if (random.chance(GIVES_UP)) break;
    }
    const carts = basket.length;
    const checksOut = buying && carts > 0 && random.chance(CHECKS_OUT);
    if (checksOut) {
      const more = random.chance(TAKES_ALONG) ? this.#ownChoice(customer, random) : undefined;
      if (more !== undefined && !list.productIds.includes(more.id)) {
        told.view(more, false);
        basket.push(more);
      }
      told.buy(basket);
    }
    return { events: told.events, clicks: clicked.length, carts, purchases: checksOut ? carts : 0 };
  }

  /** Chance of a click on a product that is looked at: taste for its category, and how it compares with what else is on that shelf. */
  #wish(customer: Customer, product: Product): number {
    const total = customer.tastes.reduce((sum, taste) => sum + taste, 0);
    const taste = ((customer.tastes[product.categoryIndex] ?? 0) / total) * CATEGORIES.length;
    const compared = Math.min(
      2.5,
      appeal(product, customer.liking) / this.#usualAppeal(customer, product.categoryIndex),
    );
    const due = customer.habits.some((habit) => habit.product === product) ? 10 : 0;
    return 1 - Math.exp(-EAGERNESS * (taste * compared + due));
  }

  #usualAppeal(customer: Customer, category: number): number {
    const key = `${customer.id} ${category}`;
    const known = this.#usual.get(key);
    if (known !== undefined) return known;
    const shelf = this.#shop.catalogue.products.filter(({ categoryIndex }) => categoryIndex === category);
    const mean = shelf.reduce((sum, product) => sum + appeal(product, customer.liking), 0) / Math.max(1, shelf.length);
    this.#usual.set(key, mean);
    return mean;
  }

  #ownChoice(customer: Customer, random: SeededRandom): Product | undefined {
    return this.#shop.catalogue.choose(random, random.weighted(customer.tastes), customer.liking);
  }
}

/** What the web shop reports of one visit. Identifiers follow from the list's, so that another list is another visit. */
class Told {
  readonly events: InboundEvent[] = [];
  readonly #list: ListInView;
  readonly #source: string;
  readonly #who: { readonly customerId: string; readonly sessionId: string };

  constructor({ customerId, sessionId }: ShopVisit, list: ListInView, tag: string) {
    this.#list = list;
    this.#source = `/simulated-shop/${tag}/web`;
    this.#who = { customerId, sessionId };
  }

  view(product: Product, fromList: boolean): void {
    const { recommendationId } = this.#list;
    this.#tell("behavior.page_view.v1", {
      page: `/p/${product.id}`,
      productId: product.id,
      ...(fromList && { recommendationId }),
    });
  }

  addToCart(product: Product): void {
    const { recommendationId } = this.#list;
    this.#tell("behavior.add_to_cart.v1", {
      productId: product.id,
      quantity: 1,
      unitPrice: money(product.price),
      recommendationId,
    });
  }

  buy(basket: readonly Product[]): void {
    const { recommendationId } = this.#list;
    this.#tell("behavior.purchase.v1", {
      orderId: `ord-${recommendationId}`,
      lines: basket.map(({ id, price }) => ({ productId: id, quantity: 1, unitPrice: money(price) })),
      recommendationId,
    });
  }

  #tell(type: InboundEvent["type"], data: object): void {
    const number = this.events.length + 1;
    this.events.push({
      specversion: "1.0",
      id: `${this.#list.recommendationId}-${number}`,
      source: this.#source,
      type,
      time: isoTime(this.#list.at + number * STEP_MS),
      data: { ...this.#who, ...data },
    } as InboundEvent);
  }
}

import type { EventData } from "../../models/contract/events.ts";
import type { Product } from "./catalogue.ts";
import { type BasketLine, orderLines } from "./order-desk.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { HOUR_MS, money, type World } from "./world.ts";

/** Who looks: what every page view of a session carries. */
export interface Visitor {
  readonly customerId?: string;
  readonly sessionId: string;
  readonly deviceId?: string;
}

const SHOPPING_APP = "app://shop";
const REFERRERS = ["https://search.example/", "https://social.example/", "https://mail.example/", SHOPPING_APP];

/** The web shop and the app, as they report what visitors do, honest or not. */
export class Storefront {
  readonly #world: World;
  readonly #random: SeededRandom;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random("storefront");
  }

  /** A page view, and how long it took. */
  view(at: number, visitor: Visitor, page: string, product?: Product): number {
    const random = this.#random;
    const dwell = 4_000 + random.exponential(product === undefined ? 12_000 : 38_000);
    const data: EventData<"behavior.page_view.v1"> = {
      ...visitor,
      page,
      ...(product === undefined ? {} : { productId: product.id }),
      ...(page === "/" ? { referrer: random.pick(REFERRERS) } : {}),
      dwellMs: Math.floor(dwell),
    };
    // A telephone without a network reports later.
    const late = random.chance(0.012) ? { delayMs: HOUR_MS * random.between(0.3, 20) } : {};
    this.#world.emit("web", "behavior.page_view.v1", at, data, late);
    return dwell;
  }

  addToCart(at: number, visitor: Visitor, basket: readonly BasketLine[]): void {
    const line = basket.at(-1);
    if (line === undefined) return;
    const unitPrice = money(line.unitPrice ?? line.product.price);
    this.#world.emit("web", "behavior.add_to_cart.v1", at, {
      ...visitor,
      productId: line.product.id,
      quantity: line.quantity,
      unitPrice,
    });
  }

  /** The cart as it stands when the visitor leaves it. */
  leaveCart(at: number, visitor: Visitor, basket: readonly BasketLine[]): void {
    if (basket.length === 0) return;
    const cartId = this.#world.id("crt");
    this.#world.emit("web", "cart.updated.v1", at, { ...visitor, cartId, lines: orderLines(basket) });
  }
}

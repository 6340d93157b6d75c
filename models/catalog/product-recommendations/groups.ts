import type { OrderLine } from "../../contract/events/orders.ts";
import type * as z from "zod";
import { group, type KeepDefinition, source, sourceOfEach } from "../../features/definition.ts";
import { coalesce, concat, equal, factTime, pair } from "../../features/expression.ts";

/**
 * What the ranking of products counts. Facts have no columns: that something happened, when, and to whom is what a visitor's history tells as
 * well, so that an isolate makes the same state from it; see models/recommend/ranking-service.ts.
 */

const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** Who did it, as behaviour events and orders say. */
interface Who {
  readonly customerId?: string;
  readonly sessionId?: string;
}
interface Interaction extends Who {
  readonly productId?: string;
}
interface Purchase extends Who {
  readonly orderId: string;
  /** Of an order; a behaviour event has its own time. */
  readonly placedAt?: string;
}
type Line = { readonly item: z.infer<typeof OrderLine>; readonly parent: Purchase };

/** Views of products and additions to the cart: one fact per event. A page that shows no product is none. */
const interactions = source<Interaction>({
  name: "product_interactions",
  version: 1,
  events: [
    { type: "behavior.page_view.v1", root: "" },
    { type: "behavior.add_to_cart.v1", root: "" },
  ],
  where: (event) => equal(event.text("productId"), event.text("productId")),
});

/** One fact per order and product, whichever of the order and the behaviour event becomes known first. */
const purchases = sourceOfEach<Line["item"], Purchase>({
  name: "product_purchases",
  version: 1,
  events: [
    { type: "behavior.purchase.v1", root: "" },
    { type: "order.placed.v1", root: "" },
  ],
  each: "lines",
  identity: (line) => concat(line.text("parent.orderId"), line.text("item.productId")),
  time: (line) => coalesce(line.time("parent.placedAt"), factTime),
});

const OWNER = "recommendations";

/**
 * Half a day is what the shortest window of a product with many facts may be off by. The oldest two tiles are merged when there are more than
 * 64, which 32 days fill: windows of 30 days stay as fine, and everything ever is one more number.
 */
const PRODUCT: KeepDefinition = { horizonMs: null, facts: 64, tileMs: 12 * HOUR_MS, tiles: 64 };
/** An active visitor does some dozen things in a month. */
const ACTIVITY: KeepDefinition = { horizonMs: 37 * DAY_MS, facts: 64, tileMs: DAY_MS, tiles: 64 };
/** Purchases are few and say most: as long as the events that they come from are kept. */
const PURCHASES: KeepDefinition = { horizonMs: 400 * DAY_MS, facts: 64, tileMs: 7 * DAY_MS, tiles: 64 };

export const productActivity = group<Interaction, never>({
  name: "product_activity",
  version: 1,
  owner: OWNER,
  description: "Views of a product and additions to a cart, by anybody",
  sensitivity: "internal",
  entity: "product",
  source: interactions,
  key: (event) => event.text("productId"),
  columns: () => ({}),
  keep: PRODUCT,
});

export const productPurchases = group<Line, never>({
  name: "product_purchases",
  version: 1,
  owner: OWNER,
  description: "Orders with a product, by anybody",
  sensitivity: "internal",
  entity: "product",
  source: purchases,
  key: (line) => line.text("item.productId"),
  columns: () => ({}),
  keep: PRODUCT,
});

export const visitorActivity = group<Interaction, never>({
  name: "visitor_activity",
  version: 1,
  owner: OWNER,
  description: "Views of products and additions to the cart by a visitor",
  sensitivity: "personal",
  entity: "visitor",
  source: interactions,
  key: (event) => coalesce(event.text("customerId"), event.text("sessionId")),
  columns: () => ({}),
  keep: ACTIVITY,
});

export const visitorPurchases = group<Line, never>({
  name: "visitor_purchases",
  version: 1,
  owner: OWNER,
  description: "Products bought by a visitor, each once an order",
  sensitivity: "personal",
  entity: "visitor",
  source: purchases,
  key: (line) => coalesce(line.text("parent.customerId"), line.text("parent.sessionId")),
  columns: () => ({}),
  keep: PURCHASES,
});

export const customerProductPurchases = group<Line, never>({
  name: "customer_product_purchases",
  version: 1,
  owner: OWNER,
  description: "Orders of one product by one customer",
  sensitivity: "personal",
  entity: "customer_product",
  source: purchases,
  key: (line) => pair(line.text("parent.customerId"), line.text("item.productId")),
  columns: () => ({}),
  keep: { ...PURCHASES, facts: 16, tileMs: 30 * DAY_MS, tiles: 16 },
});

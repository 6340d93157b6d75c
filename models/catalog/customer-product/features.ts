import type { EventData } from "../../contract/events.ts";
import {
  aggregateFeature,
  derivedFeature,
  group,
  type KeepDefinition,
  service,
  source,
} from "../../features/definition.ts";
import { constant, div, featureValue, max, pair } from "../../features/expression.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Views of product pages by customers who are known. */
const productViews = source<EventData<"behavior.page_view.v1">>({
  name: "product_views",
  version: 1,
  events: [{ type: "behavior.page_view.v1", root: "" }],
});

const cartAdditions = source<EventData<"behavior.add_to_cart.v1">>({
  name: "cart_additions",
  version: 1,
  events: [{ type: "behavior.add_to_cart.v1", root: "" }],
});

/** A customer looks at one product a few times; more than 32 are kept by the day. */
const KEEP: KeepDefinition = { horizonMs: 37 * DAY_MS, facts: 32, tileMs: DAY_MS, tiles: 64 };
const common = {
  version: 1,
  owner: "recommendations",
  sensitivity: "personal",
  keep: KEEP,
} as const;

export const customerProductViews = group({
  ...common,
  name: "customer_product_views",
  description: "Views of one product by one customer",
  entity: "customer_product",
  source: productViews,
  key: (view) => pair(view.text("customerId"), view.text("productId")),
  columns: (view) => ({ dwell_ms: { value: view.number("dwellMs"), keep: { sum: true } } }),
});

export const customerProductCarts = group({
  ...common,
  name: "customer_product_carts",
  description: "One product put into the cart by one customer",
  entity: "customer_product",
  source: cartAdditions,
  key: (addition) => pair(addition.text("customerId"), addition.text("productId")),
  columns: (addition) => ({ quantity: { value: addition.number("quantity"), keep: { sum: true } } }),
});

export const sessionViews = group({
  ...common,
  name: "session_views",
  description: "Product pages seen in a session",
  entity: "session",
  source: productViews,
  key: (view) => view.text("sessionId"),
  columns: (view) => ({ dwell_ms: { value: view.number("dwellMs"), keep: { sum: true } } }),
});

const views = { description: "Views of the product by the customer", fallback: 0, checks: { min: 0 } };

export const customerProducts = service({
  name: "customer_product_v1",
  owner: "recommendations",
  description: "What a customer did with a product, and how far the session is",
  request: productViews,
  entities: (view) => ({
    customer_product: pair(view.text("customerId"), view.text("productId")),
    session: view.text("sessionId"),
  }),
  features: [
    aggregateFeature(
      "product_views_1d",
      customerProductViews,
      { op: "count", column: null },
      { ...views, windowMs: DAY_MS },
    ),
    aggregateFeature(
      "product_views_30d",
      customerProductViews,
      { op: "count", column: null },
      { ...views, windowMs: 30 * DAY_MS },
    ),
    aggregateFeature(
      "product_dwell_ms_30d",
      customerProductViews,
      { op: "sum", column: "dwell_ms" },
      {
        description: "Time the customer spent on the product, milliseconds",
        windowMs: 30 * DAY_MS,
        checks: { min: 0 },
      },
    ),
    aggregateFeature(
      "product_seconds_since_view",
      customerProductViews,
      { op: "since-last" },
      { description: "Seconds since the customer looked at the product", windowMs: 30 * DAY_MS, checks: { min: 0 } },
    ),
    aggregateFeature(
      "product_carts_30d",
      customerProductCarts,
      { op: "sum", column: "quantity" },
      { description: "Pieces the customer put into the cart", fallback: 0, windowMs: 30 * DAY_MS, checks: { min: 0 } },
    ),
    derivedFeature(
      "product_carts_per_view",
      div(featureValue("product_carts_30d"), max(featureValue("product_views_30d"), constant(1))),
      { description: "Pieces put into the cart for each view", checks: { min: 0 } },
    ),
    aggregateFeature(
      "session_views_1h",
      sessionViews,
      { op: "count", column: null },
      { description: "Pages seen in the session", fallback: 0, windowMs: HOUR_MS, checks: { min: 0 } },
    ),
  ],
});

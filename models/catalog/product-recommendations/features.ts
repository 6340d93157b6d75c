import {
  aggregateFeature,
  derivedFeature,
  requestFeature,
  service,
  source,
  type Group,
} from "../../features/definition.ts";
import {
  add,
  asOf,
  coalesce,
  concat,
  constant,
  div,
  featureValue,
  fields,
  hour,
  log1p,
  max,
  pair,
  sub,
} from "../../features/expression.ts";
import { customerProductCarts, customerProductViews } from "../customer-product/features.ts";
import {
  customerProductPurchases,
  DAY_MS,
  productActivity,
  productPurchases,
  visitorActivity,
  visitorPurchases,
} from "./groups.ts";

/** One product offered to one visitor on one page: what the second stage of the recommender scores. */
export interface RankingRequest {
  readonly customerId?: string;
  readonly sessionId?: string;
  readonly productId: string;
  /** Of the product as the catalogue has it: minor units, and epoch milliseconds. */
  readonly price?: number;
  readonly publishedAt?: number;
  /** 0 home, 1 product, 2 basket, 3 category, 4 content, 5 trending. */
  readonly placement?: number;
  readonly basketSize?: number;
  /** From 1. */
  readonly position?: number;
}

/** In logs, the first view of a product in a session stands for the request: rows that are built offline are of these moments. */
const requests = source<RankingRequest>({
  name: "ranking_requests",
  version: 1,
  events: [{ type: "behavior.page_view.v1", root: "" }],
  identity: (request) => concat(request.text("sessionId"), request.text("productId")),
});

const request = fields<RankingRequest>();
const YEAR_DAYS = 365;
/** Actions that the shop's usual share of purchases is worth, and that share: what a product starts from. */
const PRIOR = { weight: 20, share: 0.05 };

const count = <const N extends string>(name: N, group: Group<never>, days: number | null, description: string) =>
  aggregateFeature(
    name,
    group,
    { op: "count", column: null },
    { description, fallback: 0, windowMs: days === null ? null : days * DAY_MS, checks: { min: 0 } },
  );

const since = <const N extends string>(name: N, group: Group<never>, days: number, description: string) =>
  aggregateFeature(name, group, { op: "since-last" }, { description, windowMs: days * DAY_MS, checks: { min: 0 } });

/** The vector of the second stage, behind what the first says of a candidate. Each kind of feature lies together; see models/recommend/ranking-service.ts. */
export const productRanking = service({
  name: "product_ranking_v1",
  owner: "recommendations",
  description:
    "What the ranking of recommendations sees of a product, its visitor, what they did with it, and the page",
  request: requests,
  entities: (asked) => ({
    visitor: coalesce(asked.text("customerId"), asked.text("sessionId")),
    product: asked.text("productId"),
    customer_product: pair(asked.text("customerId"), asked.text("productId")),
  }),
  features: [
    count("item_events_1d", productActivity, 1, "Views and carts of the product in a day"),
    count("item_events_7d", productActivity, 7, "Views and carts of the product in a week"),
    count("item_events_30d", productActivity, 30, "Views and carts of the product in 30 days"),
    count("item_events", productActivity, null, "Views and carts of the product"),
    count("item_purchases_7d", productPurchases, 7, "Orders with the product in a week"),
    count("item_purchases_30d", productPurchases, 30, "Orders with the product in 30 days"),
    count("item_purchases", productPurchases, null, "Orders with the product"),
    derivedFeature(
      "item_purchase_share",
      div(
        add(featureValue("item_purchases"), constant(PRIOR.weight * PRIOR.share)),
        add(add(featureValue("item_purchases"), featureValue("item_events")), constant(PRIOR.weight)),
      ),
      { description: "Purchases among all that was done with the product, smoothed", checks: { min: 0, max: 1 } },
    ),
    count("user_events_1h", visitorActivity, 1 / 24, "Views and carts of the visitor in an hour"),
    count("user_events_30d", visitorActivity, 30, "Views and carts of the visitor in 30 days"),
    since("user_seconds_since_event", visitorActivity, 30, "Seconds since the visitor looked at a product"),
    count("user_purchases", visitorPurchases, YEAR_DAYS, "Products the visitor bought in a year"),
    since("user_seconds_since_purchase", visitorPurchases, YEAR_DAYS, "Seconds since the visitor bought something"),
    count("user_item_views_30d", customerProductViews, 30, "Views of the product by the customer in 30 days"),
    since("user_item_seconds_since_view", customerProductViews, 30, "Seconds since the customer looked at the product"),
    count("user_item_carts_30d", customerProductCarts, 30, "Times the customer put the product into the cart"),
    count(
      "user_item_purchases",
      customerProductPurchases,
      YEAR_DAYS,
      "Orders of the product by the customer in a year",
    ),
    since(
      "user_item_seconds_since_purchase",
      customerProductPurchases,
      YEAR_DAYS,
      "Seconds since the customer bought the product",
    ),
    requestFeature("item_price", log1p(request.number("price")), {
      description: "ln(1 + price in minor units)",
      checks: { min: 0 },
    }),
    requestFeature("item_age_days", max(div(sub(asOf, request.number("publishedAt")), constant(DAY_MS)), 0), {
      description: "Days since publication",
      checks: { min: 0 },
    }),
    requestFeature("placement", request.number("placement"), {
      description: "0 home, 1 product, 2 basket, 3 category, 4 content, 5 trending",
    }),
    requestFeature("basket_size", request.number("basketSize"), { description: "Products in the basket" }),
    requestFeature("hour_of_day", hour(asOf, "UTC"), {
      description: "Hour, UTC",
      checks: { maxNullShare: 0, min: 0, max: 23 },
    }),
    requestFeature("position", request.number("position"), {
      description: "Place in the list as shown, from 1; constant 1 when ranking",
    }),
  ],
});

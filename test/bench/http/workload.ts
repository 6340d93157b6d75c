import type { InboundEvent } from "../../../models/contract/events.ts";
import type { Order } from "../../../models/contract/events/orders.ts";
import { simulateShop } from "../../../batch-training/simulator/simulate-shop.ts";
import { SeededRandom } from "../../../batch-training/simulator/seeded-random.ts";
import { wireRequest } from "./load.ts";

const SCORE_PATH = "/api/v1/fraud/score";

/** A shop's past, and orders of the kind that it would place next. */
export interface Workload {
  readonly events: readonly InboundEvent[];
  /** The last order of each customer, in a random order: the first is drawn most often. */
  readonly templates: readonly Order[];
  /** Ids of orders in the events, newest last. */
  readonly orderIds: readonly string[];
}

export function makeWorkload(options: { seed: string; scale: number; end: number }): Workload {
  const events: InboundEvent[] = [];
  const latest = new Map<string, Order>();
  const orderIds: string[] = [];
  for (const { event } of simulateShop(options).events()) {
    events.push(event);
    if (event.type !== "order.placed.v1") continue;
    latest.set(event.data.customerId, event.data);
    orderIds.push(event.data.orderId);
  }
  const random = new SeededRandom("templates");
  const templates = [...latest.values()]
    .map((order) => ({ order, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ order }) => order);
  return { events, templates, orderIds };
}

/**
 * Requests for new orders, one after another, each with an id of its own and placed now. First one order of every customer, so that
 * everything about them is in memory; then customers drawn with equal chances, or by Zipf's law (exponent 1).
 */
export class OrderRequests {
  readonly #templates: readonly [string, string, string][];
  readonly #cumulative: Float64Array;
  readonly #random: SeededRandom;
  readonly #prefix: string;
  readonly #token: string;
  #made = 0;

  constructor(options: {
    readonly templates: readonly Order[];
    readonly token: string;
    readonly name: string;
    readonly draw: "uniform" | "zipf";
  }) {
    this.#templates = options.templates.map(splitTemplate);
    this.#random = new SeededRandom(options.name);
    this.#prefix = `ord-${options.name}-${Date.now().toString(36)}`;
    this.#token = options.token;
    this.#cumulative = new Float64Array(options.templates.length);
    let sum = 0;
    for (let rank = 0; rank < this.#cumulative.length; rank++) this.#cumulative[rank] = sum += 1 / (rank + 1);
  }

  /** Requests until every customer has had one. */
  get warmUp(): number {
    return this.#templates.length;
  }

  next(): Buffer {
    const made = this.#made++;
    const rank = made < this.#templates.length ? made : this.#drawRank();
    const [before, between, after] = this.#templates[rank] ?? ["", "", ""];
    const placedAt = new Date().toISOString();
    const body = `{"order":${before}${this.#prefix}-${made}${between}${placedAt}${after}}`;
    return wireRequest({ path: SCORE_PATH, token: this.#token, body });
  }

  #drawRank(): number {
    const wanted = this.#random.next() * (this.#cumulative.at(-1) ?? 0);
    let low = 0;
    let high = this.#cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#cumulative[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Requests that name ingested orders by id, the newest first, over and over. */
export function orderIdRequests(orderIds: readonly string[], token: string): () => Buffer {
  const requests = orderIds
    .toReversed()
    .map((orderId) => wireRequest({ path: SCORE_PATH, token, body: JSON.stringify({ orderId }) }));
  let made = 0;
  return () => requests[made++ % requests.length] as Buffer;
}

/** The order's JSON around its id and its time. */
function splitTemplate(order: Order): [string, string, string] {
  const [before = "", between = "", after = ""] = JSON.stringify({ ...order, orderId: "ID", placedAt: "TIME" }).split(
    /(?<="orderId":")ID|(?<="placedAt":")TIME/,
  );
  return [before, between, after];
}

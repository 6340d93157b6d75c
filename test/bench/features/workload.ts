import type { StoredEvent } from "../../../models/contract/events.ts";
import type { Order } from "../../../models/contract/events/orders.ts";
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import type { OrderFeatureRequest } from "../../../models/features/feature-store.ts";
import { SeededRandom } from "../../support/seeded-random.ts";

const DAY_MS = 86_400_000;

/** Orders of `entities` customers, devices and cards each, spread over the days before now. */
export class Workload {
  readonly #random = new SeededRandom(11);
  readonly #now = Date.now();
  #orders = 0;

  /** Next orders as events; `hot` gives every order the same customer. */
  events(
    count: number,
    entities: number,
    options: { readonly hot?: boolean; readonly days?: number } = {},
  ): StoredEvent[] {
    const days = options.days ?? 30;
    return Array.from({ length: count }, (_, i) => {
      const at = this.#now - Math.floor(days * DAY_MS * (1 - i / count));
      const customer = options.hot === true ? "hot" : `c${this.#random.below(entities)}`;
      return this.#event(this.#order(customer, entities, at), at);
    });
  }

  /** One order for each of `entities` customers, devices and cards: fills a shard with that many of each. */
  oneEach(from: number, to: number): StoredEvent[] {
    return Array.from({ length: to - from }, (_, i) => {
      const at = this.#now - DAY_MS;
      const order = { ...this.#order(`c${from + i}`, 1, at), deviceId: `d${from + i}` };
      return this.#event({ ...order, payment: { method: "card", cardId: `k${from + i}` } }, at);
    });
  }

  request(customer: string, entities: number): OrderFeatureRequest {
    const order = this.#order(customer, entities, this.#now);
    return { tenant: "bench", service: FRAUD_FEATURES.name, order, asOf: this.#now };
  }

  requests(count: number, entities: number): OrderFeatureRequest[] {
    return Array.from({ length: count }, () => this.request(`c${this.#random.below(entities)}`, entities));
  }

  /** Requests whose customers, devices and cards follow Zipf's law with exponent 1. */
  zipf(count: number, entities: number): OrderFeatureRequest[] {
    const weights = Array.from({ length: entities }, (_, i) => 1 / (i + 1));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const cumulative = new Float64Array(entities);
    let sum = 0;
    for (const [i, weight] of weights.entries()) {
      sum += weight / total;
      cumulative[i] = sum;
    }
    return Array.from({ length: count }, () => {
      const draw = this.#random.next();
      const rank = Math.max(
        0,
        cumulative.findIndex((share) => share >= draw),
      );
      const request = this.request(`c${rank}`, entities);
      const order = {
        ...request.order,
        deviceId: `d${rank}`,
        payment: { method: "card" as const, cardId: `k${rank}` },
      };
      return { ...request, order };
    });
  }

  #order(customerId: string, entities: number, at: number): Order {
    return {
      orderId: `o${this.#orders++}`,
      customerId,
      deviceId: `d${this.#random.below(entities)}`,
      channel: "web",
      placedAt: new Date(at).toISOString(),
      total: { amount: this.#random.below(50_000), currency: "EUR" },
      lines: [],
      payment: { method: "card", cardId: `k${this.#random.below(entities)}` },
    };
  }

  #event(order: Order, at: number): StoredEvent {
    return {
      specversion: "1.0",
      id: `e-${order.orderId}`,
      source: "/bench",
      time: order.placedAt,
      tenant: "bench",
      ingestedAt: at,
      type: "order.placed.v1",
      data: order,
    };
  }
}

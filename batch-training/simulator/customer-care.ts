import type { Customer, People } from "./people.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { HOUR_MS, isoTime, money, type World } from "./world.ts";

/** What the shop's customer system says: segments, computed every Sunday night, and consents that people give and take back. */
export class CustomerCare {
  readonly #world: World;
  readonly #people: People;
  readonly #random: SeededRandom;

  constructor(world: World, people: People) {
    this.#world = world;
    this.#people = people;
    this.#random = world.random("customer-care");
  }

  live(day: number): void {
    const random = this.#random;
    const start = this.#world.day(day);
    const sunday = new Date(start).getUTCDay() === 0;
    for (const customer of this.#people.customers) {
      if (customer.registeredAt >= start) continue;
      if (sunday) this.#segment(customer, start);
      if (random.chance(0.00025)) {
        const at = start + random.between(6, 23) * HOUR_MS;
        this.#world.emit("customers", "customer.consent.changed.v1", at, {
          customerId: customer.id,
          purpose: random.pick(["personalisation", "analytics", "marketing", "fraud_prevention"] as const),
          granted: random.chance(0.4),
          effectiveAt: isoTime(at),
        });
      }
    }
  }

  #segment(customer: Customer, start: number): void {
    const segment =
      customer.spent >= 150_000 ? "vip" : customer.orders >= 6 ? "regular" : customer.orders > 1 ? "returning" : "new";
    if (segment === customer.segment) return;
    const known = customer.segment !== "";
    customer.segment = segment;
    // The first computation states nothing new about people who hardly bought.
    if (!known && segment === "new") return;
    this.#world.emit(
      "customers",
      "customer.segment.recalculated.v1",
      start + 2 * HOUR_MS + this.#random.below(HOUR_MS),
      {
        customerId: customer.id,
        segments: [segment, customer.prefersApp ? "app" : "web"],
        lifetimeValue: money(customer.spent),
      },
    );
  }
}

import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { shuffled } from "../../support/seeded-random.ts";
import { contradictoryEvents, TOLD_CUSTOMERS, toldHistory } from "../../support/told-history.ts";
import { deliver } from "./client.ts";

describe("histories of customers about whom events contradict each other", () => {
  it("are those of a slow reading of all events, whatever the order of arrival, and with everything told twice", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const tenant = `told-${seed}`;
      const events = contradictoryEvents(seed, Date.now());
      const consents = events.filter(({ type }) => type === "customer.consent.changed.v1");
      const others = events.filter(({ type }) => type !== "customer.consent.changed.v1");
      // What arrives while consent is withdrawn is not kept: consents come first, in any order among themselves.
      await deliver([{ v: 1, tenant, pseudonymised: true, events: shuffled(consents, seed) }]);
      const rest = [...shuffled(others, seed), ...shuffled(others, 1_000 + seed)];
      while (rest.length > 0) {
        await deliver([{ v: 1, tenant, pseudonymised: true, events: rest.splice(0, 7) }]);
      }
      const states = await env.VISITORS.getByName(`${tenant}/0`).states(TOLD_CUSTOMERS.map((name) => `c:${name}`));
      for (const [at, customer] of TOLD_CUSTOMERS.entries()) {
        const facts = (states[at]?.facts ?? []).map(({ told: _told, ...fact }) => ({
          ...fact,
          returnedAt: fact.returnedAt ?? null,
        }));
        const order = facts.map((fact) => fact.at);
        expect(order).toEqual(order.toSorted((a, b) => a - b));
        expect(new Set(facts), `seed ${seed}, ${customer}`).toEqual(new Set(toldHistory(events, customer)));
      }
    }
  });
});

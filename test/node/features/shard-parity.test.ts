import { describe, expect, it } from "vitest";
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { driveShards } from "../../bench/features/handbook-parity.ts";
import {
  chargeback,
  HANDBOOK_DELAY_MS,
  HANDBOOK_FEATURES,
  handbookEvents,
  handbookFolder,
  handbookReference,
  transaction,
  type Transaction,
} from "../../support/handbook-cards.ts";
import { SeededRandom } from "../../support/seeded-random.ts";

const DAY_MS = 86_400_000;
/** A Wednesday, as in the set. */
const FROM = Date.parse("2018-07-25T00:00:00Z");
const TO = FROM + 7 * DAY_MS;
const HISTORY_FROM = FROM - 38 * DAY_MS;
const positions = HANDBOOK_FEATURES.map((name) => FRAUD_FEATURES.indexOf(name));

interface Generated extends Transaction {
  readonly isFraud: boolean;
}

/** Forty-five days of thirty customers at thirty terminals, a tenth of them fraud, several in one second. */
function generated(count: number): Generated[] {
  const random = new SeededRandom(5);
  const seconds = Array.from({ length: count }, () => Math.floor(random.below((45 * DAY_MS) / 1_000) / 20) * 20);
  return seconds
    .toSorted((a, b) => a - b)
    .map((second, number) => {
      const at = HISTORY_FROM + second * 1_000;
      return {
        id: String(number),
        at,
        placedAt: new Date(at).toISOString(),
        customer: String(random.below(30)),
        terminal: String(random.below(30)),
        cents: 100 + random.below(20_000),
        isFraud: random.below(10) === 0,
      };
    });
}

/** What the book's recipe says, by looking at every transaction: windows of the customer with this one, of the terminal seven days ago. */
function bookFeatures(all: readonly Generated[], one: Generated, place: number): number[] {
  const date = new Date(one.at);
  const weekend = date.getUTCDay() === 0 || date.getUTCDay() === 6 ? 1 : 0;
  const night = date.getUTCHours() <= 6 ? 1 : 0;
  const days = [1, 7, 30];
  const earlier = all.slice(0, place);
  const ofCustomer = days.flatMap((length) => {
    const own = earlier.filter((other) => other.customer === one.customer && other.at > one.at - length * DAY_MS);
    const cents = [...own, one].map((other) => other.cents);
    return [cents.length, cents.reduce((sum, value) => sum + value, 0) / cents.length / 100];
  });
  const end = one.at - HANDBOOK_DELAY_MS;
  const ofTerminal = days.flatMap((length) => {
    const past = earlier.filter(
      (other) => other.terminal === one.terminal && other.at <= end && other.at > end - length * DAY_MS,
    );
    const frauds = past.filter((other) => other.isFraud).length;
    return [past.length, past.length === 0 ? 0 : frauds / past.length];
  });
  return [weekend, night, ...ofCustomer, ...ofTerminal];
}

/** In order of visibility; a chargeback becomes known before an order of the same moment, as in the set. */
function asEvents(all: readonly Generated[]): StoredEvent[] {
  const events = all.flatMap((one) => [transaction(one), ...(one.isFraud ? [chargeback(one)] : [])]);
  const rank = (event: StoredEvent): number => (event.type === "order.placed.v1" ? 1 : 0);
  return events.toSorted((a, b) => a.ingestedAt - b.ingestedAt || rank(a) - rank(b));
}

const isSame = (value: number | null | undefined, wanted: number): boolean =>
  Math.abs((value ?? Number.NaN) - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted));

describe("transactions driven through shards in workerd", () => {
  it("are answered with what the Handbook's recipe says of generated ones", async () => {
    const all = generated(4_000);
    const wrong: string[] = [];
    let rows = 0;
    await driveShards(asEvents(all), { historyFrom: HISTORY_FROM, from: FROM, to: TO }, (id, vector) => {
      const place = Number(id);
      const wanted = bookFeatures(all, all[place] as Generated, place);
      rows++;
      for (const [index, position] of positions.entries())
        if (!isSame(vector[position], wanted[index] ?? Number.NaN))
          wrong.push(`${id} ${HANDBOOK_FEATURES[index]}: ${vector[position]} for ${wanted[index]}`);
    });
    expect(wrong.slice(0, 5)).toEqual([]);
    expect(rows).toBeGreaterThan(500);
  });

  const folder = handbookFolder();
  it.skipIf(folder === null)(
    "are answered with the book's own values (skipped where its data is not at hand)",
    async () => {
      if (folder === null) return;
      // Every hundredth customer and terminal: `npm run bench -- features` takes every row.
      const isChosen = (number: number): boolean => number % 100 === 0;
      const reference = await handbookReference(folder);
      const wrong: string[] = [];
      let compared = 0;
      const chosen = handbookEvents(folder, (customer, terminal) => isChosen(customer) || isChosen(terminal));
      const customers = new Map<string, number>();
      async function* remembered(): AsyncGenerator<StoredEvent> {
        for await (const event of chosen) {
          if (event.type === "order.placed.v1")
            customers.set(event.data.orderId, Number(event.data.customerId.slice(1)));
          yield event;
        }
      }
      await driveShards(remembered(), { historyFrom: HISTORY_FROM, from: FROM, to: TO }, (id, vector) => {
        const ofCustomer = isChosen(customers.get(id) ?? -1);
        for (const [index, position] of positions.entries()) {
          // A row of a chosen customer at another terminal lacks that terminal's other transactions, and the reverse.
          if (HANDBOOK_FEATURES[index]?.startsWith("terminal") === ofCustomer) continue;
          compared++;
          const wanted = reference.get(id)?.[index] ?? Number.NaN;
          if (!isSame(vector[position], wanted))
            wrong.push(`${id} ${HANDBOOK_FEATURES[index]}: ${vector[position]} for ${wanted}`);
        }
      });
      expect(wrong.slice(0, 5)).toEqual([]);
      expect(compared).toBeGreaterThan(5_000);
    },
  );
});

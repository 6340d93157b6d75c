import { describe, expect, it } from "vitest";
import { buildTrainingRows } from "../../../batch-training/features/build-training-rows.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { fraudLabel } from "../../../models/catalog/fraud-orders/label.ts";
import {
  HANDBOOK_DELAY_MS,
  HANDBOOK_FEATURES,
  handbookEvents,
  handbookFolder,
  handbookReference,
} from "../../support/handbook-cards.ts";

/** Every twentieth customer and terminal: their windows need no other rows. `npm run bench -- features` takes every row. */
const isChosen = (number: number): boolean => number % 20 === 0;
const folder = handbookFolder();

describe.skipIf(folder === null)(
  "the card data of the Fraud Detection Handbook (skipped where it is not at hand)",
  () => {
    it("gives the book's own features, row by row", async () => {
      if (folder === null) return;
      const reference = await handbookReference(folder);
      const rows = await buildTrainingRows({
        events: handbookEvents(folder, (customer, terminal) => isChosen(customer) || isChosen(terminal)),
        catalog: FEATURE_CATALOG,
        service: FRAUD_FEATURES,
        label: fraudLabel,
        maturityMs: HANDBOOK_DELAY_MS,
        from: Date.parse("2018-07-25T00:00:00Z"),
        to: Date.parse("2018-08-01T00:00:00Z"),
      });
      const mismatches: string[] = [];
      const compared = { customer: 0, terminal: 0 };
      for (const [row, id] of rows.orderIds.entries()) {
        const customer = Number(rows.subjects[row]?.slice(1));
        const expected = reference.get(id) ?? [];
        for (const [index, name] of HANDBOOK_FEATURES.entries()) {
          const isTerminal = name.startsWith("terminal");
          // A row of a chosen customer at another terminal lacks that terminal's other transactions, and the reverse.
          if (isTerminal ? isChosen(customer) : !isChosen(customer)) continue;
          compared[isTerminal ? "terminal" : "customer"]++;
          const value = rows.columns[FRAUD_FEATURES.indexOf(name)]?.[row] ?? Number.NaN;
          const wanted = expected[index] ?? Number.NaN;
          if (!(Math.abs(value - wanted) <= 1e-6 * Math.max(1, Math.abs(wanted))))
            mismatches.push(`${id} ${name} ${value} ${wanted}`);
        }
      }
      expect(mismatches).toEqual([]);
      expect(compared.customer).toBeGreaterThan(20_000);
      expect(compared.terminal).toBeGreaterThan(15_000);
    });
  },
);

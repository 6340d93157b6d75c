import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { EntityShardCore } from "../../../durable-objects/entity-shard.core.ts";
import { MAX_TAIL_FACTS } from "../../../durable-objects/entity-rows.ts";
import { FEATURE_CATALOG } from "../../../models/catalog/feature-catalog.ts";
import { decodeEntity } from "../../../models/features/entity-state.ts";
import { type FactBatch, FactBatchWriter } from "../../../models/features/fact-batch.ts";
import { aPlacedOrder, at, T0 } from "../../support/events.ts";
import { SeededRandom } from "../../support/seeded-random.ts";
import { aTenant, namespace, stored } from "./a-store.ts";

const MINUTE_MS = 60_000;
const layouts = FEATURE_CATALOG.layouts("customer");
const CUSTOMER = "customer:cus-1";

/** Facts of orders of one customer, device and card. */
function batchOf(orders: readonly number[]): FactBatch {
  const writer = new FactBatchWriter();
  for (const [owner, order] of orders.entries()) {
    const event = stored(
      "t",
      aPlacedOrder({ orderId: `o${order}`, customerId: "cus-1", placedAt: at(-order * MINUTE_MS) }),
    );
    for (const fact of FEATURE_CATALOG.factsOf(event)) writer.add(fact, event.ingestedAt + owner, owner);
  }
  return writer.take();
}

function chargebacks(count: number): FactBatch {
  const writer = new FactBatchWriter();
  for (let order = 0; order < count; order++) {
    const data = { orderId: `c${order}`, customerId: "cus-1", orderPlacedAt: at(-order * MINUTE_MS), reason: "fraud" };
    const event = stored("t", {
      specversion: "1.0",
      id: `cb-${order}`,
      source: "/bank",
      time: at(0),
      type: "payment.chargeback.v1",
      data: { ...data, amount: { amount: 1, currency: "EUR" } },
    });
    for (const fact of FEATURE_CATALOG.factsOf(event)) writer.add(fact, event.ingestedAt, 0);
  }
  return writer.take();
}

/** Runs inside an object with storage of its own. A new core over the same storage is what a restart makes. */
async function inObject(work: (storage: DurableObjectStorage) => void): Promise<void> {
  await runInDurableObject(namespace.getByName(`${aTenant()}/0`), (_, { storage }) => work(storage));
}

/** What an object knows of the customer, without what only speeds up encoding. */
function customer(core: EntityShardCore) {
  const { states, versions, ingestedAt } = core.read([CUSTOMER], [-1]);
  const state = states[0] ? decodeEntity(states[0], layouts) : null;
  const groups = state?.groups.map((group) => {
    if (group === null) return null;
    const { chunks: _chunks, rows, ...rest } = group;
    const stride = layouts.find((_, slot) => state.groups[slot] === group)?.stride ?? 0;
    return { ...rest, rows: [...rows.subarray(0, group.count * stride)] };
  });
  return { groups, versions, ingestedAt };
}

describe("an entity stored as a row and a tail", () => {
  it("reads the same after a restart at any point, tiles and duplicates included", async () => {
    await inObject((storage) => {
      const random = new SeededRandom(5);
      let core = new EntityShardCore(storage, FEATURE_CATALOG);
      // 600 orders of a group that keeps 256 exactly: facts behind the frontier go to tiles directly.
      for (let call = 0; call < 90; call++) {
        core.apply(batchOf(Array.from({ length: 1 + random.below(12) }, () => random.below(600))));
        if (call % 9 !== 0) continue;
        const before = customer(core);
        core = new EntityShardCore(storage, FEATURE_CATALOG);
        expect(customer(core), `call ${call}`).toEqual(before);
      }
      const again = core.apply(batchOf(Array.from({ length: 600 }, (_, i) => i)));
      const once = core.apply(batchOf(Array.from({ length: 600 }, (_, i) => i)));
      expect(again.outcomes).toContain("applied");
      expect(new Set(once.outcomes)).toEqual(new Set(["duplicate"]));
    });
  });

  it("writes an attempt as small rows, and the whole state once in so many facts", async () => {
    await inObject((storage) => {
      const count = (table: string): number =>
        storage.sql.exec<{ n: number }>(`SELECT COUNT(*) AS n FROM ${table}`).one().n;
      const core = new EntityShardCore(storage, FEATURE_CATALOG);
      core.apply(batchOf([0]));
      const [{ state: first } = { state: null }] = storage.sql.exec("SELECT state FROM entities ORDER BY id").toArray();
      for (let order = 1; order <= MAX_TAIL_FACTS; order++) core.apply(batchOf([order]));
      const [{ state: later } = { state: null }] = storage.sql.exec("SELECT state FROM entities ORDER BY id").toArray();
      expect(later).toEqual(first);
      const entities = count("entities");
      expect(count("tails")).toBe(MAX_TAIL_FACTS * entities);
      core.apply(batchOf([MAX_TAIL_FACTS + 1]));
      expect(count("tails")).toBe(0);
    });
  });

  it("ends long tails in a sweep, and changes nothing by it", async () => {
    await inObject((storage) => {
      const tails = (): number => storage.sql.exec<{ n: number }>("SELECT COUNT(*) AS n FROM tails").one().n;
      const core = new EntityShardCore(storage, FEATURE_CATALOG);
      core.apply(batchOf([0]));
      for (let order = 1; order <= 7; order++) core.apply(batchOf([order]));
      core.sweep(T0);
      expect(tails()).toBeGreaterThan(0);
      core.apply(batchOf([8]));
      const before = customer(core);
      core.sweep(T0);
      expect(tails()).toBe(0);
      expect(customer(new EntityShardCore(storage, FEATURE_CATALOG))).toEqual(before);
    });
  });

  it("never gives a version twice, across restarts and calls that fail", async () => {
    await inObject((storage) => {
      const seen: number[] = [];
      for (let life = 0; life < 4; life++) {
        const core = new EntityShardCore(storage, FEATURE_CATALOG);
        for (let call = 0; call < 3; call++) seen.push(core.apply(batchOf([life * 10 + call])).after[0] ?? 0);
      }
      expect(new Set(seen).size).toBe(12);
      expect(seen.toSorted((a, b) => a - b)).toEqual(seen);
    });
  });

  it("leaves nothing behind of a call that is interrupted, in memory or in storage", async () => {
    await inObject((storage) => {
      const core = new EntityShardCore(storage, FEATURE_CATALOG);
      core.apply(batchOf([1, 2]));
      const before = customer(core);
      // The last statement of the call fails, as if the object had died there.
      storage.sql.exec("CREATE TRIGGER died BEFORE INSERT ON tails BEGIN SELECT RAISE(ABORT, 'died'); END");
      expect(() => core.apply(batchOf([3]))).toThrow(/died/);
      storage.sql.exec("DROP TRIGGER died");
      expect(customer(core)).toEqual(before);
      expect(customer(new EntityShardCore(storage, FEATURE_CATALOG))).toEqual(before);
      expect(new Set(core.apply(batchOf([3])).outcomes)).toEqual(new Set(["applied"]));
    });
  });

  it("carries facts of groups that this build does not know, and counts them once the build that knows them is back", async () => {
    await inObject((storage) => {
      const newer = new EntityShardCore(storage, FEATURE_CATALOG);
      newer.apply(batchOf([1]));
      newer.apply(batchOf([2, 3]));
      const before = customer(newer);
      const unknown = layouts[0]?.id ?? 0;
      // An older build: it lacks the first group of customers, whose facts lie in the tail.
      const older = new EntityShardCore(storage, {
        ...FEATURE_CATALOG,
        layouts: (type) => FEATURE_CATALOG.layouts(type).filter(({ id }) => id !== unknown),
      });
      // So many facts of a group it knows that it writes the whole state.
      older.apply(chargebacks(MAX_TAIL_FACTS + 1));
      const back = customer(new EntityShardCore(storage, FEATURE_CATALOG));
      expect(back.groups?.[0]).toEqual(before.groups?.[0]);
      expect(back.groups?.[1]?.count).toBe(MAX_TAIL_FACTS + 1);
    });
  });
});

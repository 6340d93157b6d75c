import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { EntityShardCore } from "../../../durable-objects/entity-shard.core.ts";
import { entityShardName } from "../../../durable-objects/entity-shard.ts";
import { STAGED_TTL_MS } from "../../../durable-objects/staged-loads.ts";
import { FEATURE_CATALOG, featureService } from "../../../models/catalog/feature-catalog.ts";
import type { EntityFact } from "../../../models/features/catalog.ts";
import { type EntityShardPlaces, EntityShards } from "../../../workers/adapters/entity-shards.ts";
import { type LoadClient, type LoadName, LoadStore } from "../../../workers/features/load-store.ts";
import { at, T0 } from "../../support/events.ts";
import { aStore, aTenant, namespace } from "./a-store.ts";

const OBJECTS = 3;
const SERVICE = "customer_profile_v1";
const CUSTOMERS = Array.from({ length: 12 }, (_, index) => `cus-${index}`);

const profiles = featureService(SERVICE)?.definition.request;
function rows(customers: readonly string[], value: number, hour = 1): EntityFact[] {
  if (!profiles) throw new Error(`there is no ${SERVICE}`);
  return customers.flatMap((entity) =>
    FEATURE_CATALOG.factsOfPayload(
      profiles,
      { entity, at: at(-hour * 3_600_000), values: { lifetime_value: value, churn_probability: 0.5 } },
      T0,
    ),
  );
}

/** A Worker's part of a load; `dies` makes the call of a name fail, from the given one on. */
function aLoader(dies: { call: keyof LoadClient; after: number } | null = null): LoadStore {
  let calls = 0;
  return new LoadStore({
    nameOf: (tenant, key) => entityShardName({ tenant, key, objects: OBJECTS }),
    client: (object) => {
      const stub: LoadClient = namespace.getByName(object);
      const count = (call: keyof LoadClient): void => {
        if (dies?.call === call && calls++ >= dies.after) throw new Error("the Worker died");
      };
      return {
        stageLoad: async (part, batch) => (count("stageLoad"), await stub.stageLoad(part, batch)),
        loadPartStaged: async (...args) => (count("loadPartStaged"), await stub.loadPartStaged(...args)),
        loadState: async (load) => await stub.loadState(load),
        commitLoad: async (...args) => (count("commitLoad"), await stub.commitLoad(...args)),
        foldLoad: async (...args) => (count("foldLoad"), await stub.foldLoad(...args)),
      };
    },
    replicas: () => 1,
    now: () => T0,
  });
}

/** What every customer's value is, as an isolate reads it that remembers nothing. */
async function values(tenant: string): Promise<number[]> {
  const requests = CUSTOMERS.map((customer) => ({
    tenant,
    service: SERVICE,
    entities: { customer },
    payload: null,
    asOf: T0,
  }));
  const vectors = await aStore(OBJECTS).store.vectors(requests, { deadlineMs: 5_000, maxAgeMs: 0 });
  return vectors.map(({ vector, degraded }) => (degraded.length > 0 ? -1 : (vector[0] ?? Number.NaN)));
}

const all = (value: number): number[] => CUSTOMERS.map(() => value);
const loadOf = (tenant: string, name = "customer_profile@1/b1"): LoadName => ({ tenant, name });

async function withOldValues(tenant: string): Promise<void> {
  await aStore(OBJECTS).store.load(tenant, rows(CUSTOMERS, 1, 2));
}

describe("a load in parts over several objects", () => {
  it("is seen by nobody until it is committed, and then by everybody; again changes nothing", async () => {
    const tenant = aTenant();
    await withOldValues(tenant);
    const load = loadOf(tenant);
    const loader = aLoader();
    expect(await loader.state(load)).toBeNull();
    await loader.stage(load, 1, rows(CUSTOMERS.slice(6), 2));
    expect(await loader.commit(load, 2)).toBeNull();
    expect(await values(tenant)).toEqual(all(1));
    await loader.stage(load, 0, rows(CUSTOMERS.slice(0, 6), 2));
    await loader.stage(load, 0, rows(CUSTOMERS.slice(0, 6), 2));
    expect(await loader.state(load)).toEqual({ parts: [0, 1], committedAt: null });
    expect(await values(tenant)).toEqual(all(1));
    const committed = await loader.commit(load, 2);
    expect(await values(tenant)).toEqual(all(2));
    expect(await loader.commit(load, 2)).toEqual(committed);
    expect(await loader.stage(load, 0, rows(CUSTOMERS, 3))).toBe("committed");
    expect(await values(tenant)).toEqual(all(2));
  });

  it.each([
    ["while a part is staged", "stageLoad", 1, 1],
    ["before a staged part is recorded", "loadPartStaged", 1, 1],
    ["before the commit", "commitLoad", 0, 1],
    ["right after the commit, before any object has folded", "foldLoad", 0, 2],
    ["after the commit, when one object has folded", "foldLoad", 1, 2],
  ] as const)("is never seen in half when the Worker dies %s", async (_, call, after, seen) => {
    const tenant = aTenant();
    await withOldValues(tenant);
    const load = loadOf(tenant);
    const send = async (loader: LoadStore): Promise<void> => {
      await loader.stage(load, 0, rows(CUSTOMERS.slice(0, 6), 2));
      await loader.stage(load, 1, rows(CUSTOMERS.slice(6), 2));
      await loader.commit(load, 2);
    };
    await expect(send(aLoader({ call, after }))).rejects.toThrow(/died/);
    expect(await values(tenant)).toEqual(all(seen));
    // Run again, it goes on where it stopped.
    await send(aLoader());
    expect(await values(tenant)).toEqual(all(2));
    for (let object = 0; object < OBJECTS; object++)
      await runInDurableObject(namespace.getByName(`${tenant}/${object}`), (_object, { storage }) => {
        expect(storage.sql.exec("SELECT * FROM staged").toArray()).toEqual([]);
      });
  });

  it("is seen as a whole by one read that it overtakes, between two objects or inside one", async () => {
    const tenant = aTenant();
    await withOldValues(tenant);
    const load = loadOf(tenant);
    const loader = aLoader();
    await loader.stage(load, 0, rows(CUSTOMERS, 2));
    const real = new EntityShards(namespace, OBJECTS);
    let reads = 0;
    // The first object answers before the commit, the others after it.
    const places: EntityShardPlaces = {
      nameOf: (of, key) => real.nameOf(of, key),
      client: (name) => {
        const stub = real.client(name);
        return new Proxy(stub, {
          get: (target, method) =>
            method === "read"
              ? async (names: string[], known: number[]) => {
                  if (reads++ === 0) {
                    const answer = await stub.read(names, known);
                    await loader.commit(load, 1);
                    return answer;
                  }
                  if (reads <= OBJECTS) await committed();
                  return await stub.read(names, known);
                }
              : Reflect.get(target, method),
        });
      },
    };
    const committed = async (): Promise<void> => {
      while ((await loader.state(load))?.committedAt === null);
    };
    const requests = CUSTOMERS.map((customer) => ({
      tenant,
      service: SERVICE,
      entities: { customer },
      payload: null,
      asOf: T0,
    }));
    const vectors = await aStore(OBJECTS, {}, places).store.vectors(requests, { deadlineMs: 20_000, maxAgeMs: 0 });
    expect(vectors.map(({ vector }) => vector[0])).toEqual(all(2));
    expect(vectors.flatMap(({ degraded }) => degraded)).toEqual([]);
    expect(reads).toBe(OBJECTS + 1);
  });

  it("is folded by alarm where nobody reads, and forgotten where nobody commits", async () => {
    const tenant = aTenant();
    const loader = aLoader();
    await loader.stage(loadOf(tenant, "g/committed"), 0, rows(CUSTOMERS, 2));
    await expect(aLoader({ call: "foldLoad", after: 0 }).commit(loadOf(tenant, "g/committed"), 1)).rejects.toThrow();
    await loader.stage(loadOf(tenant, "g/left"), 0, rows(CUSTOMERS, 3));
    for (let object = 0; object < OBJECTS; object++) {
      const stub = namespace.getByName(`${tenant}/${object}`);
      const staged = async (): Promise<unknown[]> =>
        await runInDurableObject(stub, (_, { storage }) =>
          storage.sql.exec<{ load: string }>("SELECT DISTINCT load FROM staged").toArray(),
        );
      if ((await staged()).length === 0) continue;
      await runDurableObjectAlarm(stub);
      expect(await staged()).toEqual([{ load: "g/left" }]);
      await runInDurableObject(stub, (_, { storage }) => {
        storage.sql.exec("UPDATE staged SET at = at - ?", STAGED_TTL_MS + 1);
        new EntityShardCore(storage, FEATURE_CATALOG).setNote("sweepAt", "0");
      });
      await runDurableObjectAlarm(stub);
      expect(await staged()).toEqual([]);
    }
    expect(await values(tenant)).toEqual(all(2));
  });
});

import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../support/seeded-random.ts";
import type { ProductChange } from "../../../models/recommend/live-product.ts";

const T = 1_780_000_000_000;
let names = 0;

const product = (id: string, at: number, change: object = {}): ProductChange => ({
  kind: "product",
  id,
  at,
  active: true,
  categories: ["c"],
  brand: null,
  price: 100,
  publishedAt: null,
  ...change,
});

describe("the live products of a tenant", () => {
  const catalogue = () => env.PRODUCTS.getByName(`products-${++names}`);

  it("are the newest facts by event time, in whatever order and however often they arrive", async () => {
    const changes: ProductChange[] = [
      product("a", T, { categories: ["old"] }),
      product("a", T + 2, { categories: ["new"], active: false, price: null }),
      { kind: "price", id: "a", at: T + 1, price: 250 },
      { kind: "price", id: "a", at: T - 1, price: 999 },
      { kind: "stock", id: "a", at: T, location: "x", available: 3 },
      { kind: "stock", id: "a", at: T + 1, location: "x", available: 1 },
      { kind: "stock", id: "a", at: T, location: "y", available: 5 },
    ];
    const [forward, backward] = [catalogue(), catalogue()];
    for (let again = 0; again < 2; again++) {
      await forward.apply(changes, []);
      await backward.apply(changes.toReversed(), []);
    }
    const expected = {
      id: "a",
      active: false,
      categories: ["new"],
      brand: null,
      price: 250,
      stock: 6,
      publishedAt: null,
    };
    expect((await forward.changes({ since: 0 })).products).toEqual([expected]);
    expect((await backward.changes({ since: 0 })).products).toEqual([expected]);
  });

  it("are read by cursor, each change once, and a price alone makes no product", async () => {
    const stub = catalogue();
    await stub.apply([product("a", T), { kind: "price", id: "b", at: T, price: 5 }], []);
    const first = await stub.changes({ since: 0 });
    expect(first.products.map(({ id, active }) => [id, active])).toEqual([
      ["a", true],
      ["b", null],
    ]);
    expect((await stub.changes({ cursor: first.cursor })).products).toEqual([]);
    await stub.apply([product("a", T), product("c", T)], []);
    await stub.apply([product("a", T - 1)], []);
    const ids = (await stub.changes({ cursor: first.cursor })).products.map(({ id }) => id);
    expect(ids).toContain("c");
    expect((await stub.changes({ since: Date.now() + 60_000 })).products).toEqual([]);
  });

  it("are counted once for each fact, the recent ones more", async () => {
    const stub = catalogue();
    const fact = (productId: string, identity: string, at: number) => ({ productId, identity, at, weight: 1 });
    const now = Date.now();
    const facts = [
      ...Array.from({ length: 5 }, (_, at) => fact("old", `o-${at}`, now - 20 * 86_400_000)),
      ...Array.from({ length: 3 }, (_, at) => fact("new", `n-${at}`, now)),
      fact("gone", "g", now - 40 * 86_400_000),
    ];
    await stub.apply([], facts);
    await stub.apply([], facts);
    await stub.apply([], [fact("new", "n-0", now)]);
    expect(await stub.rankings()).toEqual({ popular: ["old", "new"], trending: ["new", "old"] });
  });

  it("have values of their features, due for what was touched and not read of late, then for what waits longest", async () => {
    const stub = catalogue();
    const now = Date.now();
    const fact = (productId: string, identity: string) => ({ productId, identity, at: now, weight: 1 });
    const wanted = { service: "s1", maxAgeMs: 600_000 };
    const keep = (products: string[], at: number, value: number, service = "s1") =>
      stub.keepValues({ service, at, products, numbers: new Float32Array(products.length * 2).fill(value) });
    const many = Array.from({ length: 150 }, (_, at) => `p-${String(at).padStart(3, "0")}`);
    const first = await stub.apply(
      [],
      many.map((id) => fact(id, id)),
      wanted,
    );
    expect(first).toEqual(many.slice(0, 100));
    await keep(first, now, 1);
    // What found no room comes next, without being touched again.
    const second = await stub.apply([], [fact("p-000", "again")], wanted);
    expect(second.toSorted()).toEqual(many.slice(100));
    await keep(second, now - 1_200_000, 2);
    expect(await stub.apply([], [fact("p-001", "x"), fact("p-149", "y")], wanted)).toEqual(["p-149"]);
    expect(await stub.apply([], [fact("p-001", "z")], { ...wanted, service: "s2" })).toEqual(["p-001"]);
    await keep(["p-007"], now - 4_000_000, 9);
    await keep(["p-140"], now - 1_200_000, 3);
    const page = await stub.values(0, { service: "s1", width: 2 });
    expect(page.products).toHaveLength(150);
    const valueOf = (id: string) => page.numbers[page.products.indexOf(id) * 2 + 1];
    expect([valueOf("p-007"), valueOf("p-140"), valueOf("p-100")]).toEqual([1, 3, 2]);
    expect((await stub.values(page.cursor, { service: "s1", width: 2 })).products).toEqual([]);
    await keep(["p-007"], now + 1, 4, "s2");
    const next = await stub.values(page.cursor, { service: "s1", width: 2 });
    expect([next.products, next.cursor > page.cursor]).toEqual([[], true]);
    expect((await stub.values(0, { service: "s2", width: 2 })).products).toEqual(["p-007"]);
  });
});

describe("the ranking features of a shop's products", () => {
  it("are forgotten with the counts of products that nobody announced, made-up ids among them", async () => {
    const stub = env.PRODUCTS.getByName(`products-${++names}`);
    const now = Date.now();
    const wanted = { service: "s", maxAgeMs: 1 };
    const seen = (productId: string) => ({ productId, identity: productId, at: now - 20 * 86_400_000, weight: 1 });
    expect(await stub.apply([product("announced", now)], ["announced", "made-up"].map(seen), wanted)).toHaveLength(2);
    await stub.keepValues({ service: "s", at: now, products: ["announced", "made-up"], numbers: new Float32Array(2) });
    const kept = async (): Promise<string[]> => (await stub.values(0, { service: "s", width: 1 })).products;
    expect(await kept()).toEqual(["announced", "made-up"]);
    await runInDurableObject(stub, (_object, { storage }) => {
      storage.sql.exec("UPDATE swept SET day = day - 1");
      storage.sql.exec("UPDATE interest SET day = day - 20");
    });
    await stub.apply([product("another", now)], []);
    expect(await kept()).toEqual(["announced"]);
  });
});

describe("the rankings of a shop", () => {
  it("are those of sums and a sort: a month counts, and half as much with every day", async () => {
    const stub = env.PRODUCTS.getByName(`products-${++names}`);
    const today = Math.floor(Date.now() / 86_400_000);
    const random = new SeededRandom(5);
    const facts = Array.from({ length: 3_000 }, (_, at) => {
      const day = today - random.below(40);
      return {
        productId: `p-${random.below(260)}`,
        identity: `f-${at}`,
        at: day * 86_400_000,
        weight: 1 + random.below(5),
        day,
      };
    });
    await stub.apply([], facts);
    const [popular, trending] = [new Map<string, number>(), new Map<string, number>()];
    for (const { productId, day, weight } of facts) {
      if (day <= today - 30) continue;
      popular.set(productId, (popular.get(productId) ?? 0) + weight);
      trending.set(productId, (trending.get(productId) ?? 0) + weight * 2 ** (day - today));
    }
    const best = (worth: Map<string, number>): string[] =>
      [...worth]
        .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
        .map(([id]) => id)
        .slice(0, 200);
    expect(await stub.rankings()).toEqual({ popular: best(popular), trending: best(trending) });
  });
});

describe("histories of visitors", () => {
  const histories = () => env.VISITORS.getByName(`visitors-${++names}/0`);
  const facts = (count: number, from = 0) =>
    Array.from({ length: count }, (_, at) => {
      return {
        productId: `p-${from + at}`,
        action: "view" as const,
        at: T + from + at,
        quantity: 1,
        identity: `i-${from + at}`,
        rank: 0 as const,
      };
    });

  it("keep each fact once, oldest first, the newest three hundred", async () => {
    const stub = histories();
    await stub.apply([{ visitor: "c:a", facts: facts(3) }]);
    await stub.apply([
      { visitor: "c:b", facts: [] },
      { visitor: "c:a", facts: facts(4) },
    ]);
    expect((await stub.states(["c:a"]))[0]?.facts).toHaveLength(4);
    await stub.apply([{ visitor: "c:a", facts: facts(400, 10) }]);
    const [state] = await stub.states(["c:a"]);
    expect(state?.facts).toHaveLength(300);
    expect([state?.facts[0]?.productId, state?.facts.at(-1)?.productId]).toEqual(["p-110", "p-409"]);
    expect(await stub.states(["c:nobody"])).toEqual([{ facts: [], consent: null }]);
  });

  it("keep three hundred where all were of one moment, and what was dismissed however much was done since", async () => {
    const stub = histories();
    const order = facts(500).map((fact) => ({ ...fact, at: T, action: "purchase" as const }));
    const dismissed = {
      productId: "p-x",
      action: "dismiss" as const,
      at: T - 5,
      quantity: 1,
      identity: "d",
      rank: 0 as const,
    };
    await stub.apply([{ visitor: "c:a", facts: [dismissed, ...order] }]);
    const [state] = await stub.states(["c:a"]);
    const actions = state?.facts.map(({ action }) => action) ?? [];
    expect([actions.length, actions[0], actions.filter((action) => action === "purchase").length]).toEqual([
      301,
      "dismiss",
      300,
    ]);
  });

  it("end while nobody writes any more: sessions after two days, by alarm", async () => {
    const stub = histories();
    const old = { ...facts(1)[0], at: Date.now() - 3 * 86_400_000 } as ReturnType<typeof facts>[0];
    const fresh = { ...old, identity: "i-new", at: Date.now() };
    await stub.apply([{ visitor: "c:a", facts: [fresh] }]);
    // Swept today already: what is old stays until tomorrow.
    await stub.apply([{ visitor: "s:a", facts: [old, fresh] }]);
    expect((await stub.states(["s:a"]))[0]?.facts).toHaveLength(2);
    await runInDurableObject(stub, (_object, { storage }) => storage.sql.exec("UPDATE swept SET day = day - 1"));
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect((await stub.states(["s:a", "c:a"])).map((state) => state.facts.length)).toEqual([1, 1]);
    // Armed again while there is anything left.
    expect(await runDurableObjectAlarm(stub)).toBe(true);
  });

  it("take a withdrawal for the last word where consent was given and taken at the same time, in either order", async () => {
    for (const order of [
      [true, false],
      [false, true],
    ]) {
      const stub = histories();
      for (const granted of order) await stub.apply([{ visitor: "c:a", facts: [], consents: [{ granted, at: T }] }]);
      expect((await stub.states(["c:a"]))[0]?.consent).toBe(false);
    }
  });

  it("hold nothing of who withdrew consent, whatever arrives late, until it is given again", async () => {
    const stub = histories();
    await stub.apply([{ visitor: "c:a", facts: facts(3) }]);
    await stub.apply([{ visitor: "c:a", facts: facts(2, 5), consents: [{ granted: false, at: T + 10 }] }]);
    expect(await stub.states(["c:a"])).toEqual([{ facts: [], consent: false }]);
    await stub.apply([{ visitor: "c:a", facts: facts(1), consents: [{ granted: true, at: T + 5 }] }]);
    expect(await stub.states(["c:a"])).toEqual([{ facts: [], consent: false }]);
    // Given again: what was before stays forgotten, also where it is told once more.
    await stub.apply([
      { visitor: "c:a", facts: [...facts(1), ...facts(1, 25)], consents: [{ granted: true, at: T + 20 }] },
    ]);
    expect(await stub.states(["c:a"])).toMatchObject([{ facts: [{ productId: "p-25" }], consent: true }]);
  });
});

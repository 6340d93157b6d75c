import { NOT_PLACED } from "../../../models/recommend/place-served.ts";
import { describe, expect, it } from "vitest";
import { openIds } from "../../../models/recommend/bundle.ts";
import type { LiveProduct } from "../../../models/recommend/live-product.ts";
import { PRODUCT_WIDTH } from "../../../models/recommend/ranking-service.ts";
import { ANYONE } from "../../../models/recommend/recommend-request.ts";
import type { LoadedRecommender } from "../../../workers/recommendations/load-recommender.ts";
import { type ProductSource, Shops } from "../../../workers/recommendations/shops.ts";
import { generatedBundle } from "../../support/recommender-bundle.ts";
import { FakeProducts } from "./fake-products.ts";

const MINUTE = 60_000;
const T = 1_780_000_000_000;

const product = (id: string, active = true): LiveProduct => {
  return { id, active, categories: ["c"], brand: null, price: 100, stock: null, publishedAt: null };
};

function shopsOver(source: ProductSource) {
  const background: Promise<unknown>[] = [];
  const shops = new Shops(source, (promise) => void background.push(promise));
  const visit = async (now: number, tenant = "shop", loaded: LoadedRecommender | null = null) => {
    const { shop, wait, stale } = shops.of(tenant, loaded, now);
    if (wait !== null) await wait;
    const { items } = shop.recommender.recommend({ ...ANYONE, limit: 100, now });
    return { shown: items.map(({ productId }) => productId), stale: stale(), waited: wait !== null, shop };
  };
  return { shops, visit, settle: () => Promise.all(background.splice(0)) };
}

function loadedOf(version: string, bytes: number): LoadedRecommender {
  const bundle = generatedBundle({ items: 20, seed: 1 });
  return { name: "r", version, bundle, placed: NOT_PLACED, ids: openIds(bundle), ranker: null, bytes };
}

describe("the products of an isolate", () => {
  it("are looked at again before an answer where nobody asked for a while: what was withdrawn since is not shown", async () => {
    const source = new FakeProducts();
    source.said.push(product("a"), product("b"));
    const { visit, settle } = shopsOver(source);
    expect(await visit(T)).toMatchObject({ shown: ["b", "a"], stale: false, waited: true });
    source.said.push(product("a", false));
    // In the flow of requests the changes come in the background.
    expect(await visit(T + 6_000)).toMatchObject({ waited: false, stale: false });
    await settle();
    expect((await visit(T + 7_000)).shown).toEqual(["b"]);
    source.said.push(product("a"), product("b", false));
    expect(await visit(T + 60 * MINUTE)).toMatchObject({ shown: ["a"], stale: false, waited: true });
  });

  it("are said to be old where they cannot be read, and nobody waits for a read that hangs but who began it", async () => {
    const source = new FakeProducts();
    source.said.push(product("a"));
    const { shops, visit } = shopsOver(source);
    await visit(T);
    source.hangs = true;
    const first = shops.of("shop", null, T + MINUTE);
    expect([first.wait === null, first.stale()]).toEqual([false, true]);
    expect(shops.of("shop", null, T + MINUTE + 400).wait).toBe(first.wait);
    expect(await visit(T + MINUTE + 600)).toMatchObject({ shown: ["a"], stale: true, waited: false });
  });

  it("are old until all of them were read, however many pages that takes", async () => {
    const source = new FakeProducts();
    for (let at = 0; at < 60_000; at++) source.said.push(product(`p-${at}`));
    source.said.push(product("p-0", false));
    const { visit } = shopsOver(source);
    const first = await visit(T);
    expect([first.stale, first.waited]).toEqual([true, true]);
    const second = await visit(T + 1);
    expect([second.stale, second.waited, second.shown.includes("p-0")]).toEqual([false, true, false]);
  });

  it("follow withdrawals also where more changed than is kept, and begin anew for another version then", async () => {
    const source = new FakeProducts();
    for (let at = 0; at < 100_050; at++) source.said.push(product(`q-${at}`));
    const { visit } = shopsOver(source);
    const first = loadedOf("1", 0);
    for (let pull = 0; pull < 3; pull++) await visit(T + pull, "shop", first);
    source.said.push(product("p-3", false), product("q-1", false));
    const { shown } = await visit(T + MINUTE, "shop", first);
    expect([shown.includes("p-3"), shown.includes("p-4"), shown.includes("q-1")]).toEqual([false, true, false]);
    const second = loadedOf("2", 0);
    let after = await visit(T + 2 * MINUTE, "shop", second);
    for (let pull = 0; pull < 3 && after.stale; pull++) after = await visit(T + 2 * MINUTE + pull, "shop", second);
    expect([after.stale, after.shown.includes("p-3"), after.shown.includes("p-4")]).toEqual([false, false, true]);
  });

  it("rank by values of products that are newer than the model's table, of every version anew, and go on where those cannot be read", async () => {
    const source = new FakeProducts();
    const { shops, visit, settle } = shopsOver(source);
    const first = loadedOf("1", 0);
    const numbers = (value: number) => Array.from({ length: PRODUCT_WIDTH }, () => value);
    const [before, after] = [first.bundle.asOf - 1, first.bundle.asOf + 1];
    source.kept.push({ product: "p-1", at: after, numbers: numbers(7) });
    source.kept.push({ product: "p-2", at: before, numbers: numbers(8) });
    source.kept.push({ product: "nobody", at: after, numbers: numbers(9) });
    const valueOf = (item: number, loaded: LoadedRecommender, now: number): number => {
      const out = new Float32Array(PRODUCT_WIDTH);
      shops.of("shop", loaded, now).shop.catalogue.values.write(item, now, out, 0);
      return out[0] ?? Number.NaN;
    };
    const table = (item: number): number => first.bundle.table.values[item * PRODUCT_WIDTH] ?? Number.NaN;
    await visit(T, "shop", first);
    await settle();
    expect([valueOf(1, first, T), valueOf(2, first, T), valueOf(3, first, T)]).toEqual([7, table(2), table(3)]);
    source.kept.push({ product: "p-3", at: after, numbers: numbers(6) });
    const second = loadedOf("2", 0);
    await visit(T + 1, "shop", second);
    await settle();
    expect([valueOf(1, second, T + 1), valueOf(3, second, T + 1)]).toEqual([7, 6]);
    source.valuesHang = true;
    source.kept.push({ product: "p-3", at: after, numbers: numbers(5) });
    expect(await visit(T + MINUTE, "shop", second)).toMatchObject({ stale: false });
    expect(valueOf(3, second, T + MINUTE)).toBe(6);
    source.valuesHang = false;
    await visit(T + 2 * MINUTE, "shop", second);
    await new Promise((resolve) => setTimeout(resolve));
    expect(valueOf(3, second, T + 2 * MINUTE)).toBe(5);
  });

  it("of many tenants stay within one budget: who asked least recently is read again", async () => {
    const source = new FakeProducts();
    source.said.push(product("a"));
    const { visit } = shopsOver(source);
    const loaded = new Map(["a", "b", "c"].map((tenant) => [tenant, loadedOf(tenant, 30 * 1024 * 1024)]));
    const of = (tenant: string) => visit(T, tenant, loaded.get(tenant) ?? null);
    const [a, b] = [await of("a"), await of("b")];
    expect((await of("a")).shop).toBe(a.shop);
    await of("c");
    expect((await of("a")).shop).toBe(a.shop);
    expect((await of("b")).shop).not.toBe(b.shop);
  });

  it("of a version that was loaded again are opened over the new one, so that the old one's memory is free", async () => {
    const { visit } = shopsOver(new FakeProducts());
    const first = await visit(T, "shop", loadedOf("1", 1));
    expect((await visit(T, "shop", loadedOf("1", 1))).shop).not.toBe(first.shop);
  });
});

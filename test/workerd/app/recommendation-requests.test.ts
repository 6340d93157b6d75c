import { describe, expect, it } from "vitest";
import { call, problemOf } from "./client.ts";
import { ask, happen, idsOf, newTenant, path, product, serving } from "./shop-client.ts";

const many = (count: number): string[] => Array.from({ length: count }, (_, at) => `p-${at}`);

describe("requests for recommendations that are none", () => {
  it.each<[string, object, string]>([
    ["a limit of nothing", { limit: 0 }, "/limit"],
    ["a limit beyond a hundred", { limit: 101 }, "/limit"],
    ["a limit that is a text", { limit: "10" }, "/limit"],
    ["a limit that is no whole number", { limit: 2.5 }, "/limit"],
    ["an unknown field", { limitt: 5 }, "/limitt"],
    ["an unknown field of the context", { context: { product: "p-1" } }, "/context/product"],
    ["an unknown placement", { placement: "sidebar" }, "/placement"],
    ["a user that is no identifier", { userId: "a b" }, "/userId"],
    ["a user that is nothing", { userId: null }, "/userId"],
    ["a basket that is no list", { context: { basket: "p-1" } }, "/context/basket"],
    ["a product that is no identifier", { context: { productId: "../p" } }, "/context/productId"],
    ["more exclusions than a page has", { context: { excludeProductIds: many(501) } }, "/context/excludeProductIds"],
    ["a basket beyond a hundred", { context: { basket: many(101) } }, "/context/basket"],
    ["a price below nothing", { context: { priceFrom: -1 } }, "/context/priceFrom"],
    ["a band that nothing lies in", { context: { priceFrom: 2, priceTo: 1 } }, "/context/priceTo"],
    ["a category without a name", { context: { categories: [""] } }, "/context/categories/0"],
  ])("400 names %s, alone and in bulk", async (_what, body, field) => {
    const alone = await problemOf(await call(path, { body }));
    expect([alone.status, alone.code, alone.issues?.map((issue) => issue.path)]).toEqual([
      400,
      "invalid-request",
      [field],
    ]);
    const bulk = await problemOf(await call(`${path}/bulk`, { body: { requests: [{}, body] } }));
    expect(bulk.issues?.map((issue) => issue.path)).toEqual([`/requests/1${field}`]);
  });

  it.each([
    ["limit=0&userId=u", "/limit"],
    ["limit=many&userId=u", "/limit"],
    ["limit=&userId=u", "/limit"],
    ["limit=5", "/userId"],
    ["userId=u&user=v", "/user"],
    ["userId=u&userId=v", "/userId"],
    ["userId=", "/userId"],
  ])("400 names the parameter of ?%s", async (query, field) => {
    const problem = await problemOf(await call(`${path}/products?${query}`));
    expect([problem.status, problem.issues?.[0]?.path]).toEqual([400, field]);
  });

  it.each(["", "/bulk"])("413, 415, 400, 401 and 403 before anything is read: %s", async (route) => {
    const statusOf = async (options: Parameters<typeof call>[1]): Promise<[number, string]> => {
      const problem = await problemOf(await call(`${path}${route}`, options));
      return [problem.status, problem.code];
    };
    const large = JSON.stringify({ userId: "u".repeat(1_100_000) });
    expect(await statusOf({ body: large })).toEqual([413, "body-too-large"]);
    expect(await statusOf({ body: "x", headers: { "content-type": "text/plain" } })).toEqual([
      415,
      "unsupported-media-type",
    ]);
    expect(await statusOf({ body: "{" })).toEqual([400, "invalid-json"]);
    expect(await statusOf({ body: {}, roles: null })).toEqual([401, "unauthenticated"]);
    expect(await statusOf({ body: {}, roles: ["trainer"] })).toEqual([403, "forbidden"]);
  });

  it("none and more than a hundred in bulk", async () => {
    for (const count of [0, 101]) {
      const requests = Array.from({ length: count }, () => ({}));
      const problem = await problemOf(await call(`${path}/bulk`, { body: { requests } }));
      expect(problem.issues?.map((issue) => issue.path)).toEqual(["/requests"]);
    }
  });
});

describe("every source", () => {
  it("appears on the pages that it is for, and says so", async () => {
    const tenant = newTenant("sources");
    await serving(tenant, { items: 60, seed: 1 });
    const sources = async (body: object): Promise<Set<string>> => {
      const { list } = await ask(tenant, { limit: 20, ...body });
      expect(new Set(idsOf(list)).size).toBe(20);
      return new Set(list.items.map((item) => item.source));
    };
    expect(await sources({ context: { recentProductIds: ["p-40", "p-41"] } })).toContain("neighbours");
    expect(await sources({ context: { recentProductIds: ["p-40"] } })).toContain("embeddings");
    expect(await sources({ placement: "product", context: { productId: "p-9" } })).toContain("similar");
    expect(await sources({ placement: "basket", context: { basket: ["p-9", "p-12"] } })).toContain("together");
    expect(await sources({ placement: "content", context: { productId: "p-9" } })).toContain("content");
    expect(await sources({ placement: "trending" })).toContain("trending");
    expect(await sources({})).toContain("popular");
    await happen(tenant, product("brand-new"));
    const { list } = await ask(tenant, { limit: 61 });
    expect(list.items.find((item) => item.productId === "brand-new")).toMatchObject({
      source: "new",
      reason: "New in the shop",
    });
  });
});

import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { exposureVectors } from "../../../models/recommend/exposure.ts";
import { RANKING_WIDTH } from "../../../models/recommend/ranking-features.ts";
import { priceRanker, publishableRecommender, republished } from "../../support/published-recommender.ts";
import { generatedBundle } from "../../support/recommender-bundle.ts";
import { Isolate } from "./broken-env.ts";
import { call, problemOf } from "./client.ts";
import { promoteRecommender, publishRecommender, rollBackRecommender } from "./recommender-client.ts";
import {
  ask,
  consent,
  exposuresOf,
  happen,
  idsOf,
  type List,
  newTenant,
  path,
  product,
  serving,
  soldOut,
  view,
} from "./shop-client.ts";

describe("recommendations", () => {
  it("answer from the live products by popularity before anything was trained, flagged", async () => {
    const tenant = newTenant();
    expect((await ask(tenant, {})).list).toMatchObject({
      items: [],
      model: null,
      degraded: ["no-model", "catalogue-empty"],
    });
    await happen(tenant, product("a"), product("b"), product("c"), product("gone", { status: "withdrawn" }));
    await happen(tenant, view("x", "b"), view("y", "b"), view("x", "c"), view("x", "gone"), view("x", "unheard-of"));
    const { list, response } = await ask(tenant, { userId: "nobody" });
    expect(idsOf(list)).toEqual(["b", "c", "a"]);
    expect(list).toMatchObject({ model: null, modelVersion: null, degraded: ["no-model"] });
    expect(response.headers.get("x-model-version")).toBe("popularity");
  });

  it("come from the promoted model, for a visitor from what events told, with source and reason", async () => {
    const tenant = newTenant();
    const { bundle, version } = await serving(tenant);
    await happen(tenant, view("u1", "p-7"), view("u1", "p-9"), { ...view("u1", "p-7"), time: "2026-01-01T00:00:00Z" });
    const { list, response } = await ask(tenant, { userId: "u1", limit: 5 });
    expect(list).toMatchObject({ model: "product-recommendations", modelVersion: version, degraded: [] });
    expect(response.headers.get("x-model-version")).toBe(version);
    expect(list.items.map((item) => item.position)).toEqual([1, 2, 3, 4, 5]);
    expect(list.items.some((item) => /^(neighbours|embeddings)$/.test(item.source))).toBe(true);
    const unknown = (await ask(tenant, { userId: "u2", limit: 5 })).list;
    expect(idsOf(unknown)).toEqual(["p-0", "p-1", "p-2", "p-3", "p-4"]);
    expect(idsOf(list)).not.toEqual(idsOf(unknown));
    const got = await call(`${path}/products?userId=u1&limit=5`, { tenant });
    expect(idsOf(await got.json<List>())).toEqual(idsOf(list));
    const together = bundle.together.item[bundle.together.start[9] ?? 0];
    const basket = (await ask(tenant, { placement: "basket", context: { basket: ["p-9"] } })).list;
    expect(basket.items[0]).toMatchObject({ productId: `p-${together}`, reason: "Often bought together with p-9" });
  });

  it("never show what was withdrawn, sold out or excluded since the training, and show what is new", async () => {
    const tenant = newTenant();
    await serving(tenant);
    await happen(tenant, product("p-0", { status: "withdrawn" }), soldOut("p-1"), product("brand-new"));
    const { list } = await ask(tenant, { limit: 100, context: { excludeProductIds: ["p-2", "not-a-product"] } });
    const shown = idsOf(list);
    for (const hidden of ["p-0", "p-1", "p-2"]) expect(shown).not.toContain(hidden);
    expect(shown).toContain("brand-new");
    expect(shown).toHaveLength(58);
    // An older fact that arrives late changes nothing; a newer one brings the product back.
    await happen(tenant, { ...product("p-0"), time: "2026-01-01T00:00:00Z" });
    expect(idsOf((await ask(tenant, { limit: 100 })).list)).not.toContain("p-0");
    await happen(tenant, product("p-0"));
    expect(idsOf((await ask(tenant, { limit: 100 })).list)).toContain("p-0");
  });

  it("use nothing of a visitor who does not consent, and forget what was kept", async () => {
    const tenant = newTenant();
    await serving(tenant);
    await happen(tenant, view("u1", "p-7"), consent("u1", false), view("u1", "p-8"));
    const body = { userId: "u1", limit: 5, context: { recentProductIds: ["p-7"] } };
    const { list } = await ask(tenant, body);
    expect([idsOf(list), list.degraded]).toEqual([["p-0", "p-1", "p-2", "p-3", "p-4"], ["not-personalised"]]);
    await happen(tenant, consent("u1", true));
    expect((await ask(tenant, { userId: "u1", limit: 5 })).list).toMatchObject({ items: list.items, degraded: [] });
    expect(idsOf((await ask(tenant, body)).list)).not.toEqual(idsOf(list));
  });

  it("are ranked by the second stage, proven at publication", async () => {
    const tenant = newTenant();
    const bundle = generatedBundle({ items: 60, seed: 1 });
    const { bytes, golden } = priceRanker(5_000);
    const wrong = { ...golden, rows: golden.rows.map((row) => ({ ...row, score: [0.5] })) };
    const refused = publishableRecommender({ ...bundle, ranker: bytes }, { ranking: wrong });
    expect(await problemOf(await publishRecommender(tenant, refused))).toMatchObject({
      detail: expect.stringContaining("ranker.onnx: golden row 0") as string,
    });
    const ranked = publishableRecommender({ ...bundle, ranker: bytes }, { ranking: golden });
    expect((await publishRecommender(tenant, ranked)).status).toBe(201);
    await promoteRecommender(tenant, ranked.manifest.version);
    const prices = idsOf((await ask(tenant, { limit: 10 })).list).map(
      (id) => bundle.table.price[Number(id.slice(2))] ?? 0,
    );
    expect(Math.min(...prices)).toBeGreaterThan(5_000);
  });

  it("go back with a rollback, and stay with the last good version where the promoted one is broken", async () => {
    const tenant = newTenant();
    const first = await serving(tenant);
    const second = await serving(tenant, { items: 50, seed: 2 });
    expect((await ask(tenant, {})).list.modelVersion).toBe(second.version);
    await rollBackRecommender(tenant);
    expect((await ask(tenant, {})).list.modelVersion).toBe(first.version);
    await promoteRecommender(tenant, second.version);
    const key = `${tenant}/models/product-recommendations/${second.version}/retrieval.bin`;
    const whole = await (await env.MODELS.get(key))?.arrayBuffer();
    await env.MODELS.put(key, (whole ?? new ArrayBuffer(0)).slice(0, 1_000));
    const { list } = await ask(tenant, {});
    expect([list.modelVersion, list.degraded]).toEqual([first.version, ["model-refused"]]);
    await env.MODELS.delete(`${tenant}/models/product-recommendations/${first.version}/items.bin`);
    await happen(tenant, product("a"));
    expect((await ask(tenant, {})).list).toMatchObject({ modelVersion: null, degraded: ["model-refused"] });
  });

  it("are refused at publication where a file is cut short or of another version", async () => {
    const tenant = newTenant();
    const own = publishableRecommender(generatedBundle({ items: 60, seed: 1 }));
    const other = publishableRecommender(generatedBundle({ items: 61, seed: 1 }));
    for (const bytes of [own.files.get("retrieval.bin")?.slice(0, -64), other.files.get("retrieval.bin")]) {
      const files = new Map(own.files).set("retrieval.bin", bytes ?? new Uint8Array(0));
      expect((await publishRecommender(tenant, republished(own.manifest, files))).status).toBe(422);
    }
  });

  it("answer when histories, products, routing, models or KV hang or fail, each flagged", async () => {
    const tenant = newTenant();
    const { version } = await serving(tenant);
    await happen(tenant, view("u1", "p-7"));
    // Who comes twice is active: a list is kept.
    const whole = new Isolate();
    await ask(tenant, { userId: "u1" }, whole, false);
    const personal = idsOf((await ask(tenant, { userId: "u1" }, whole, false)).list);
    const expected: [string, string[]][] = [
      ["VISITORS", ["history-missing"]],
      ["PRODUCTS", ["catalogue-stale"]],
    ];
    for (const condition of ["throws", "hangs"] as const) {
      for (const [binding, flags] of expected) {
        const isolate = new Isolate();
        isolate.conditions.set(binding, condition);
        if (binding === "VISITORS") isolate.conditions.set("KV", "throws");
        const { list } = await ask(tenant, { userId: "u1" }, isolate);
        expect([binding, list.degraded, list.items.length]).toEqual([binding, flags, 10]);
        expect(list.modelVersion).toBe(version);
      }
      const isolate = new Isolate();
      for (const binding of ["MODELS", "MODEL_ROUTING", "KV"]) isolate.conditions.set(binding, condition);
      const { list } = await ask(tenant, { userId: "u1" }, isolate);
      expect(list.degraded).toEqual(["no-model", "catalogue-empty"]);
    }
    // The list that was kept for the visitor answers where their history cannot be read, without what is gone since.
    await happen(tenant, product(personal[0] ?? "", { status: "withdrawn" }));
    const isolate = new Isolate();
    isolate.conditions.set("VISITORS", "throws");
    const { list } = await ask(tenant, { userId: "u1" }, isolate);
    expect(list.degraded).toEqual(["history-missing", "precomputed"]);
    expect(idsOf(list).slice(0, 9)).toEqual(personal.slice(1));
  }, 60_000);

  it("read nothing where everything is in memory, and make one round of calls where only the visitor is not", async () => {
    const tenant = newTenant();
    await serving(tenant);
    const isolate = new Isolate();
    // The second request finds a routing record from KV and asks for the truth in the background.
    for (let request = 0; request < 2; request++) await ask(tenant, { userId: "u1" }, isolate, false);
    await ask(tenant, { userId: "u1" }, isolate);
    const reads = (): string[] =>
      isolate.calls
        .filter(({ binding }) => !["LOGS", "ML_EVENTS"].includes(binding))
        .map(({ binding, method }) => `${binding}.${method}`);
    expect(reads()).toEqual([]);
    await ask(tenant, { userId: "u2" }, isolate);
    expect(reads()).toEqual(["VISITORS.states"]);
    expect(isolate.calls.every(({ round, binding }) => binding !== "VISITORS" || round === 1)).toBe(true);
  });

  it("answer in bulk in the order of the request, and refuse what is no request by field", async () => {
    const tenant = newTenant();
    await serving(tenant);
    const requests = [
      { userId: "u1", limit: 3 },
      { placement: "product", context: { productId: "p-7" }, limit: 4 },
    ];
    const bulk = await call(`${path}/bulk`, { tenant, body: { requests } });
    const { responses } = await bulk.json<{ responses: List[] }>();
    expect(responses.map(({ items }) => items.length)).toEqual([3, 4]);
    expect(responses[1]?.items[0]).toMatchObject({ source: "similar" });
    expect(await problemOf(await call(path, { tenant, body: { limit: 101 } }))).toMatchObject({
      issues: [{ path: "/limit" }],
    });
    expect((await call(`${path}/products?limit=3`, { tenant })).status).toBe(400);
    const band = { priceFrom: 2_000, priceTo: 1_000 };
    expect(await problemOf(await call(path, { tenant, body: { context: band } }))).toMatchObject({
      issues: [{ path: "/context/priceTo" }],
    });
    const inBulk = { requests: [{}, { context: band }] };
    expect(await problemOf(await call(`${path}/bulk`, { tenant, body: inBulk }))).toMatchObject({
      issues: [{ path: "/requests/1/context/priceTo" }],
    });
    expect((await call(path, { tenant, body: {}, roles: ["trainer"] })).status).toBe(403);
  });

  it("relax filters or say that nothing is left where the context leaves nothing", async () => {
    const tenant = newTenant();
    await serving(tenant, { items: 10, seed: 1 });
    const all = Array.from({ length: 10 }, (_, item) => `p-${item}`);
    const dear = (await ask(tenant, { context: { priceFrom: 10_000_000 } })).list;
    expect([dear.items.length, dear.degraded]).toEqual([10, ["filters-relaxed"]]);
    const none = (await ask(tenant, { context: { excludeProductIds: all } })).list;
    expect([none.items.length, none.degraded]).toEqual([0, ["nothing-eligible"]]);
    const blocked = (
      await ask(tenant, { context: { productId: "no-1", basket: ["no-2"], recentProductIds: ["no-3"] } })
    ).list;
    expect([blocked.items.length, blocked.degraded]).toEqual([10, []]);
  });

  it("are logged with the vectors they were ranked by, and announced, with pseudonyms only in the log", async () => {
    const tenant = newTenant();
    await serving(tenant);
    const isolate = new Isolate();
    const { list } = await ask(tenant, { userId: "u1", limit: 4 }, isolate, false);
    expect(isolate.calls.map(({ binding }) => binding)).toEqual(expect.arrayContaining(["LOGS", "ML_EVENTS"]));
    const [record] = await exposuresOf(tenant);
    expect(JSON.stringify(record)).not.toContain("u1");
    if (record === undefined) throw new Error("nothing was logged");
    expect(record).toMatchObject({
      recommendationId: list.recommendationId,
      customer: expect.stringMatching(/^p/) as string,
    });
    expect(record.items.map((item) => item.productId)).toEqual(idsOf(list));
    expect(exposureVectors(record)?.length).toBe(4 * RANKING_WIDTH);
  });
});

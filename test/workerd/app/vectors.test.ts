import { env } from "cloudflare:workers";
import type { ApiClient } from "../../../batch-training/client/api-client.ts";
import { ApiError } from "../../../batch-training/client/api-error.ts";
import { promoteVersion } from "../../../batch-training/publish/promote-version.ts";
import { drizzle } from "drizzle-orm/d1";
import { beforeEach, describe, expect, it } from "vitest";
import type { RouteDefinition } from "../../../models/contract/api/define.ts";
import type { VectorCleanup, VersionVectors } from "../../../models/contract/api/vectors.ts";
import { getModel, type RoutingRecord } from "../../../models/contract/api/models.ts";
import { vectorRow } from "../../../d1/queries/version-vectors.ts";
import { ManifestTrust } from "../../../workers/adapters/manifest-trust.ts";
import { ModelStore } from "../../../workers/adapters/model-store.ts";
import { VectorizeIndex } from "../../../workers/adapters/vectorize-index.ts";
import { cleanUpVectors } from "../../../workers/vectors/remove-vectors.ts";
import type { VectorsDeps } from "../../../workers/vectors/deployed-index.ts";
import { claimForServing, writeVectors } from "../../../workers/vectors/write-vectors.ts";
import { FakeVectorize } from "../../support/fake-vectorize.ts";
import { publishableRecommender } from "../../support/published-recommender.ts";
import { generatedBundle } from "../../support/recommender-bundle.ts";
import { Isolate } from "./broken-env.ts";
import { problemOf, tokenFor } from "./client.ts";
import { publishRecommender } from "./recommender-client.ts";
import { ask, happen, idsOf, type List, newTenant, view } from "./shop-client.ts";

const MODEL = "product-recommendations";
const [HEAD, DIMENSIONS] = [40, 24];
const VARIABLES = {
  VECTOR_INDEX: "vectorize",
  VECTOR_DIMENSIONS: String(DIMENSIONS),
  VECTOR_HEAD_ITEMS: String(HEAD),
};
const HOUR = 3_600_000;

let tenant = "";
let binding = new FakeVectorize(DIMENSIONS);
const isolate = (): Isolate => new Isolate(VARIABLES, binding);

beforeEach(() => {
  tenant = newTenant("vectors");
  binding = new FakeVectorize(DIMENSIONS);
});

async function published(options: Partial<Parameters<typeof generatedBundle>[0]> = {}): Promise<string> {
  const bundle = generatedBundle({ items: 120, seed: 1, dimensions: 16, precision: "bytes", ...options });
  const recommender = publishableRecommender(bundle);
  expect((await publishRecommender(tenant, recommender)).status).toBe(201);
  return recommender.manifest.version;
}

const post = async (route: string, body: object = {}): Promise<Response> =>
  await isolate().fetch(`/api/v1/models/${MODEL}${route}`, { tenant, body });
const write = async (version: string): Promise<Response> => await post(`/versions/${version}/vectors`);
const promote = async (version: string): Promise<Response> => await post("/promote", { version });

/** An answer of an isolate that has the visitor in memory: a history that a busy machine reads too late is not what these tests are about. */
async function answer(body: object, of: Isolate): Promise<List> {
  await ask(tenant, body, of, false);
  return (await ask(tenant, body, of, false)).list;
}

/** As the publisher does: parts until all are written, then until they are visible. */
async function index(version: string): Promise<void> {
  expect(await (await write(version)).json()).toMatchObject({ state: "writing" });
  binding.process();
  expect(await (await write(version)).json()).toMatchObject({ state: "ready" });
}

/** The API as a training service calls it, over the isolate. */
function trainer(): Pick<ApiClient, "call"> {
  const call = async (
    { method, path, operationId }: RouteDefinition,
    { params = {}, body }: { params?: Record<string, string>; body?: unknown } = {},
  ): Promise<{ status: number; body: unknown }> => {
    const token = await tokenFor(["trainer"], { tenant });
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const url = `https://edgewise.test${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => params[name] ?? "")}`;
    const init = { method: method.toUpperCase(), headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const response = await isolate().handle(new Request(url, init));
    if (response.ok) return { status: response.status, body: await response.json() };
    throw new ApiError(operationId, { kind: "problem", status: response.status, problem: await problemOf(response) });
  };
  return { call } as unknown as Pick<ApiClient, "call">;
}

describe("lists whose embeddings lie in Vectorize", () => {
  it("law: a short hot path — are those of the embedded index, in one round more", async () => {
    const version = await published({ retrieval: "embeddings" });
    await index(version);
    expect((await promote(version)).status).toBe(200);
    await happen(tenant, view("u1", "p-7"), view("u1", "p-9"));
    const embedded = await answer({ userId: "u1", limit: 20 }, new Isolate());
    const remote = isolate();
    const list = await answer({ userId: "u1", limit: 20 }, remote);
    expect(list).toMatchObject({ modelVersion: version, degraded: [] });
    expect(idsOf(list)).toEqual(idsOf(embedded));
    expect(idsOf(list).some((id) => Number(id.slice(2)) >= HEAD)).toBe(true);
    // The visitor's history, then the index; nothing where nothing is known of the visitor.
    let degraded = ["history-missing"];
    for (let visitor = 3; degraded.length > 0 && visitor < 20; visitor++) {
      await happen(tenant, view(`u${visitor}`, "p-7"));
      degraded = (await ask(tenant, { userId: `u${visitor}` }, remote)).list.degraded;
    }
    const reads = remote.calls.filter(({ binding: name }) => ["VISITORS", "VECTORS"].includes(name));
    expect(reads.slice(0, 2).map(({ binding: name, method, round }) => [name, method, round])).toEqual([
      ["VISITORS", "states", 1],
      ["VECTORS", "query", 2],
    ]);
    await ask(tenant, { userId: "u2" }, remote);
    expect(remote.calls.filter(({ binding: name }) => name === "VECTORS")).toEqual([]);
  });

  it("law: always an answer — come from the head and the other sources where the index fails or hangs, flagged", async () => {
    const version = await published();
    await index(version);
    await promote(version);
    await happen(tenant, view("u1", "p-7"));
    for (const condition of ["throws", "hangs"] as const) {
      const broken = isolate();
      broken.conditions.set("VECTORS", condition);
      const list = await answer({ userId: "u1" }, broken);
      expect(list).toMatchObject({ modelVersion: version, degraded: ["vectors-missing"] });
      expect(list.items).toHaveLength(10);
    }
  });

  it("say so where the version that serves has no vectors in the index", async () => {
    const version = await published();
    // Promoted while the deployment searched embeddings in its isolates.
    expect((await new Isolate().fetch(`/api/v1/models/${MODEL}/promote`, { tenant, body: { version } })).status).toBe(
      200,
    );
    await happen(tenant, view("u1", "p-7"));
    const list = await answer({ userId: "u1" }, isolate());
    expect(list).toMatchObject({ modelVersion: version, degraded: ["vectors-missing"] });
  });

  it("need no index where the catalogue is no larger than the head, or has no embeddings", async () => {
    for (const options of [{ items: HEAD }, { retrieval: "neighbours" as const }]) {
      const version = await published(options);
      expect(await (await write(version)).json()).toEqual({ state: "none", vectors: 0, done: 0 });
      expect((await promote(version)).status).toBe(200);
      expect((await answer({ userId: "u1" }, isolate())).degraded).toEqual([]);
    }
    expect(binding.batches).toEqual([]);
  });

  it("are not started where the variable asks for an index that is not bound, or that has no jurisdiction", () => {
    expect(() => new Isolate(VARIABLES)).toThrow(/no binding VECTORS.*wrangler vectorize create NAME --dimensions=24/);
    expect(() => new Isolate({ ...VARIABLES, JURISDICTION: "eu" }, binding)).toThrow(/VECTOR_INDEX to "embedded"/);
    expect(() => new Isolate({ VECTOR_INDEX: "pinecone" })).toThrow(/VECTOR_INDEX/);
  });
});

describe("a promotion", () => {
  it("law: one pointer — is refused until every vector is written and visible", async () => {
    const version = await published();
    expect(await problemOf(await promote(version))).toMatchObject({
      status: 409,
      code: "vectors-not-ready",
      detail: expect.stringContaining("none are written") as string,
    });
    expect(await (await write(version)).json()).toEqual({ state: "writing", vectors: 80, done: 80 });
    expect(await problemOf(await promote(version))).toMatchObject({ code: "vectors-not-ready" });
    expect(await (await write(version)).json()).toEqual({ state: "writing", vectors: 80, done: 80 });
    binding.process();
    // Visible, but nobody has looked yet.
    expect((await promote(version)).status).toBe(409);
    expect(await (await write(version)).json()).toEqual({ state: "ready", vectors: 80, done: 80 });
    expect((await promote(version)).status).toBe(200);
    expect(binding.size).toBe(80);
  });

  it("goes back to a version whose vectors are there, and not to one without", async () => {
    const [first, second] = [await published(), await published({ seed: 2 })];
    for (const version of [first, second]) {
      await index(version);
      expect((await promote(version)).status).toBe(200);
    }
    expect((await post("/rollback")).status).toBe(200);
    await happen(tenant, view("u1", "p-7"));
    expect(await answer({ userId: "u1" }, isolate())).toMatchObject({ modelVersion: first, degraded: [] });
    expect((await promote(second)).status).toBe(200);
    await env.DB.prepare("DELETE FROM version_vectors WHERE version = ?").bind(first).run();
    expect(await problemOf(await post("/rollback"))).toMatchObject({ code: "vectors-not-ready" });
    expect((await ask(tenant, {}, isolate())).list.modelVersion).toBe(second);
  });

  it("is refused for vectors wider than the index, and for an index that is not as configured, saying what to do", async () => {
    const wide = await published({ dimensions: 32 });
    expect(await problemOf(await write(wide))).toMatchObject({
      status: 422,
      code: "vectors-refused",
      detail: expect.stringMatching(/32 dimensions and the index 24.*--dimensions/) as string,
    });
    expect((await promote(wide)).status).toBe(409);
    const version = await published();
    binding = new FakeVectorize(8);
    expect(await problemOf(await write(version))).toMatchObject({
      detail: expect.stringContaining("has 8 dimensions and VECTOR_DIMENSIONS says 24") as string,
    });
    expect((await write("f".repeat(64))).status).toBe(404);
  });

  it("needs nothing where embeddings are searched in the isolates", async () => {
    const version = await published();
    const plain = async (route: string): Promise<Response> =>
      await new Isolate().fetch(`/api/v1/models/${MODEL}${route}`, { tenant, body: {} });
    expect(await (await plain(`/versions/${version}/vectors`)).json()).toMatchObject({ state: "embedded" });
    expect(await (await plain("/vectors/cleanup")).json()).toEqual({ removing: [], done: true });
  });
});

describe("the publisher", () => {
  it("has vectors written, waits until they are seen, and only then makes the version serve", async () => {
    const client = trainer();
    const serving = async (): Promise<string | null> =>
      (await client.call(getModel, { params: { name: MODEL } })).body.routing?.serving ?? null;
    for (const version of [await published(), await published({ seed: 2 })]) {
      const before = await serving();
      let looks = 0;
      const after = async (): Promise<void> => {
        expect(await serving()).toBe(before);
        // One of the writes is processed at a time, as late as it may be.
        if (++looks > 2) binding.process(1);
      };
      const notices: string[] = [];
      const record = await promoteVersion(client, MODEL, version, { after, notice: (line) => void notices.push(line) });
      expect([record.serving, await serving()]).toEqual([version, version]);
      expect(looks).toBe(3);
      expect(notices).toEqual([`vectors of ${version.slice(0, 12)}: writing, 80 of 80`]);
      // Again, and nothing is written.
      const writes = binding.batches.length;
      await promoteVersion(client, MODEL, version);
      expect(binding.batches).toHaveLength(writes);
    }
    await happen(tenant, view("u1", "p-7"));
    expect((await answer({ userId: "u1" }, isolate())).degraded).toEqual([]);
  });
});

describe("writing and removing vectors", () => {
  const history: RoutingRecord[] = [];
  let now = 1_800_000_000_000;
  const deps = (): VectorsDeps => ({
    db: drizzle(env.DB),
    store: new ModelStore(env.MODELS, new ManifestTrust([])),
    index: { search: new VectorizeIndex(binding, DIMENSIONS), headItems: HEAD },
    history: () => Promise.resolve(history),
    now: () => now,
  });
  const placeOf = (version: string) => ({ tenant, name: MODEL, version });
  const part = async (version: string): Promise<VersionVectors> => {
    const written = await writeVectors(deps(), placeOf(version));
    if (!written.ok) throw new Error(written.error.detail);
    return written.value;
  };
  const cleanUp = async (): Promise<VectorCleanup> => await cleanUpVectors(deps(), tenant, MODEL);
  const large = { items: 12_540, dimensions: 4, neighbours: 1, retrieval: "embeddings" } as const;
  const served = (serving: string, epoch: number): RoutingRecord => {
    return { v: 1, model: MODEL, epoch, serving, previous: null, changedAt: 0, changedBy: "", reason: "promote" };
  };

  beforeEach(() => {
    history.length = 0;
    now += 24 * HOUR;
  });

  it("goes on after an interruption where it was, in calls of ten thousand and writes of a thousand", async () => {
    const version = await published(large);
    expect(await part(version)).toEqual({ state: "writing", vectors: 12_500, done: 10_000 });
    binding.conditions.set("upsert", "throws");
    await expect(part(version)).rejects.toThrow("did not take vectors");
    binding.conditions.clear();
    expect(await part(version)).toEqual({ state: "writing", vectors: 12_500, done: 12_500 });
    expect(binding.batches).toEqual([...Array.from({ length: 12 }, () => 1_000), 500]);
    binding.process(12);
    expect(await part(version)).toMatchObject({ state: "writing", done: 12_500 });
    binding.process();
    // Other writes come after it, from elsewhere; another isolate still finds out.
    await new VectorizeIndex(binding, DIMENSIONS).upsert("x", [{ id: "x", values: new Float32Array(DIMENSIONS) }]);
    binding.process();
    expect(await part(version)).toMatchObject({ state: "ready" });
    expect(binding.size).toBe(12_501);
  });

  it("notes what was written before the index failed within a call", async () => {
    const version = await published(large);
    const search = new VectorizeIndex(binding, DIMENSIONS);
    let writes = 0;
    const failing = Object.assign(Object.create(search) as VectorizeIndex, {
      dimensions: DIMENSIONS,
      objection: () => Promise.resolve(null),
      upsert: (...batch: Parameters<VectorizeIndex["upsert"]>) =>
        ++writes > 3 ? Promise.reject(new Error("no")) : search.upsert(...batch),
    });
    await expect(
      writeVectors({ ...deps(), index: { search: failing, headItems: HEAD } }, placeOf(version)),
    ).rejects.toThrow("did not take vectors");
    expect((await vectorRow(drizzle(env.DB), placeOf(version)))?.next).toBe(HEAD + 3_000);
    expect(await part(version)).toMatchObject({ state: "writing", done: 12_500 });
  });

  it("writes again what never became visible, and more where the isolates hold less", async () => {
    const version = await published();
    await part(version);
    now += HOUR + 1;
    expect(await part(version)).toMatchObject({ state: "writing", done: 0 });
    await part(version);
    binding.process();
    expect(await part(version)).toMatchObject({ state: "ready", vectors: 80 });
    const smaller = { ...deps(), index: { search: new VectorizeIndex(binding, DIMENSIONS), headItems: 10 } };
    const manifest = await smaller.store.manifest(placeOf(version));
    if (!manifest.ok) throw new Error(manifest.error.reason);
    expect(await claimForServing(smaller, tenant, manifest.value)).toContain("first 10");
    for (let call = 0; call < 2; call++) {
      expect(await writeVectors(smaller, placeOf(version))).toMatchObject({
        value: { state: "writing", vectors: 110 },
      });
    }
    binding.process();
    expect(await writeVectors(smaller, placeOf(version))).toMatchObject({ value: { state: "ready" } });
    expect(binding.size).toBe(110);
    expect(await claimForServing(smaller, tenant, manifest.value)).toBeNull();
  });

  it("removes what neither serves nor is gone back to, an hour after it was touched, and writes it anew when asked", async () => {
    const versions = [await published(large), await published({ seed: 2 }), await published({ seed: 3 })];
    for (const version of versions) {
      for (let call = 0; call < 3; call++) {
        await part(version);
        binding.process();
      }
    }
    const [first = "", second = "", third = ""] = versions;
    history.push(served(first, 1), served(second, 2), served(third, 3));
    expect(await cleanUp()).toEqual({ removing: [], done: true });
    now += HOUR + 1;
    expect(await cleanUp()).toEqual({ removing: [{ version: first, vectors: 12_500, done: 4_000 }], done: false });
    binding.conditions.set("deleteByIds", "throws");
    await expect(cleanUp()).rejects.toThrow("did not remove");
    binding.conditions.clear();
    for (const done of [8_000, 12_000, 12_500]) {
      expect(await cleanUp()).toMatchObject({ removing: [{ version: first, done }] });
    }
    const place = placeOf(first);
    const manifest = await deps().store.manifest(place);
    if (!manifest.ok) throw new Error(manifest.error.reason);
    expect(await claimForServing(deps(), tenant, manifest.value)).toContain("they were removed");
    expect(await part(first)).toMatchObject({ state: "removing" });
    binding.process();
    expect(await part(first)).toEqual({ state: "writing", vectors: 12_500, done: 0 });
    expect(binding.size).toBe(160);
    expect(await part(first)).toMatchObject({ state: "writing", done: 10_000 });
    expect(await cleanUp()).toEqual({ removing: [], done: true });
  });

  it("does not remove what was claimed for serving a moment ago", async () => {
    const version = await published();
    await part(version);
    binding.process();
    await part(version);
    now += 2 * HOUR;
    const manifest = await deps().store.manifest(placeOf(version));
    if (!manifest.ok) throw new Error(manifest.error.reason);
    expect(await claimForServing(deps(), tenant, manifest.value)).toBeNull();
    // The pointer has not moved yet, and a cleanup sees nothing of this version.
    expect(await cleanUp()).toEqual({ removing: [], done: true });
    expect(binding.size).toBe(80);
  });
});

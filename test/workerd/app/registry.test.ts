import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { FRAUD_MODEL } from "../../../models/catalog/fraud-orders/model.ts";
import type { ModelDetail, RoutingRecord } from "../../../models/contract/api/models.ts";
import { manifestContent } from "../../../models/contract/manifest.ts";
import { amountModel, MODEL_FILE, publishable, type PublishableModel } from "../../support/amount-model.ts";
import { manifestOf } from "../../support/test-manifest.ts";
import { call, problemOf } from "./client.ts";
import { promote, publish, putFile, registryOf } from "./registry-client.ts";

let tenants = 0;
/** Every test has models of its own: a tenant is a registry. */
const aTenant = (): string => `reg-${++tenants}`;
const path = `/api/v1/models/${FRAUD_MODEL}`;
const variant = (note: string): PublishableModel => amountModel({ note });

describe("publishing", () => {
  it("201, then 200: registers a version once, with its figures; the same again changes nothing", async () => {
    const tenant = aTenant();
    const model = amountModel();
    expect((await publish(tenant, model)).status).toBe(201);
    expect((await publish(tenant, model)).status).toBe(200);
    const { versions } = await registryOf(tenant);
    expect(versions).toMatchObject([{ version: model.manifest.version, status: "registered", engine: "compact" }]);
    expect(versions[0]?.metrics).toEqual(model.manifest.metrics);
    const manifest = await call(`${path}/versions/${model.manifest.version}`, { tenant });
    expect(await manifest.json()).toEqual(model.manifest);
    const file = await call(`${path}/versions/${model.manifest.version}/files/${MODEL_FILE}`, { tenant });
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(model.bytes);
  });

  it("422: a file whose bytes do not have the SHA-256 that is stated", async () => {
    const model = amountModel();
    const response = await putFile(aTenant(), model, { sha256: "0".repeat(64) });
    expect((await problemOf(response)).code).toBe("manifest-refused");
  });

  it("law: immutable artefacts — 409 for other bytes under a name that is taken, and the first stay", async () => {
    const tenant = aTenant();
    const model = amountModel();
    await publish(tenant, model);
    const bytes = Uint8Array.from(model.bytes).fill(1, 0, 4);
    const changed = publishable(bytes, manifestContent(model.manifest));
    const response = await putFile(tenant, { ...changed, manifest: model.manifest }, { sha256: changed.sha256 });
    expect((await problemOf(response)).code).toBe("artifact-exists");
    const file = await call(`${path}/versions/${model.manifest.version}/files/${MODEL_FILE}`, { tenant });
    expect(new Uint8Array(await file.arrayBuffer())).toEqual(model.bytes);
  });

  it("422: a manifest without its files", async () => {
    const tenant = aTenant();
    const { manifest } = amountModel();
    const problem = await problemOf(await call(`${path}/versions`, { tenant, body: manifest }));
    expect(problem).toMatchObject({ code: "manifest-refused", detail: `${MODEL_FILE} is missing` });
    expect((await call(path, { tenant })).status).toBe(404);
  });

  it("422: a manifest that is not what its version says, or of another model", async () => {
    const tenant = aTenant();
    const model = amountModel();
    await putFile(tenant, model);
    const forged = { ...model.manifest, policy: { reviewAt: 0.99, declineAt: 0.99 } };
    const problem = await problemOf(await call(`${path}/versions`, { tenant, body: forged }));
    expect(problem.code).toBe("manifest-refused");
    expect(problem.detail).toMatch(/^the content hashes to [0-9a-f]{64}$/);
    const elsewhere = await call("/api/v1/models/another-model/versions", { tenant, body: model.manifest });
    expect((await problemOf(elsewhere)).code).toBe("manifest-refused");
  });

  it("422: a manifest that describes other bytes than are stored", async () => {
    const tenant = aTenant();
    const model = amountModel();
    const lying = manifestOf({
      ...manifestContent(model.manifest),
      files: [{ path: MODEL_FILE, sha256: "f".repeat(64), bytes: model.bytes.byteLength }],
    });
    await putFile(tenant, { ...model, manifest: lying });
    const problem = await problemOf(await call(`${path}/versions`, { tenant, body: lying }));
    expect(problem.code).toBe("manifest-refused");
    expect(problem.detail).toContain("the manifest says");
  });

  it("503: while the engine that must prove it cannot tell; nothing is registered, and the same may go through later", async () => {
    const tenant = aTenant();
    const response = await publish(tenant, amountModel({ engine: "ort" }));
    expect(response.headers.get("retry-after")).toBe("5");
    expect(await problemOf(response)).toMatchObject({ code: "unavailable", status: 503 });
    expect((await call(path, { tenant })).status).toBe(404);
  });

  it("422: a model pinned to a feature set that this deployment does not have", async () => {
    const model = amountModel();
    const content = manifestContent(model.manifest);
    const pinned = publishable(model.bytes, {
      ...content,
      featureService: { name: content.featureService.name, hash: "a".repeat(64) },
    });
    const problem = await problemOf(await publish(aTenant(), pinned));
    expect(problem.code).toBe("feature-set-unknown");
    expect(problem.detail).toContain("a".repeat(64));
  });

  it("422: a model that does not reproduce its golden vectors, and one that no engine runs", async () => {
    const tenant = aTenant();
    const model = amountModel();
    const content = manifestContent(model.manifest);
    const rows = content.golden.rows.map((row) => ({ ...row, score: [0.5] }));
    const wrong = publishable(model.bytes, { ...content, golden: { ...content.golden, rows } });
    expect(await problemOf(await publish(tenant, wrong))).toMatchObject({
      code: "model-refused",
      detail: expect.stringContaining("golden row 0") as string,
    });
    const torn = publishable(model.bytes.subarray(0, 100), content);
    expect((await problemOf(await publish(tenant, torn))).code).toBe("model-refused");
    const narrow = manifestContent(model.manifest).golden.rows.map((row) => ({ ...row, vector: row.vector.slice(1) }));
    const short = publishable(model.bytes, { ...content, golden: { ...content.golden, rows: narrow } });
    expect((await problemOf(await publish(tenant, short))).code).toBe("model-refused");
    expect((await call(path, { tenant })).status).toBe(404);
  });

  it("400: malformed manifests, names and file names; 413: a manifest beyond its limit", async () => {
    const tenant = aTenant();
    const model = amountModel();
    expect((await problemOf(await call(`${path}/versions`, { tenant, body: "{" }))).code).toBe("invalid-json");
    const { golden: _golden, ...incomplete } = model.manifest;
    const problem = await problemOf(await call(`${path}/versions`, { tenant, body: incomplete }));
    expect(problem.issues?.map((issue) => issue.path)).toContain("/golden");
    const huge = { ...model.manifest, fitted: { text: "x".repeat(1024 * 1024) } };
    expect((await problemOf(await call(`${path}/versions`, { tenant, body: huge }))).code).toBe("body-too-large");
    const file = `${path}/versions/${model.manifest.version}/files/..%2Fescape?sha256=${model.sha256}`;
    const options = {
      tenant,
      method: "PUT",
      body: model.bytes,
      headers: { "content-type": "application/octet-stream" },
    };
    expect((await call(file, options)).status).toBe(400);
    expect((await call("/api/v1/models/NO!", { tenant })).status).toBe(400);
  });
});

describe("promotion", () => {
  it("404: a model or version that does not exist", async () => {
    const tenant = aTenant();
    expect((await problemOf(await promote(tenant, "b".repeat(64)))).code).toBe("version-not-found");
    expect((await problemOf(await call(path, { tenant }))).code).toBe("model-not-found");
    expect((await problemOf(await call(`${path}/history`, { tenant }))).code).toBe("model-not-found");
    expect((await problemOf(await call(`${path}/versions/${"b".repeat(64)}`, { tenant }))).code).toBe(
      "version-not-found",
    );
    expect((await problemOf(await promote(tenant, "short"))).code).toBe("invalid-request");
  });

  it("422: a version whose file was damaged in storage after it was published; what serves stays", async () => {
    const tenant = aTenant();
    const [good, bad] = [variant("good"), variant("bad")];
    await publish(tenant, good);
    await publish(tenant, bad);
    await promote(tenant, good.manifest.version);
    const key = `${tenant}/models/${FRAUD_MODEL}/${bad.manifest.version}/${MODEL_FILE}`;
    await env.MODELS.put(key, Uint8Array.from(bad.bytes).fill(0, 50, 60));
    const problem = await problemOf(await promote(tenant, bad.manifest.version));
    expect(problem).toMatchObject({ code: "model-refused" });
    expect(problem.detail).toContain("the manifest says");
    await env.MODELS.delete(key);
    expect((await problemOf(await promote(tenant, bad.manifest.version))).detail).toContain("is missing");
    expect((await registryOf(tenant)).routing).toMatchObject({ epoch: 1, serving: good.manifest.version });
  });

  it("moves the pointer, remembers what served before, and is one change when repeated", async () => {
    const tenant = aTenant();
    const [first, second] = [variant("first"), variant("second")];
    await publish(tenant, first);
    await publish(tenant, second);
    await promote(tenant, first.manifest.version);
    await promote(tenant, second.manifest.version);
    const again = await (await promote(tenant, second.manifest.version)).json<RoutingRecord>();
    expect(again).toMatchObject({ epoch: 2, serving: second.manifest.version, previous: first.manifest.version });
    const { versions } = await registryOf(tenant);
    expect(Object.fromEntries(versions.map(({ version, status }) => [version, status]))).toEqual({
      [first.manifest.version]: "retired",
      [second.manifest.version]: "serving",
    });
  });
});

describe("rollback", () => {
  it("404 for a model that was never promoted, 409 when nothing served before", async () => {
    const tenant = aTenant();
    const rollBack = () => call(`${path}/rollback`, { tenant, method: "POST" });
    expect((await problemOf(await rollBack())).code).toBe("model-not-found");
    const only = variant("only");
    await publish(tenant, only);
    await promote(tenant, only.manifest.version);
    expect(await problemOf(await rollBack())).toMatchObject({ code: "nothing-to-roll-back", status: 409 });
    expect((await registryOf(tenant)).routing).toMatchObject({ epoch: 1, serving: only.manifest.version });
  });

  it("goes back one version at a time; the history says what served when", async () => {
    const tenant = aTenant();
    const models = ["a", "b", "c"].map(variant);
    const [a, b, c] = models.map((model) => model.manifest.version);
    for (const model of models) {
      await publish(tenant, model);
      await promote(tenant, model.manifest.version);
    }
    for (const expected of [b, a]) {
      const response = await call(`${path}/rollback`, { tenant, method: "POST", roles: ["operator"] });
      expect(await response.json()).toMatchObject({ serving: expected, reason: "rollback" });
    }
    const { history } = await (await call(`${path}/history`, { tenant })).json<{ history: RoutingRecord[] }>();
    expect(history.map((record) => record.serving)).toEqual([a, b, c, b, a]);
    const at = new Date(history[2]?.changedAt ?? 0).toISOString();
    const then = await (await call(`${path}/history?at=${at}`, { tenant })).json<{ history: RoutingRecord[] }>();
    expect(then.history).toHaveLength(1);
    expect((await call(`${path}/history?at=2001-01-01T00:00:00Z`, { tenant })).status).toBe(404);
    expect((await call(`${path}/history?at=yesterday`, { tenant })).status).toBe(400);
  });
});

describe("law: one pointer — a lost registry", () => {
  it("is rebuilt from R2 and the routing object, once and again; damaged versions are named", async () => {
    const tenant = aTenant();
    const [first, second] = [variant("first"), variant("second")];
    for (const model of [first, second]) {
      await publish(tenant, model);
      await promote(tenant, model.manifest.version);
    }
    await call(`${path}/rollback`, { tenant, method: "POST" });
    const rows = async () => {
      const { versions, routing } = await registryOf(tenant);
      const { history } = await (await call(`${path}/history`, { tenant })).json<{ history: RoutingRecord[] }>();
      const known = versions.map(({ registeredAt: _now, ...version }) => version);
      return { versions: known.toSorted((x, y) => (x.version < y.version ? -1 : 1)), routing, history };
    };
    const before = await rows();
    for (const table of ["models", "model_versions", "version_metrics", "version_status_history", "routing_history"])
      await env.DB.prepare(`DELETE FROM ${table} WHERE tenant = ?`).bind(tenant).run();
    const broken = `${tenant}/models/${FRAUD_MODEL}/${"c".repeat(64)}/manifest.json`;
    await env.MODELS.put(broken, "{}");
    for (let repeat = 0; repeat < 2; repeat++) {
      const response = await call("/api/v1/registry/rebuild", { tenant, method: "POST" });
      expect(await response.json()).toMatchObject({
        models: 1,
        versions: 2,
        refused: [{ key: `${FRAUD_MODEL}/${"c".repeat(64)}` }],
      });
    }
    expect(await rows()).toEqual(before);
    const { results } = await env.DB.prepare(
      "SELECT version, status FROM version_status_history WHERE tenant = ? AND status <> 'registered'",
    )
      .bind(tenant)
      .all();
    expect(results).toHaveLength(5);
  });
});

describe("law: tenants — a registry", () => {
  it("shows, serves and promotes nothing of another tenant", async () => {
    const [mine, theirs] = [aTenant(), aTenant()];
    const model = amountModel();
    await publish(mine, model);
    expect((await call(path, { tenant: theirs })).status).toBe(404);
    expect((await promote(theirs, model.manifest.version)).status).toBe(404);
    const { version } = model.manifest;
    expect((await call(`${path}/versions/${version}/files/${MODEL_FILE}`, { tenant: theirs })).status).toBe(404);
    const { models } = await (await call("/api/v1/models", { tenant: theirs })).json<{ models: ModelDetail[] }>();
    expect(models).toEqual([]);
  });
});

import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { FRAUD_MODEL } from "../../../models/catalog/fraud-orders/model.ts";
import { canonicalJson } from "../../../models/contract/canonical-json.ts";
import type { FraudDecision } from "../../../models/contract/decision-record.ts";
import type { Manifest } from "../../../models/contract/manifest.ts";
import { publicKey, signedBytes, toBase64Url } from "../../../models/contract/signing-key.ts";
import { ManifestTrust } from "../../../workers/adapters/manifest-trust.ts";
import { createApp } from "../../../workers/app.ts";
import { compose } from "../../../workers/compose.ts";
import { readConfig } from "../../../workers/config.ts";
import { amountModel, MODEL_FILE, type PublishableModel } from "../../support/amount-model.ts";
import { anOrder } from "../../support/events.ts";
import { bytesOfHex, pkcs8Of, RFC_8032_VECTORS } from "../../support/rfc-8032.ts";
import { problemOf, tokenFor } from "./client.ts";

/** A trainer that signs with the secret of one vector of RFC 8032, by this runtime's own Ed25519. */
async function aSigner(
  vector: number,
): Promise<{ publicKey: string; sign: (manifest: Manifest) => Promise<Manifest> }> {
  const { secret, publicKey: hex } = RFC_8032_VECTORS[vector] ?? { secret: "", publicKey: "" };
  const pkcs8 = Uint8Array.from(atob(pkcs8Of(secret)), (letter) => letter.charCodeAt(0));
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  const { id, bytes } = publicKey(bytesOfHex(hex));
  return {
    publicKey: toBase64Url(bytes),
    sign: async (manifest) => {
      const value = toBase64Url(new Uint8Array(await crypto.subtle.sign("Ed25519", key, signedBytes(manifest))));
      return { ...manifest, signature: { algorithm: "Ed25519", keyId: id, value } };
    },
  };
}

/** One isolate of the Worker that trusts these keys. */
class Trusting {
  readonly #app: ReturnType<typeof createApp>;
  readonly #tenant: string;

  constructor(tenant: string, ...publicKeys: readonly string[]) {
    this.#tenant = tenant;
    this.#app = createApp(compose({ ...env, MODEL_PUBLIC_KEYS: publicKeys.join(" ") }).app);
  }

  async call(path: string, init: { method?: string; body?: BodyInit; type?: string } = {}): Promise<Response> {
    const token = await tokenFor(["admin"], { tenant: this.#tenant });
    const headers = { authorization: `Bearer ${token}`, "content-type": init.type ?? "application/json" };
    const context = createExecutionContext();
    const request = new Request(`https://edgewise.test${path}`, {
      method: init.method ?? (init.body === undefined ? "GET" : "POST"),
      headers,
      ...(init.body !== undefined && { body: init.body }),
    });
    const response = await this.#app.fetch(request, {}, context);
    await waitOnExecutionContext(context);
    return response;
  }

  async publish(model: PublishableModel, manifest: Manifest): Promise<Response> {
    const file = `${MODEL}/versions/${manifest.version}/files/${MODEL_FILE}?sha256=${model.sha256}`;
    await this.call(file, { method: "PUT", body: model.bytes, type: "application/octet-stream" });
    return await this.call(`${MODEL}/versions`, { body: JSON.stringify(manifest) });
  }

  async promote(version: string): Promise<Response> {
    return await this.call(`${MODEL}/promote`, { body: JSON.stringify({ version }) });
  }

  async score(): Promise<{ version: string | null; decision: FraudDecision }> {
    const order = anOrder({ orderId: `signed-${crypto.randomUUID()}`, placedAt: new Date().toISOString() });
    const response = await this.call("/api/v1/fraud/score", { body: JSON.stringify({ order }) });
    return { version: response.headers.get("x-model-version"), decision: await response.json() };
  }
}

const MODEL = `/api/v1/models/${FRAUD_MODEL}`;
const first = await aSigner(0);
const second = await aSigner(1);
let tenants = 0;
const aTenant = (): string => `signed-${++tenants}`;
const keyOf = (tenant: string, version: string, file: string): string =>
  `${tenant}/models/${FRAUD_MODEL}/${version}/${file}`;

describe("a Worker that trusts keys", () => {
  it.each(RFC_8032_VECTORS)("verifies $name of RFC 8032 in this runtime", async (vector) => {
    const key = publicKey(bytesOfHex(vector.publicKey));
    const trust = new ManifestTrust([key]);
    const signature = bytesOfHex(vector.signature);
    expect(await trust.verifies(key.id, signature, bytesOfHex(vector.message))).toBe(true);
    signature[0] = (signature[0] ?? 0) ^ 1;
    expect(await trust.verifies(key.id, signature, bytesOfHex(vector.message))).toBe(false);
  });

  it("201: publishes what a trusted key signed; 422 otherwise, and nothing is visible then", async () => {
    const tenant = aTenant();
    const worker = new Trusting(tenant, first.publicKey);
    const model = amountModel();
    const { manifest } = model;
    const forged = { ...(await first.sign(amountModel({ note: "other" }).manifest)).signature };
    for (const bad of [manifest, await second.sign(manifest), { ...manifest, signature: forged } as Manifest]) {
      const problem = await problemOf(await worker.publish(model, bad));
      expect(problem).toMatchObject({ code: "signature-refused", status: 422 });
    }
    expect((await worker.call(MODEL)).status).toBe(404);
    expect(await env.MODELS.head(keyOf(tenant, manifest.version, "manifest.json"))).toBeNull();
    expect((await worker.publish(model, await first.sign(manifest))).status).toBe(201);
    expect((await worker.publish(model, await first.sign(manifest))).status).toBe(200);
  });

  it("law: immutable artefacts — a forged manifest in the bucket is neither promoted, nor rebuilt, nor served; the last good one stays", async () => {
    const tenant = aTenant();
    const [good, bad] = [amountModel({ note: "good" }), amountModel({ note: "bad", logOdds: -4 })];
    const worker = new Trusting(tenant, first.publicKey);
    await worker.publish(good, await first.sign(good.manifest));
    await worker.promote(good.manifest.version);
    // Who has the bucket's keys and not the trainer's: files and manifest fit, the signature is of another version.
    const { signature } = await first.sign(good.manifest);
    const { version } = bad.manifest;
    await env.MODELS.put(keyOf(tenant, version, MODEL_FILE), bad.bytes);
    await env.MODELS.put(keyOf(tenant, version, "manifest.json"), canonicalJson({ ...bad.manifest, signature }));
    const problem = await problemOf(await worker.promote(version));
    expect(problem).toMatchObject({ code: "model-refused" });
    expect(problem.detail).toContain("signature");
    const rebuilt = await worker.call("/api/v1/registry/rebuild", { method: "POST" });
    expect(await rebuilt.json()).toMatchObject({ versions: 1, refused: [{ key: `${FRAUD_MODEL}/${version}` }] });
    // Even where the pointer moved, by a Worker that trusts nobody in particular, a fresh isolate serves the one before.
    await new Trusting(tenant).promote(version);
    const { version: served, decision } = await new Trusting(tenant, first.publicKey).score();
    expect(served).toBe(good.manifest.version);
    expect(decision.degraded).toContain("model-refused");
  });

  it("serves versions of both keys while one replaces the other; the withdrawn key's version can be signed anew", async () => {
    const tenant = aTenant();
    const model = amountModel();
    const [old, renewed] = [await first.sign(model.manifest), await second.sign(model.manifest)];
    await new Trusting(tenant, first.publicKey).publish(model, old);
    const during = new Trusting(tenant, first.publicKey, second.publicKey);
    expect((await during.publish(model, renewed)).status).toBe(200);
    const stored = async () =>
      (await (await env.MODELS.get(keyOf(tenant, model.manifest.version, "manifest.json")))?.json<Manifest>())
        ?.signature;
    expect(await stored()).toEqual(old.signature);
    expect((await during.promote(model.manifest.version)).status).toBe(200);
    const after = new Trusting(tenant, second.publicKey);
    expect((await problemOf(await after.promote(model.manifest.version))).detail).toContain("not trusted here");
    expect((await after.publish(model, renewed)).status).toBe(201);
    expect(await stored()).toEqual(renewed.signature);
    expect((await after.score()).version).toBe(model.manifest.version);
  });
});

describe("the configuration", () => {
  it("names a key that is none, and asks production for at least one", () => {
    expect(() => readConfig({ ...env, MODEL_PUBLIC_KEYS: "nonsense" })).toThrow('MODEL_PUBLIC_KEYS: "nonsense" is not');
    const production = { ...env, ENVIRONMENT: "production", JWKS_URL: "https://id.example.com/jwks" };
    expect(() => readConfig(production)).toThrow("MODEL_PUBLIC_KEYS is empty");
    expect(readConfig({ ...production, MODEL_PUBLIC_KEYS: first.publicKey }).modelPublicKeys).toHaveLength(1);
  });
});

import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { FRAUD_MODEL } from "../../../models/catalog/fraud-orders/model.ts";
import type { RegistrationRefusal } from "../../../models/contract/api/models.ts";
import { canonicalJson } from "../../../models/contract/canonical-json.ts";
import { manifestContent, type Manifest } from "../../../models/contract/manifest.ts";
import { amountModel, MODEL_FILE, type PublishableModel } from "../../support/amount-model.ts";
import { manifestOf } from "../../support/test-manifest.ts";
import { Isolate } from "./broken-env.ts";
import { call, deliver } from "./client.ts";
import { promote, publish, registryOf } from "./registry-client.ts";

const QUEUE = "edgewise-model-uploads";
let tenants = 0;
const aTenant = (): string => `up-${++tenants}`;

/** What R2 sends, in the shape of its documentation. */
function notification(key: string, action = "PutObject"): object {
  return {
    account: "3f4b7e3dcab231cbfdaa90a6a28bd548",
    action,
    bucket: "edgewise-models",
    object: { key, size: 65_536, eTag: "c846ff7a18f28c2e262116d6e8719ef0" },
    eventTime: "2024-05-24T19:36:44.379Z",
  };
}

const keyOf = (tenant: string, { name, version }: Manifest, file: string): string =>
  `${tenant}/models/${name}/${version}/${file}`;

/** Files and manifest put straight into the bucket, as the S3 protocol does. */
async function upload(tenant: string, { manifest, bytes }: PublishableModel): Promise<string> {
  await env.MODELS.put(keyOf(tenant, manifest, MODEL_FILE), bytes);
  const key = keyOf(tenant, manifest, "manifest.json");
  await env.MODELS.put(key, canonicalJson(manifest));
  return key;
}

async function refusalsOf(tenant: string): Promise<RegistrationRefusal[]> {
  const response = await call(`/api/v1/models/${FRAUD_MODEL}/refusals`, { tenant, roles: ["trainer"] });
  return (await response.json<{ refusals: RegistrationRefusal[] }>()).refusals;
}

describe("a manifest that arrives in the bucket", () => {
  it.each(["PutObject", "CopyObject", "CompleteMultipartUpload"])(
    "by %s: registers its version, once",
    async (action) => {
      const tenant = aTenant();
      const model = amountModel({ note: action });
      const message = notification(await upload(tenant, model), action);
      for (let repeat = 0; repeat < 2; repeat++)
        expect(await deliver([message, message], QUEUE)).toEqual({ acked: true, retried: 0 });
      const { versions, routing } = await registryOf(tenant);
      expect(versions).toMatchObject([{ version: model.manifest.version, status: "registered" }]);
      expect(routing).toBeNull();
      expect((await promote(tenant, model.manifest.version)).status).toBe(200);
      expect(await refusalsOf(tenant)).toEqual([]);
    },
  );

  it("is ignored for every other object, action, and message of another shape", async () => {
    const tenant = aTenant();
    const model = amountModel();
    const key = await upload(tenant, model);
    const others = [
      notification(keyOf(tenant, model.manifest, MODEL_FILE)),
      notification(key, "DeleteObject"),
      notification(`${key}/manifest.json`),
      notification(`x/${key}`),
      notification("default/events/ingested=2024-05-24T19/a.ndjson.gz"),
      notification(`${tenant}/models/${FRAUD_MODEL}/not-a-version/manifest.json`),
      {},
      "text",
      null,
    ];
    expect(await deliver(others, QUEUE)).toEqual({ acked: true, retried: 0 });
    expect((await call(`/api/v1/models/${FRAUD_MODEL}`, { tenant })).status).toBe(404);
    expect(await refusalsOf(tenant)).toEqual([]);
  });

  it.each<[string, (tenant: string, model: PublishableModel) => Promise<unknown>, string, RegExp]>([
    [
      "whose file is missing",
      (tenant, { manifest }) => env.MODELS.delete(keyOf(tenant, manifest, MODEL_FILE)),
      "manifest-refused",
      /model\.onnx is missing/,
    ],
    [
      "whose file is another",
      (tenant, { manifest }) => env.MODELS.put(keyOf(tenant, manifest, MODEL_FILE), "other bytes"),
      "manifest-refused",
      /the manifest says/,
    ],
    [
      "that was cut",
      (tenant, { manifest }) =>
        env.MODELS.put(keyOf(tenant, manifest, "manifest.json"), canonicalJson(manifest).slice(0, 200)),
      "manifest-refused",
      /not JSON/,
    ],
    [
      "under a version that is not its content's",
      (tenant, { manifest }) =>
        env.MODELS.put(
          keyOf(tenant, manifest, "manifest.json"),
          canonicalJson({ ...manifest, policy: { reviewAt: 0.9, declineAt: 0.99 } }),
        ),
      "manifest-refused",
      /the manifest's content is version/,
    ],
    [
      "that is gone by now",
      (tenant, { manifest }) => env.MODELS.delete(keyOf(tenant, manifest, "manifest.json")),
      "manifest-refused",
      /there is no manifest/,
    ],
  ])("%s: is refused, and the reason is kept", async (_what, damage, code, detail) => {
    const tenant = aTenant();
    const model = amountModel();
    const key = await upload(tenant, model);
    await damage(tenant, model);
    expect(await deliver([notification(key)], QUEUE)).toEqual({ acked: true, retried: 0 });
    const refusals = await refusalsOf(tenant);
    expect(refusals).toMatchObject([{ version: model.manifest.version, code }]);
    expect(refusals[0]?.detail).toMatch(detail);
    expect((await call(`/api/v1/models/${FRAUD_MODEL}`, { tenant })).status).toBe(404);
  });

  it("of a model that does not reproduce its golden vectors, or of unknown features: is refused", async () => {
    const tenant = aTenant();
    const model = amountModel();
    const content = manifestContent(model.manifest);
    const wrong = manifestOf({
      ...content,
      golden: { tolerance: 1e-6, rows: [{ vector: content.golden.rows[0]?.vector ?? [], score: [0.5] }] },
    });
    const foreign = manifestOf({ ...content, featureService: { ...content.featureService, hash: "a".repeat(64) } });
    const keys = [
      await upload(tenant, { ...model, manifest: wrong }),
      await upload(tenant, { ...model, manifest: foreign }),
    ];
    await deliver(
      keys.map((key) => notification(key)),
      QUEUE,
    );
    expect((await refusalsOf(tenant)).map(({ code }) => code).toSorted()).toEqual([
      "feature-set-unknown",
      "model-refused",
    ]);
  });

  it("is registered after all by the call for it, and then no longer refused", async () => {
    const tenant = aTenant();
    const model = amountModel();
    const key = await upload(tenant, model);
    await env.MODELS.delete(keyOf(tenant, model.manifest, MODEL_FILE));
    await deliver([notification(key)], QUEUE);
    expect(await refusalsOf(tenant)).toHaveLength(1);
    expect((await publish(tenant, model)).status).toBe(200);
    expect(await refusalsOf(tenant)).toEqual([]);
    expect((await registryOf(tenant)).versions).toHaveLength(1);
  });

  it("of a model whose engine cannot tell now: is looked at again later", async () => {
    const tenant = aTenant();
    const key = await upload(tenant, amountModel({ engine: "ort" }));
    expect(await deliver([notification(key)], QUEUE)).toEqual({ acked: false, retried: 1 });
    expect(await refusalsOf(tenant)).toEqual([]);
  });

  it("law: nothing is lost — while nobody can tell, the message is tried again, later each time", async () => {
    const tenant = aTenant();
    const key = await upload(tenant, amountModel());
    const isolate = new Isolate();
    isolate.conditions.set("MODELS", "throws");
    const delays: number[] = [];
    for (let attempts = 1; attempts <= 8; attempts++) {
      await isolate.consumeUploads({
        messages: [
          {
            body: notification(key),
            attempts,
            ack: () => delays.push(-1),
            retry: ({ delaySeconds }) => delays.push(delaySeconds),
          },
        ],
        ackAll: () => {},
      });
    }
    expect(delays).toEqual([5, 10, 20, 40, 80, 160, 300, 300]);
    expect(await refusalsOf(tenant)).toEqual([]);
  });
});

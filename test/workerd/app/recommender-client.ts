import { RECOMMENDER_MODEL } from "../../../models/catalog/product-recommendations/model.ts";
import type { PublishableRecommender } from "../../support/published-recommender.ts";
import { call } from "./client.ts";

const path = `/api/v1/models/${RECOMMENDER_MODEL}`;

/** Files first, then the manifest; the answer is the manifest's. */
export async function publishRecommender(
  tenant: string,
  { manifest, files }: PublishableRecommender,
): Promise<Response> {
  for (const { path: file, sha256 } of manifest.files) {
    const stored = await call(`${path}/versions/${manifest.version}/files/${file}?sha256=${sha256}`, {
      tenant,
      method: "PUT",
      body: files.get(file) ?? new Uint8Array(0),
      headers: { "content-type": "application/octet-stream" },
      roles: ["trainer"],
    });
    if (!stored.ok) throw new Error(`${file}: ${await stored.text()}`);
  }
  return await call(`${path}/versions`, { tenant, body: manifest, roles: ["trainer"] });
}

export async function promoteRecommender(tenant: string, version: string): Promise<Response> {
  return await call(`${path}/promote`, { tenant, body: { version }, roles: ["operator"] });
}

export async function rollBackRecommender(tenant: string): Promise<Response> {
  return await call(`${path}/rollback`, { tenant, body: {}, roles: ["operator"] });
}

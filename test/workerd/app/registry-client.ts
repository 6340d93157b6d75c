import { FRAUD_MODEL } from "../../../models/catalog/fraud-orders/model.ts";
import type { ModelDetail } from "../../../models/contract/api/models.ts";
import { MODEL_FILE, type PublishableModel } from "../../support/amount-model.ts";
import { call } from "./client.ts";

const path = `/api/v1/models/${FRAUD_MODEL}`;

export async function putFile(
  tenant: string,
  model: PublishableModel,
  options: { sha256?: string } = {},
): Promise<Response> {
  const sha256 = options.sha256 ?? model.sha256;
  return await call(`${path}/versions/${model.manifest.version}/files/${MODEL_FILE}?sha256=${sha256}`, {
    tenant,
    method: "PUT",
    body: model.bytes,
    headers: { "content-type": "application/octet-stream" },
    roles: ["trainer"],
  });
}

/** Files first, then the manifest, as the trainer does. */
export async function publish(tenant: string, model: PublishableModel): Promise<Response> {
  await putFile(tenant, model);
  return await call(`${path}/versions`, { tenant, body: model.manifest, roles: ["trainer"] });
}

export async function promote(tenant: string, version: string): Promise<Response> {
  return await call(`${path}/promote`, { tenant, body: { version }, roles: ["operator"] });
}

export async function registryOf(tenant: string): Promise<ModelDetail> {
  return await (await call(path, { tenant })).json<ModelDetail>();
}

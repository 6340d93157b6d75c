import * as z from "zod";
import { ModelName, ModelVersion, TenantId } from "../../models/contract/primitives.ts";
import type { Result } from "../../models/result.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { logError, logWarning } from "../http/log.ts";
import type { QueueBatch } from "./queue-batches.ts";

/**
 * What R2 sends to a queue when an object changes (developers.cloudflare.com/r2/buckets/event-notifications): the fields that are used.
 * Messages may come more than once, and for objects that are none of ours.
 */
const UploadNotification = z.object({
  action: z.string().max(64),
  bucket: z.string().max(128),
  object: z.object({ key: z.string().max(1_024) }),
});

/** Actions of the event type `object-create`. */
const CREATING = new Set(["PutObject", "CopyObject", "CompleteMultipartUpload"]);

export interface UploadedVersion {
  readonly tenant: string;
  readonly name: string;
  readonly version: string;
}

export interface RegistrationRefusal {
  readonly code: string;
  readonly detail: string;
}

export interface RegisterUploadsDeps {
  readonly now: () => number;
  /** Verifies the version whole and registers it; repeating it changes nothing. Throws where nobody can tell now. */
  readonly register: (place: UploadedVersion) => Promise<Result<{ created: boolean }, RegistrationRefusal>>;
  readonly storeRefusal: (place: UploadedVersion, refusal: RegistrationRefusal, now: number) => Promise<void>;
  readonly metrics: MetricRegistry;
}

/** First retry after five seconds, doubling; a store that does not answer is back within minutes. */
const RETRY_BASE_SECONDS = 5;
const MAX_RETRY_SECONDS = 300;

/** The version whose manifest a notification announces; null for every other object and action. */
export function uploadedVersion(body: unknown): UploadedVersion | null {
  const message = UploadNotification.safeParse(body);
  if (!message.success || !CREATING.has(message.data.action)) return null;
  const [tenant, models, name, version, file, ...rest] = message.data.object.key.split("/");
  if (models !== "models" || file !== "manifest.json" || rest.length > 0) return null;
  const place = z
    .object({ tenant: TenantId, name: ModelName, version: ModelVersion })
    .safeParse({ tenant, name, version });
  return place.success ? place.data : null;
}

/** Registers the versions whose manifests have arrived in the bucket. A version that must not be registered is remembered with its reason. */
export async function registerUploads(deps: RegisterUploadsDeps, batch: QueueBatch): Promise<void> {
  for (const message of batch.messages) {
    const place = uploadedVersion(message.body);
    if (!place) {
      deps.metrics.count("model_uploads_total", { outcome: "ignored" });
      message.ack();
      continue;
    }
    try {
      deps.metrics.count("model_uploads_total", { outcome: await registerUpload(deps, place) });
      message.ack();
    } catch (error) {
      logError("an uploaded version could not be looked at", error, { ...place, attempts: message.attempts });
      message.retry({
        delaySeconds: Math.min(MAX_RETRY_SECONDS, RETRY_BASE_SECONDS * 2 ** (message.attempts - 1)),
      });
    }
  }
}

async function registerUpload(deps: RegisterUploadsDeps, place: UploadedVersion): Promise<string> {
  const registered = await deps.register(place);
  if (registered.ok) return registered.value.created ? "registered" : "known";
  logWarning("an uploaded version was refused", {
    ...place,
    code: registered.error.code,
    reason: registered.error.detail,
  });
  await deps.storeRefusal(place, registered.error, deps.now());
  return "refused";
}

import type { DrizzleD1Database } from "drizzle-orm/d1";
import {
  listModelRows,
  recordRouting,
  restoreRouting,
  routingHistoryOf,
  versionsOf,
} from "../../d1/queries/registry.ts";
import {
  getManifest,
  getModel,
  getModelFile,
  getRoutingHistory,
  listModels,
  listRefusals,
  promoteModel,
  publishVersion as publishVersionRoute,
  putModelFile,
  rebuildRegistry as rebuildRegistryRoute,
  rollbackModel,
  type RoutingRecord,
} from "../../models/contract/api/models.ts";
import type { Event } from "../../models/contract/events.ts";
import { previousVersion } from "../../durable-objects/model-routing.core.ts";
import type { RoutingAnswer } from "../../durable-objects/model-routing.ts";
import type { Manifest } from "../../models/contract/manifest.ts";
import { err, ok, type Result } from "../../models/result.ts";
import type { ArtefactPlace, ModelStore } from "../adapters/model-store.ts";
import { refusalsOf } from "../../d1/queries/registration-refusals.ts";
import { isLeaseHeld } from "../../d1/queries/training-jobs.ts";
import { Failure } from "../http/failure.ts";
import { Unavailable } from "../unavailable.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";
import type { RequestContext } from "../http/request-context.ts";
import { filesToProve, type PublishDeps, publishVersion } from "./publish-version.ts";
import { rebuildRegistry } from "./rebuild-registry.ts";

/** The routing record of each model: one writer, the truth about what serves. */
export interface Routing {
  record(tenant: string, model: string): Promise<RoutingRecord | null>;
  /** The records that the object keeps, oldest first; the last one is in force. */
  history(tenant: string, model: string): Promise<RoutingRecord[]>;
  promote(tenant: string, model: string, version: string, by: string): Promise<RoutingAnswer>;
  rollBack(tenant: string, model: string, by: string): Promise<RoutingAnswer>;
  /** Writes the cold-start copy; what it fails to write is corrected by the next change and by revalidation. */
  writeCopy(tenant: string, record: RoutingRecord): Promise<void>;
}

export interface RegistryDeps extends PublishDeps {
  readonly db: DrizzleD1Database;
  readonly store: ModelStore;
  readonly routing: Routing;
  /** Asked right before a version is made to serve: why its vectors do not let it; null where they do. */
  readonly claimVectors: (tenant: string, manifest: Manifest) => Promise<string | null>;
  readonly send: (events: readonly Event<"ml.model.promoted.v1">[]) => Promise<void>;
}

export function mountRegistry(app: App, http: HttpDeps, deps: RegistryDeps): void {
  mountReading(app, http, deps);
  mountPublishing(app, http, deps);
  mountPromotion(app, http, deps);
}

function mountReading(app: App, http: HttpDeps, deps: RegistryDeps): void {
  mount(app, http, listModels, async (_input, { identity }) => {
    const rows = await listModelRows(deps.db, identity.tenant);
    const models = await Promise.all(
      rows.map(async (row) => ({ ...row, routing: await deps.routing.record(identity.tenant, row.name) })),
    );
    return Response.json({ models });
  });

  mount(app, http, getModel, async ({ params }, { identity }) => {
    const versions = await versionsOf(deps.db, identity.tenant, params.name);
    const kind = versions[0]?.kind;
    if (kind === undefined) return new Failure("model-not-found");
    return Response.json({
      name: params.name,
      kind,
      routing: await deps.routing.record(identity.tenant, params.name),
      versions,
    });
  });

  mount(app, http, getManifest, async ({ params }, { identity }) => {
    const manifest = await deps.store.manifest({ tenant: identity.tenant, ...params });
    if (manifest.ok) return Response.json(manifest.value);
    return new Failure("version-not-found", { reason: manifest.error.reason });
  });

  mount(app, http, getModelFile, async ({ params: { path, ...version } }, { identity }) => {
    const body = await deps.store.stream({ tenant: identity.tenant, ...version }, path);
    return body
      ? new Response(body, { headers: { "content-type": "application/octet-stream" } })
      : new Failure("version-not-found");
  });

  mount(app, http, listRefusals, async ({ params }, { identity }) =>
    Response.json({ refusals: await refusalsOf(deps.db, identity.tenant, params.name) }),
  );

  mount(app, http, getRoutingHistory, async ({ params, query }, { identity }) => {
    const at = query.at === undefined ? null : Date.parse(query.at);
    const history = await routingHistoryOf(deps.db, identity.tenant, params.name, at);
    return history.length === 0 ? new Failure("model-not-found") : Response.json({ history });
  });
}

function mountPublishing(app: App, http: HttpDeps, deps: RegistryDeps): void {
  mount(app, http, putModelFile, async ({ params: { path, ...version }, query, body }, { identity }) => {
    let stored: "created" | "same" | "conflict";
    try {
      stored = await deps.store.putFile({ tenant: identity.tenant, ...version }, path, body, query.sha256);
    } catch (error) {
      return new Failure("manifest-refused", { detail: "The bytes do not have this SHA-256.", reason: String(error) });
    }
    if (stored === "conflict") return new Failure("artifact-exists");
    return Response.json({ path, bytes: body.byteLength, created: stored === "created" });
  });

  mount(app, http, publishVersionRoute, async ({ params, query, body }, { identity, now }) => {
    const lost = await lostLease(deps, { tenant: identity.tenant, ...query }, now);
    if (lost) return lost;
    const request = { tenant: identity.tenant, name: params.name, manifest: body, by: identity.subject };
    const published = await orUnavailable(() => publishVersion(deps, request));
    if (published instanceof Failure) return published;
    if (!published.ok) return new Failure(published.error.code, { detail: published.error.detail });
    const versions = await versionsOf(deps.db, identity.tenant, params.name);
    const summary = versions.find((entry) => entry.version === body.version);
    if (!summary)
      return new Failure("internal", { reason: "the version is not in the registry after its registration" });
    return Response.json(summary, { status: published.value.created ? 201 : 200 });
  });

  mount(app, http, rebuildRegistryRoute, async (_input, { identity }) => {
    const report = await rebuildRegistry(
      {
        store: deps.store,
        register: deps.register,
        routing: (tenant, model) => deps.routing.history(tenant, model),
        restoreRouting: (tenant, records) => restoreRouting(deps.db, tenant, records),
      },
      identity.tenant,
      identity.subject,
    );
    return Response.json(report);
  });
}

function mountPromotion(app: App, http: HttpDeps, deps: RegistryDeps): void {
  mount(app, http, promoteModel, async ({ params, query, body }, context) => {
    const { tenant, subject } = context.identity;
    const lost = await lostLease(deps, { tenant, ...query }, context.now);
    if (lost) return lost;
    const place = { tenant, name: params.name, version: body.version };
    const manifest = await deps.store.manifest(place);
    if (!manifest.ok) {
      if (manifest.error.kind === "missing") return new Failure("version-not-found");
      return new Failure("model-refused", { detail: manifest.error.reason });
    }
    const files = await provenFiles(deps.store, place, manifest.value);
    if (!files.ok) return new Failure("model-refused", { detail: files.error });
    const proven = await orUnavailable(() => deps.prove(tenant, manifest.value, files.value));
    if (proven instanceof Failure) return proven;
    if (!proven.ok) return new Failure("model-refused", { detail: proven.error });
    const missing = await deps.claimVectors(tenant, manifest.value);
    if (missing !== null) return new Failure("vectors-not-ready", { detail: missing });
    const answer = await deps.routing.promote(tenant, params.name, body.version, subject);
    return await routingResponse(deps, context, answer);
  });

  mount(app, http, rollbackModel, async ({ params }, context) => {
    const { tenant, subject } = context.identity;
    const history = await deps.routing.history(tenant, params.name);
    const record = history.at(-1);
    if (!record) return new Failure("model-not-found");
    const target = previousVersion({ record, history: history.slice(0, -1) });
    // A version that cannot be read is gone back to as before: loading refuses it, and what served answers.
    const manifest = target === null ? null : await deps.store.manifest({ tenant, name: params.name, version: target });
    const missing = manifest?.ok ? await deps.claimVectors(tenant, manifest.value) : null;
    if (missing !== null) return new Failure("vectors-not-ready", { detail: missing });
    return await routingResponse(deps, context, await deps.routing.rollBack(tenant, params.name, subject));
  });
}

async function orUnavailable<T>(work: () => Promise<T>): Promise<T | Failure> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Unavailable)
      return new Failure("unavailable", { reason: error.message, retryAfterSeconds: 5 });
    throw error;
  }
}

/** Refuses what a machine does for a training job that was given to another one; null: no job is named, or the lease is held. */
async function lostLease(
  deps: RegistryDeps,
  lease: { tenant: string; jobId?: string | undefined; fence?: number | undefined },
  now: number,
): Promise<Failure | null> {
  const { tenant, jobId, fence } = lease;
  if (jobId === undefined && fence === undefined) return null;
  if (jobId === undefined || fence === undefined) {
    const path = jobId === undefined ? "jobId" : "fence";
    return new Failure("invalid-request", { issues: [{ path, message: "jobId and fence go together" }] });
  }
  return (await isLeaseHeld(deps.db, { tenant, jobId, fence }, now)) ? null : new Failure("lease-lost");
}

/** The pointer has moved already; its copies and its history follow, and the promotion is announced once. */
async function routingResponse(
  deps: RegistryDeps,
  context: RequestContext,
  answer: RoutingAnswer,
): Promise<Response | Failure> {
  if ("error" in answer) return new Failure(answer.error);
  const { tenant } = context.identity;
  const { record, previous } = answer;
  if (answer.changed) {
    await Promise.all([
      deps.routing.writeCopy(tenant, record),
      recordRouting(deps.db, { tenant, record, previous }),
      announce(deps, tenant, record, previous),
    ]);
  }
  return Response.json(record);
}

async function announce(
  deps: RegistryDeps,
  tenant: string,
  record: RoutingRecord,
  previous: string | null,
): Promise<void> {
  if (record.serving === null || record.reason === null) return;
  const data = {
    model: record.model,
    version: record.serving,
    previousVersion: previous,
    epoch: record.epoch,
    reason: record.reason,
  };
  await deps.send([
    {
      specversion: "1.0",
      id: `${record.model}-${record.epoch}`,
      source: `/edgewise/${tenant}/models`,
      time: new Date(record.changedAt).toISOString(),
      type: "ml.model.promoted.v1",
      data,
    },
  ]);
}

/** The files that a version is opened from, verified against its manifest; the error names the one that is not there. */
async function provenFiles(
  store: ModelStore,
  place: ArtefactPlace,
  manifest: Manifest,
): Promise<Result<Map<string, Uint8Array>, string>> {
  const { required, optional } = filesToProve(manifest);
  const files = new Map<string, Uint8Array>();
  for (const path of [...required, ...optional]) {
    const entry = manifest.files.find((file) => file.path === path);
    if (!entry && required.includes(path)) return err(`${path} is not among the files`);
    if (!entry) continue;
    const bytes = await store.readFile(place, path, entry.sha256);
    if (!bytes.ok) return err(bytes.error.reason);
    files.set(path, bytes.value);
  }
  return ok(files);
}

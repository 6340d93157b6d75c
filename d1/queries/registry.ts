import { and, desc, eq, inArray, lte } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import type { RoutingRecord, VersionStatus } from "../../models/contract/api/models.ts";
import type { Manifest, Metric, ModelKind } from "../../models/contract/manifest.ts";
import { models, modelVersions, routingHistory, versionMetrics, versionStatusHistory } from "../schema.ts";

/** Versions and routing changes listed at once: months of daily training. */
const MAX_LISTED = 200;
/** Metrics per statement: eight columns each, 100 parameters at most. */
const METRICS_PER_STATEMENT = 12;

export interface RegisteredVersion {
  readonly version: string;
  readonly status: VersionStatus;
  readonly kind: ModelKind;
  readonly engine: "compact" | "ort";
  readonly registeredAt: number;
  readonly metrics: Metric[];
}

/**
 * Registers a version with its metrics and first status, in one batch; registering it again changes nothing.
 * The routing record is the only thing that decides what serves: `status` here is its shadow for people.
 */
export async function registerVersion(
  db: DrizzleD1Database,
  entry: { tenant: string; manifest: Manifest; now: number; by: string },
): Promise<void> {
  const { tenant, manifest, now, by } = entry;
  const key = { tenant, name: manifest.name, version: manifest.version };
  if (await isRegistered(db, key)) return;
  const statements: BatchItem<"sqlite">[] = [
    db
      .insert(modelVersions)
      .values({
        ...key,
        kind: manifest.kind,
        engine: manifest.engine,
        status: "registered",
        featureService: manifest.featureService.name,
        featureHash: manifest.featureService.hash,
        parent: manifest.lineage.parent,
        runId: manifest.lineage.runId,
        dataHash: manifest.lineage.dataHash,
        codeVersion: manifest.lineage.codeVersion,
        registeredAt: now,
      })
      .onConflictDoNothing(),
    db.insert(versionStatusHistory).values({ ...key, status: "registered", changedAt: now, changedBy: by }),
  ];
  for (let start = 0; start < manifest.metrics.length; start += METRICS_PER_STATEMENT) {
    const rows = manifest.metrics
      .slice(start, start + METRICS_PER_STATEMENT)
      .map(({ name, slice, value, low, high }) => ({ ...key, metric: name, slice, value, low, high }));
    statements.push(db.insert(versionMetrics).values(rows).onConflictDoNothing());
  }
  await db.batch([
    db
      .insert(models)
      .values({ tenant, name: manifest.name, kind: manifest.kind, createdAt: now })
      .onConflictDoNothing(),
    ...statements,
  ]);
}

export async function isRegistered(
  db: DrizzleD1Database,
  key: { tenant: string; name: string; version: string },
): Promise<boolean> {
  const known = await db
    .select({ version: modelVersions.version })
    .from(modelVersions)
    .where(
      and(
        eq(modelVersions.tenant, key.tenant),
        eq(modelVersions.name, key.name),
        eq(modelVersions.version, key.version),
      ),
    )
    .limit(1);
  return known.length > 0;
}

/** Records a change of the routing record and the statuses that follow from it. Idempotent by epoch. */
export async function recordRouting(
  db: DrizzleD1Database,
  entry: { tenant: string; record: RoutingRecord; previous: string | null },
): Promise<void> {
  const { tenant, record, previous } = entry;
  const by = { changedAt: record.changedAt, changedBy: record.changedBy };
  const history = {
    tenant,
    name: record.model,
    epoch: record.epoch,
    serving: record.serving,
    previous: record.previous,
    ...by,
    reason: record.reason,
  };
  const statements: BatchItem<"sqlite">[] = [];
  const setStatus = (version: string, status: VersionStatus): void => {
    const key = and(
      eq(modelVersions.tenant, tenant),
      eq(modelVersions.name, record.model),
      eq(modelVersions.version, version),
    );
    statements.push(db.update(modelVersions).set({ status }).where(key));
    statements.push(db.insert(versionStatusHistory).values({ tenant, name: record.model, version, status, ...by }));
  };
  if (previous !== null && previous !== record.serving) setStatus(previous, "retired");
  if (record.serving !== null) setStatus(record.serving, "serving");
  await db.batch([db.insert(routingHistory).values(history).onConflictDoNothing(), ...statements]);
}

/** Fills what is missing of a model's routing history and of the statuses that follow from it. `records`: all of one model, oldest first. */
export async function restoreRouting(
  db: DrizzleD1Database,
  tenant: string,
  records: readonly RoutingRecord[],
): Promise<void> {
  const current = records.at(-1);
  if (!current) return;
  const known = await db
    .select({ epoch: routingHistory.epoch })
    .from(routingHistory)
    .where(and(eq(routingHistory.tenant, tenant), eq(routingHistory.name, current.model)));
  const epochs = new Set(known.map((row) => row.epoch));
  for (const [index, record] of records.entries()) {
    if (epochs.has(record.epoch)) continue;
    await recordRouting(db, { tenant, record, previous: records[index - 1]?.serving ?? null });
  }
  // Versions that were registered anew, while their history was still there.
  for (const version of new Set(records.map((record) => record.serving)))
    if (version !== null) await setStatus(db, { tenant, name: current.model, version }, statusIn(current, version));
}

function statusIn(current: RoutingRecord, version: string): VersionStatus {
  return current.serving === version ? "serving" : "retired";
}

async function setStatus(
  db: DrizzleD1Database,
  key: { tenant: string; name: string; version: string },
  status: VersionStatus,
): Promise<void> {
  await db
    .update(modelVersions)
    .set({ status })
    .where(
      and(
        eq(modelVersions.tenant, key.tenant),
        eq(modelVersions.name, key.name),
        eq(modelVersions.version, key.version),
      ),
    );
}

export async function listModelRows(
  db: DrizzleD1Database,
  tenant: string,
): Promise<{ name: string; kind: ModelKind }[]> {
  const rows = await db.select().from(models).where(eq(models.tenant, tenant)).orderBy(models.name).limit(MAX_LISTED);
  return rows.map(({ name, kind }) => ({ name, kind: kind as ModelKind }));
}

export async function versionsOf(db: DrizzleD1Database, tenant: string, name: string): Promise<RegisteredVersion[]> {
  const rows = await db
    .select()
    .from(modelVersions)
    .where(and(eq(modelVersions.tenant, tenant), eq(modelVersions.name, name)))
    .orderBy(desc(modelVersions.registeredAt), modelVersions.version)
    .limit(MAX_LISTED);
  const metrics = await metricsOf(
    db,
    tenant,
    name,
    rows.map((row) => row.version),
  );
  return rows.map(({ version, status, kind, engine, registeredAt }) => ({
    version,
    status,
    kind: kind as ModelKind,
    engine,
    registeredAt,
    metrics: metrics.get(version) ?? [],
  }));
}

async function metricsOf(
  db: DrizzleD1Database,
  tenant: string,
  name: string,
  versions: readonly string[],
): Promise<Map<string, Metric[]>> {
  const byVersion = new Map<string, Metric[]>();
  for (let start = 0; start < versions.length; start += 90) {
    const rows = await db
      .select()
      .from(versionMetrics)
      .where(
        and(
          eq(versionMetrics.tenant, tenant),
          eq(versionMetrics.name, name),
          inArray(versionMetrics.version, versions.slice(start, start + 90)),
        ),
      );
    for (const { version, metric, slice, value, low, high } of rows) {
      const list = byVersion.get(version) ?? [];
      list.push({ name: metric, slice, value, low, high });
      byVersion.set(version, list);
    }
  }
  return byVersion;
}

/** Routing changes, newest first; with `at`, only the record that was in force at that time. */
export async function routingHistoryOf(
  db: DrizzleD1Database,
  tenant: string,
  name: string,
  at: number | null,
): Promise<RoutingRecord[]> {
  const mine = and(eq(routingHistory.tenant, tenant), eq(routingHistory.name, name));
  const rows = await db
    .select()
    .from(routingHistory)
    .where(at === null ? mine : and(mine, lte(routingHistory.changedAt, at)))
    .orderBy(desc(routingHistory.epoch))
    .limit(at === null ? MAX_LISTED : 1);
  return rows.map(({ name: model, epoch, serving, previous, changedAt, changedBy, reason }) => ({
    v: 1,
    model,
    epoch,
    serving,
    previous,
    changedAt,
    changedBy,
    reason,
  }));
}

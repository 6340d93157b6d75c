import { and, asc, eq, lt, lte, notInArray } from "drizzle-orm";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import { versionVectors } from "../schema.ts";

/**
 * How far vectors of versions are on their way into the vector index, and out of it. Each change is one conditional UPDATE, so that two machines that write
 * the same version never go back, and a promotion and a removal exclude each other.
 */
export type VectorRow = typeof versionVectors.$inferSelect;

export interface VersionKey {
  readonly tenant: string;
  readonly name: string;
  readonly version: string;
}

const isVersion = ({ tenant, name, version }: VersionKey) =>
  and(eq(versionVectors.tenant, tenant), eq(versionVectors.name, name), eq(versionVectors.version, version));

export async function vectorRow(db: DrizzleD1Database, key: VersionKey): Promise<VectorRow | null> {
  const [row] = await db.select().from(versionVectors).where(isVersion(key)).limit(1);
  return row ?? null;
}

/** Begins a version's writing where nobody has. */
export async function insertVectorRow(
  db: DrizzleD1Database,
  key: VersionKey,
  entry: { readonly fromItem: number; readonly items: number; readonly now: number },
): Promise<void> {
  const { fromItem, items, now } = entry;
  await db
    .insert(versionVectors)
    .values({ ...key, state: "writing", fromItem, items, next: fromItem, ticket: "", changedAt: now })
    .onConflictDoNothing();
}

/** Moves the cursor forward; a slower machine's cursor changes nothing. */
export async function advanceVectors(
  db: DrizzleD1Database,
  row: VectorRow,
  to: { readonly next: number; readonly ticket: string; readonly now: number },
): Promise<void> {
  await db
    .update(versionVectors)
    .set({ next: to.next, ticket: to.ticket, changedAt: to.now })
    .where(and(isVersion(row), eq(versionVectors.state, row.state), lt(versionVectors.next, to.next)));
}

/** From one state to another, if nothing has changed since the row was read; true where it did. */
export async function changeVectorState(
  db: DrizzleD1Database,
  row: VectorRow,
  to: Pick<VectorRow, "state" | "fromItem" | "next" | "ticket" | "changedAt">,
): Promise<boolean> {
  const { state, changedAt, ticket } = row;
  const same = and(
    isVersion(row),
    eq(versionVectors.state, state),
    eq(versionVectors.changedAt, changedAt),
    eq(versionVectors.ticket, ticket),
  );
  return (await db.update(versionVectors).set(to).where(same).returning({ state: versionVectors.state })).length > 0;
}

/** Marks a version whose vectors are ready as about to serve: no removal begins for a while. False where they are not ready. */
export async function claimVectors(
  db: DrizzleD1Database,
  key: VersionKey,
  { headItems, now }: { readonly headItems: number; readonly now: number },
): Promise<boolean> {
  const ready = and(isVersion(key), eq(versionVectors.state, "ready"), lte(versionVectors.fromItem, headItems));
  return (await db.update(versionVectors).set({ changedAt: now }).where(ready).returning()).length > 0;
}

/** Versions of a model whose vectors are being removed, the oldest first. */
export async function removingVectors(db: DrizzleD1Database, tenant: string, name: string): Promise<VectorRow[]> {
  const mine = and(eq(versionVectors.tenant, tenant), eq(versionVectors.name, name));
  return await db
    .select()
    .from(versionVectors)
    .where(and(mine, eq(versionVectors.state, "removing")))
    .orderBy(asc(versionVectors.changedAt))
    .limit(MAX_REMOVED);
}

/** Begins the removal of what was last touched before `before` and is not to be kept. */
export async function beginRemoval(
  db: DrizzleD1Database,
  tenant: string,
  name: string,
  { keep, before, now }: { readonly keep: readonly string[]; readonly before: number; readonly now: number },
): Promise<void> {
  const rows = await db
    .select()
    .from(versionVectors)
    .where(
      and(
        eq(versionVectors.tenant, tenant),
        eq(versionVectors.name, name),
        lt(versionVectors.changedAt, before),
        notInArray(versionVectors.version, [...keep]),
        notInArray(versionVectors.state, ["removing"]),
      ),
    )
    .limit(MAX_REMOVED);
  for (const row of rows) {
    const { fromItem } = row;
    await changeVectorState(db, row, { state: "removing", fromItem, next: fromItem, ticket: "", changedAt: now });
  }
}

export async function deleteVectorRow(db: DrizzleD1Database, row: VectorRow): Promise<void> {
  await db.delete(versionVectors).where(and(isVersion(row), eq(versionVectors.state, row.state)));
}

/** Versions whose removal begins in one call. */
const MAX_REMOVED = 50;

import { and, desc, eq, isNull } from "drizzle-orm";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import { apiKeys } from "../schema.ts";

export type ApiKeyRow = typeof apiKeys.$inferSelect;

/** Keys listed at once: far more than a tenant has machines. */
const MAX_LISTED = 500;

export async function insertApiKey(db: DrizzleD1Database, row: ApiKeyRow): Promise<void> {
  await db.insert(apiKeys).values(row);
}

export async function apiKeyByHash(db: DrizzleD1Database, keyHash: string): Promise<ApiKeyRow | null> {
  const rows = await db.select().from(apiKeys).where(eq(apiKeys.keyHash, keyHash)).limit(1);
  return rows[0] ?? null;
}

export async function apiKeysOf(db: DrizzleD1Database, tenant: string): Promise<ApiKeyRow[]> {
  return await db
    .select()
    .from(apiKeys)
    .where(eq(apiKeys.tenant, tenant))
    .orderBy(desc(apiKeys.createdAt))
    .limit(MAX_LISTED);
}

/** Revokes a key that is not revoked yet, and returns it; null if the tenant has no such key. */
export async function revokeApiKeyRow(
  db: DrizzleD1Database,
  tenant: string,
  keyId: string,
  now: number,
): Promise<ApiKeyRow | null> {
  const mine = and(eq(apiKeys.tenant, tenant), eq(apiKeys.keyId, keyId));
  await db
    .update(apiKeys)
    .set({ revokedAt: now })
    .where(and(mine, isNull(apiKeys.revokedAt)));
  const rows = await db.select().from(apiKeys).where(mine).limit(1);
  return rows[0] ?? null;
}

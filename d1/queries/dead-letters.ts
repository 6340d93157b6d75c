import { and, desc, eq, inArray, lt, type SQL } from "drizzle-orm";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import type { DeadLetter } from "../../models/contract/api/events.ts";
import type { EventRejection } from "../../models/contract/errors.ts";
import { deadLetters } from "../schema.ts";

export type NewDeadLetter = typeof deadLetters.$inferInsert & { reason: EventRejection };

/** D1 binds at most 100 parameters a statement; a dead letter has nine. */
const ROWS_PER_STATEMENT = 10;

export async function insertDeadLetters(db: DrizzleD1Database, rows: readonly NewDeadLetter[]): Promise<void> {
  const statements = [];
  for (let start = 0; start < rows.length; start += ROWS_PER_STATEMENT) {
    statements.push(
      db
        .insert(deadLetters)
        .values(rows.slice(start, start + ROWS_PER_STATEMENT))
        .onConflictDoNothing(),
    );
  }
  const [first, ...rest] = statements;
  if (first !== undefined) await db.batch([first, ...rest]);
}

export async function findDeadLetters(
  db: DrizzleD1Database,
  query: { tenant: string; limit: number; before?: number | undefined; reason?: EventRejection | undefined },
): Promise<DeadLetter[]> {
  const conditions: SQL[] = [eq(deadLetters.tenant, query.tenant)];
  if (query.before !== undefined) conditions.push(lt(deadLetters.id, query.before));
  if (query.reason !== undefined) conditions.push(eq(deadLetters.reason, query.reason));
  const rows = await db
    .select()
    .from(deadLetters)
    .where(and(...conditions))
    .orderBy(desc(deadLetters.id))
    .limit(query.limit);
  return rows.map(asDeadLetter);
}

export async function deadLettersById(
  db: DrizzleD1Database,
  tenant: string,
  ids: readonly number[],
): Promise<DeadLetter[]> {
  const rows: DeadLetter[] = [];
  // 90 ids and the tenant stay below D1's 100 parameters.
  for (let start = 0; start < ids.length; start += 90) {
    const found = await db
      .select()
      .from(deadLetters)
      .where(and(eq(deadLetters.tenant, tenant), inArray(deadLetters.id, ids.slice(start, start + 90))));
    rows.push(...found.map(asDeadLetter));
  }
  return rows;
}

export async function markReplayed(
  db: DrizzleD1Database,
  tenant: string,
  ids: readonly number[],
  now: number,
): Promise<void> {
  for (let start = 0; start < ids.length; start += 90) {
    await db
      .update(deadLetters)
      .set({ replayedAt: now })
      .where(and(eq(deadLetters.tenant, tenant), inArray(deadLetters.id, ids.slice(start, start + 90))));
  }
}

function asDeadLetter(row: typeof deadLetters.$inferSelect): DeadLetter {
  const { id, fingerprint: _fingerprint, reason, ...rest } = row;
  return { deadLetterId: id, reason: reason as EventRejection, ...rest };
}

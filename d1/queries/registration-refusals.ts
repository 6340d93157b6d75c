import { and, desc, eq } from "drizzle-orm";
import type { DrizzleD1Database } from "drizzle-orm/d1";
import type { RegistrationRefusal } from "../../models/contract/api/models.ts";
import { registrationRefusals } from "../schema.ts";

/** Refusals listed at once. */
const MAX_LISTED = 200;

export interface RefusedPlace {
  readonly tenant: string;
  readonly name: string;
  readonly version: string;
}

/** Keeps the latest reason of a version. */
export async function insertRefusal(
  db: DrizzleD1Database,
  entry: RefusedPlace & { code: string; detail: string; refusedAt: number },
): Promise<void> {
  const { code, detail, refusedAt } = entry;
  await db
    .insert(registrationRefusals)
    .values(entry)
    .onConflictDoUpdate({
      target: [registrationRefusals.tenant, registrationRefusals.name, registrationRefusals.version],
      set: { code, detail, refusedAt },
    });
}

/** A version that was registered after all. */
export async function deleteRefusal(db: DrizzleD1Database, place: RefusedPlace): Promise<void> {
  await db
    .delete(registrationRefusals)
    .where(
      and(
        eq(registrationRefusals.tenant, place.tenant),
        eq(registrationRefusals.name, place.name),
        eq(registrationRefusals.version, place.version),
      ),
    );
}

/** Newest first. */
export async function refusalsOf(db: DrizzleD1Database, tenant: string, name: string): Promise<RegistrationRefusal[]> {
  const rows = await db
    .select()
    .from(registrationRefusals)
    .where(and(eq(registrationRefusals.tenant, tenant), eq(registrationRefusals.name, name)))
    .orderBy(desc(registrationRefusals.refusedAt))
    .limit(MAX_LISTED);
  return rows.map(({ version, code, detail, refusedAt }) => ({ version, code, detail, refusedAt }));
}

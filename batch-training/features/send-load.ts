import { createHash } from "node:crypto";
import {
  commitFeatureLoad,
  getFeatureLoad,
  loadFeatures,
  type LoadedRow,
  MAX_LOAD_ROWS,
} from "../../models/contract/api/feature-loads.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";

export interface FeatureLoadJob {
  /** `name@version`. */
  readonly group: string;
  readonly batch: string;
  readonly rows: readonly LoadedRow[];
}

/** The name of a load by its content: the same rows make the same load, so that running it again goes on with it. */
export function fingerprint(group: string, rows: readonly LoadedRow[]): string {
  const hash = createHash("sha256").update(`${group}\n`);
  for (const row of rows) hash.update(`${JSON.stringify(row)}\n`);
  return hash.digest("hex").slice(0, 16);
}

/**
 * Stages the parts that are not staged yet, and commits: the load becomes visible as a whole. May be interrupted anywhere and run again.
 * Returns what happened, for a person.
 * @throws ApiError
 */
export async function sendLoad(client: Pick<ApiClient, "call">, job: FeatureLoadJob): Promise<string> {
  const { group, batch, rows } = job;
  const parts = Math.ceil(rows.length / MAX_LOAD_ROWS);
  const known = await client.call(getFeatureLoad, { params: { group, batch } }).then(
    ({ body }) => body,
    (error: unknown) => {
      if (error instanceof ApiError && error.code === "load-not-found") return { parts: [], committedAt: null };
      throw error;
    },
  );
  const staged = new Set(known.parts);
  let sent = 0;
  for (let part = 0; part < parts && known.committedAt === null; part++) {
    if (staged.has(part)) continue;
    const own = rows.slice(part * MAX_LOAD_ROWS, (part + 1) * MAX_LOAD_ROWS);
    await client.call(loadFeatures, { params: { group }, body: { batch, part, rows: own, stage: true } });
    sent++;
  }
  // Of a load that is committed too: the caller may have died before every object had folded it.
  const { body } = await client.call(commitFeatureLoad, { params: { group, batch }, body: { parts } });
  const before = known.committedAt === null ? `${sent} of ${parts} parts sent, committed` : "was committed";
  return `${batch}: ${rows.length} rows, ${before} at ${body.committedAt}`;
}

import {
  advanceVectors,
  beginRemoval,
  deleteVectorRow,
  removingVectors,
  type VectorRow,
} from "../../d1/queries/version-vectors.ts";
import { previousVersion } from "../../durable-objects/model-routing.core.ts";
import type { RoutingRecord } from "../../models/contract/api/models.ts";
import type { VectorCleanup, VersionVectors } from "../../models/contract/api/vectors.ts";
import { vectorId, vectorNamespace } from "../../models/recommend/vector-place.ts";
import { Unavailable } from "../unavailable.ts";
import { CALL_MS, type DeployedIndex, type VectorsDeps } from "./deployed-index.ts";

/** Vectors removed in one call of the route: forty deletions of the hundred ids that Vectorize takes; and at once. */
const REMOVED_PER_CALL = 4_000;
const REMOVED_AT_ONCE = 500;
/** What was written or promoted more recently stays: a promotion looks at its vectors before it moves the pointer. */
const KEEP_MS = 3_600_000;

/** Removes the next part of what no longer serves. Ids follow from version and item, so nothing has to be listed. @throws Unavailable */
export async function cleanUpVectors(deps: VectorsDeps, tenant: string, name: string): Promise<VectorCleanup> {
  const { db, index, now } = deps;
  if (index === null) return { removing: [], done: true };
  const keep = versionsToKeep(await deps.history(tenant, name));
  await beginRemoval(db, tenant, name, { keep, before: now() - KEEP_MS, now: now() });
  const [first, ...others] = await removingVectors(db, tenant, name);
  if (!first) return { removing: [], done: true };
  let left: VersionVectors;
  try {
    left = await removePart(deps, index, first);
  } catch (error) {
    throw new Unavailable(`the vector index did not remove vectors: ${String(error)}`);
  }
  const rows = [{ row: first, done: left.done }, ...others.map((row) => ({ row, done: row.next - row.fromItem }))];
  const removing = rows
    .filter(({ row }) => row !== first || left.state === "removing")
    .map(({ row, done }) => ({ version: row.version, vectors: row.items - row.fromItem, done }));
  return { removing, done: removing.length === 0 };
}

/** What serves, what answers in its place, and what a rollback would go back to. */
function versionsToKeep(history: readonly RoutingRecord[]): string[] {
  const record = history.at(-1);
  if (!record) return [];
  const target = previousVersion({ record, history: history.slice(0, -1) });
  return [record.serving, record.previous, target].filter((version) => version !== null);
}

/** The next part of one version; gone, and "none", once no query sees any of it. */
export async function removePart(
  { db, now }: Pick<VectorsDeps, "db" | "now">,
  { search }: DeployedIndex,
  row: VectorRow,
): Promise<VersionVectors> {
  const vectors = row.items - row.fromItem;
  if (row.next >= row.items) {
    if (!(await search.visible(row.ticket))) return { state: "removing", vectors, done: vectors };
    await deleteVectorRow(db, row);
    return { state: "none", vectors: 0, done: 0 };
  }
  const namespace = vectorNamespace(row.tenant, row.name, row.version);
  const [began, end] = [now(), Math.min(row.next + REMOVED_PER_CALL, row.items)];
  let { next, ticket } = row;
  try {
    while (next < end && now() - began < CALL_MS) {
      const to = Math.min(next + REMOVED_AT_ONCE, end);
      const from = next;
      ticket = await search.remove(
        namespace,
        Array.from({ length: to - from }, (_, at) => vectorId(namespace, from + at)),
      );
      next = to;
    }
  } finally {
    if (next > row.next) await advanceVectors(db, row, { next, ticket, now: now() });
  }
  return { state: "removing", vectors, done: next - row.fromItem };
}

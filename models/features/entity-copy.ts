import * as z from "zod";
import { decodeBase64, encodeBase64 } from "../onnx/base64.ts";
import type { CompiledGroup } from "./catalog.ts";
import { decodeEntity, encodeEntity, type EntityState } from "./entity-state.ts";
import { CorruptBytesError } from "./bytes.ts";

/**
 * A copy of what one entity keeps of one group, for readers that allow age: the state itself, facts and tiles, with its version and
 * watermark. Values are finished where it is read, as of the reader's time.
 */
export interface EntityCopy {
  readonly state: EntityState;
  readonly version: number;
  /** Newest ingestion time that the state contains, epoch milliseconds. */
  readonly ingestedAt: number;
}

const StoredCopy = z.object({
  v: z.literal(1),
  version: z.int().min(1),
  ingestedAt: z.number().min(0),
  state: z.string(),
});

/** Key of a copy. Entity ids have no `:`, groups are named `name@version`. */
export function copyKey(place: { readonly tenant: string; readonly group: string; readonly id: string }): string {
  return `${place.tenant}:feature:${place.group}:${place.id}`;
}

/** The copy as text: bulk reads of the store give text. */
export function encodeCopy({ state, version, ingestedAt }: EntityCopy, group: CompiledGroup): string {
  const groups: EntityState["groups"] = [];
  groups[group.slot] = state.groups[group.slot] ?? null;
  const bytes = encodeEntity({ groups, foreign: [] }, [group]);
  return JSON.stringify({ v: 1, version, ingestedAt, state: encodeBase64(bytes) });
}

/**
 * State with this one group. `layouts` are all of the entity's type.
 * @throws CorruptBytesError where the text is no copy
 */
export function decodeCopy(text: string, layouts: readonly CompiledGroup[]): EntityCopy {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new CorruptBytesError("a copy of entity state is not JSON");
  }
  const stored = StoredCopy.safeParse(json);
  if (!stored.success) throw new CorruptBytesError("a copy of entity state has another shape than this build reads");
  const { version, ingestedAt, state } = stored.data;
  return { state: decodeEntity(decodeBase64(state), layouts), version, ingestedAt };
}

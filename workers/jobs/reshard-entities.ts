import type { TransferCursor, TransferPage } from "../../durable-objects/entity-transfer.ts";
import { objectOf } from "../../models/sharding/virtual-shards.ts";

/** One object of a layout, as far as a transfer needs it. */
export interface TransferObject {
  exportPage(cursor: TransferCursor): Promise<TransferPage>;
  importPage(page: Pick<TransferPage, "entities" | "events">): Promise<void>;
  dropElsewhere(place: { index: number; objects: number }): Promise<number>;
}

export interface ReshardDeps {
  /** The object with an index; indexes of both layouts name the same objects. */
  readonly object: (index: number) => TransferObject;
}

export interface ReshardStep {
  readonly from: number;
  readonly to: number;
  /** Object of the old layout that is copied from. */
  readonly source: number;
  readonly cursor: TransferCursor;
}

export const FIRST_CURSOR: TransferCursor = { entity: 0, event: "" };

/**
 * Copies one page of one old object to where its rows belong among `to` objects. The way from one number of objects to another: copy all
 * pages, deploy with the new number, copy all pages again for what arrived in between, then drop. Copies merge by the identity of
 * facts, so nothing is counted twice and every step can be repeated. Returns the cursor of the next page, null after the last.
 */
export async function copyPage(
  deps: ReshardDeps,
  step: ReshardStep,
): Promise<{ moved: number; cursor: TransferCursor | null }> {
  const page = await deps.object(step.source).exportPage(step.cursor);
  const parts = new Map<
    number,
    { entities: TransferPage["entities"][number][]; events: TransferPage["events"][number][] }
  >();
  const partOf = (key: string) => {
    const index = objectOf(key, step.to);
    const part = parts.get(index) ?? { entities: [], events: [] };
    parts.set(index, part);
    return part;
  };
  for (const entity of page.entities) partOf(entity.name).entities.push(entity);
  for (const event of page.events) partOf(event.identity).events.push(event);
  parts.delete(step.source);
  await Promise.all([...parts].map(([index, part]) => deps.object(index).importPage(part)));
  const moved = [...parts.values()].reduce((sum, part) => sum + part.entities.length + part.events.length, 0);
  return { moved, cursor: page.cursor };
}

/** Copies everything of all old objects. */
export async function copyAll(
  deps: ReshardDeps,
  layout: { readonly from: number; readonly to: number },
): Promise<number> {
  let moved = 0;
  for (let source = 0; source < layout.from; source++) {
    let cursor: TransferCursor | null = FIRST_CURSOR;
    while (cursor !== null) {
      const copied: { moved: number; cursor: TransferCursor | null } = await copyPage(deps, {
        ...layout,
        source,
        cursor,
      });
      moved += copied.moved;
      cursor = copied.cursor;
    }
  }
  return moved;
}

/** Removes from every object what other objects hold now. Only after the second copy. */
export async function dropMoved(
  deps: ReshardDeps,
  layout: { readonly from: number; readonly to: number },
): Promise<number> {
  let dropped = 0;
  for (let index = 0; index < Math.max(layout.from, layout.to); index++)
    dropped += await deps.object(index).dropElsewhere({ index, objects: layout.to });
  return dropped;
}

import type { DropPage, TransferCursor, TransferPage } from "../../durable-objects/entity-transfer.ts";
import type { ReshardPhase } from "../../models/contract/api/feature-shards.ts";
import { objectOf } from "../../models/sharding/virtual-shards.ts";

/** One object of a layout, as far as a transfer needs it. */
export interface TransferObject {
  exportPage(cursor: TransferCursor): Promise<TransferPage>;
  importPage(page: Pick<TransferPage, "entities" | "events">): Promise<void>;
  dropElsewhere(place: { index: number; objects: number }, cursor: TransferCursor): Promise<DropPage>;
}

/** Where a reshard is; stored after each piece of work. */
export interface ReshardPlan {
  readonly from: number;
  readonly to: number;
  readonly phase: ReshardPhase;
  /** Object that is being worked on, and where in it. */
  readonly object: number;
  readonly cursor: TransferCursor;
  readonly moved: number;
  readonly dropped: number;
  /** Epoch milliseconds, as the others. */
  readonly startedAt: number;
  readonly updatedAt: number;
  readonly readyAt: number | null;
}

export interface ReshardDeps {
  /** The object with an index; indexes of both layouts name the same objects. */
  readonly object: (index: number) => TransferObject;
  readonly load: () => Promise<ReshardPlan | null>;
  readonly save: (plan: ReshardPlan) => Promise<void>;
  readonly now: () => number;
  /** Objects of the deployment that does the work. */
  readonly serving: number;
}

export const FIRST_CURSOR: TransferCursor = { entity: 0, event: "" };

/**
 * A consumer of the old deployment may run for 15 minutes, the limit of a queue invocation; until then it writes to the old objects.
 */
export const SETTLE_MS = 20 * 60_000;

/** The reshard cannot go on as asked; the message tells the operator what to do. */
export class ReshardConflict extends Error {
  override readonly name = "ReshardConflict";
}

/**
 * Does at most `pages` pages of work of the way from the serving number of objects to another. Copies merge by the identity of facts, so
 * nothing is counted twice and every piece can be repeated; nothing is dropped before everything that could still be written to the old
 * layout has been copied. Between deployment and the end of the second copy, counts may lack what arrived since the first one ended.
 * @throws ReshardConflict
 */
export async function advanceReshard(
  deps: ReshardDeps,
  work: { readonly to: number; readonly pages: number },
): Promise<ReshardPlan> {
  let plan = planOf(deps, await deps.load(), work.to);
  for (let page = 0; page < work.pages; page++) {
    const next = await step(deps, plan);
    const isWaiting = next === plan;
    plan = next;
    if (isWaiting) break;
    await deps.save(plan);
  }
  return plan;
}

/** The plan to go on with: the stored one, or a new one. */
function planOf(deps: ReshardDeps, known: ReshardPlan | null, to: number): ReshardPlan {
  const now = deps.now();
  const { serving } = deps;
  const isUnderWay = known !== null && known.phase !== "done";
  const isDeployed = isUnderWay && known.phase !== "copying" && known.phase !== "waiting-for-deployment";
  if (isUnderWay && (isDeployed || serving === known.to) && known.to !== to)
    throw new ReshardConflict(
      `A reshard to ${known.to} objects is under way; finish it with objects = ${known.to} first.`,
    );
  if (isDeployed && serving !== known.to)
    throw new ReshardConflict(
      `The reshard from ${known.from} to ${known.to} objects was deployed before, and ${serving} objects serve now. ` +
        `Deploy with ENTITY_SHARD_OBJECTS = ${known.to}, and go on.`,
    );
  // Before the deployment nothing depends on a plan: another may take its place.
  if (isUnderWay && known.to === to && (serving === known.from || serving === known.to)) return known;
  const fresh = { from: serving, to, object: 0, cursor: FIRST_CURSOR, moved: 0, dropped: 0, readyAt: null };
  return { ...fresh, phase: serving === to ? "done" : "copying", startedAt: now, updatedAt: now };
}

/** One page of work, or one change of phase. The same plan: there is nothing to do now. */
async function step(deps: ReshardDeps, plan: ReshardPlan): Promise<ReshardPlan> {
  const now = deps.now();
  const enter = (phase: ReshardPhase, readyAt: number | null = null): ReshardPlan => ({
    ...plan,
    phase,
    object: 0,
    cursor: FIRST_CURSOR,
    updatedAt: now,
    readyAt,
  });
  switch (plan.phase) {
    case "copying":
      return (await copyNext(deps, plan)) ?? enter("waiting-for-deployment");
    case "waiting-for-deployment":
      return deps.serving === plan.to ? enter("copying-again") : plan;
    case "copying-again":
      return (await copyNext(deps, plan)) ?? enter("settling", now + SETTLE_MS);
    case "settling":
      return now >= (plan.readyAt ?? 0) ? enter("copying-last") : plan;
    case "copying-last":
      return (await copyNext(deps, plan)) ?? enter("dropping");
    case "dropping":
      return (await dropNext(deps, plan)) ?? enter("done");
    case "done":
      return plan;
  }
}

/** Copies the next page; null after the last page of the last object of the old layout. */
async function copyNext(deps: ReshardDeps, plan: ReshardPlan): Promise<ReshardPlan | null> {
  if (plan.object >= plan.from) return null;
  const { moved, cursor } = await copyPage(deps, plan);
  return { ...plan, ...nextPlace(plan, cursor), moved: plan.moved + moved, updatedAt: deps.now() };
}

async function dropNext(deps: ReshardDeps, plan: ReshardPlan): Promise<ReshardPlan | null> {
  if (plan.object >= Math.max(plan.from, plan.to)) return null;
  const place = { index: plan.object, objects: plan.to };
  const { dropped, cursor } = await deps.object(plan.object).dropElsewhere(place, plan.cursor);
  return { ...plan, ...nextPlace(plan, cursor), dropped: plan.dropped + dropped, updatedAt: deps.now() };
}

function nextPlace(plan: ReshardPlan, cursor: TransferCursor | null): Pick<ReshardPlan, "object" | "cursor"> {
  return cursor === null ? { object: plan.object + 1, cursor: FIRST_CURSOR } : { object: plan.object, cursor };
}

/** Copies one page of one old object to where its rows belong among `to` objects. */
async function copyPage(
  deps: Pick<ReshardDeps, "object">,
  { to, object, cursor }: Pick<ReshardPlan, "to" | "object" | "cursor">,
): Promise<{ moved: number; cursor: TransferCursor | null }> {
  const page = await deps.object(object).exportPage(cursor);
  const entities = Map.groupBy(page.entities, ({ name }) => objectOf(name, to));
  const events = Map.groupBy(page.events, ({ identity }) => objectOf(identity, to));
  const targets = new Set([...entities.keys(), ...events.keys()]);
  targets.delete(object);
  let moved = 0;
  await Promise.all(
    [...targets].map(async (index) => {
      const part = { entities: entities.get(index) ?? [], events: events.get(index) ?? [] };
      moved += part.entities.length + part.events.length;
      await deps.object(index).importPage(part);
    }),
  );
  return { moved, cursor: page.cursor };
}

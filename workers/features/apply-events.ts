import { type ClaimOutcome, type EventClaim, isRefused } from "../../durable-objects/event-identities.ts";
import { canonicalJson } from "../../models/contract/canonical-json.ts";
import type { StoredEvent } from "../../models/contract/events.ts";
import type { Catalog, EntityFact } from "../../models/features/catalog.ts";
import { entityName } from "../../models/features/fact-batch.ts";
import type { ApplyOutcome } from "../../models/features/feature-store.ts";
import type { FactOutcome } from "../../models/features/group-state.ts";
import { contentHash, eventIdentity } from "../../models/features/hash.ts";
import type { EntityShardPlaces } from "../adapters/entity-shards.ts";
import type { EntityCache } from "./entity-cache.ts";
import { applyToCopies, OutgoingFacts } from "./entity-copies.ts";
import { type Replicas, routedFact } from "./replicas.ts";

/** An event that is older than this and not known is refused: its identity may have been forgotten. See the shard's own limit. */
const MAX_UNKNOWN_AGE_MS = 35 * 86_400_000;

export interface ApplyDeps {
  readonly places: EntityShardPlaces;
  readonly cache: EntityCache;
  readonly catalog: Catalog;
  readonly now: () => number;
  readonly replicas: Replicas;
}

/**
 * Applies events to the shards. First the identities are claimed, where (source, id) hashes to, which finds other content whatever
 * entities it names; then the facts go to the objects of their entities, each of which counts a fact once by its own identity. A
 * crash in between is harmless: the next try finds the claims known and the facts missing. Where one object holds everything, one
 * call does both.
 */
export async function applyEvents(
  deps: ApplyDeps,
  tenant: string,
  events: readonly StoredEvent[],
): Promise<ApplyOutcome[]> {
  const claims = claimsOf(events, deps.now());
  const outgoing = new Map<string, OutgoingFacts>();
  for (const [index, event] of events.entries()) {
    for (const whole of deps.catalog.factsOf(event)) {
      const fact = routedFact(whole, deps.replicas);
      const object = deps.places.nameOf(tenant, entityName(fact.entity));
      const target = outgoing.get(object) ?? new OutgoingFacts();
      outgoing.set(object, target);
      target.add(fact, event.ingestedAt, index);
    }
  }
  const claimsByObject = Map.groupBy(claims.keys(), (index) =>
    deps.places.nameOf(tenant, claims[index]?.identity ?? ""),
  );
  const objects = new Set([...outgoing.keys(), ...claimsByObject.keys()]);
  const completed = new Set<number>();
  const [only] = objects;
  const claimed =
    objects.size === 1 && only !== undefined
      ? await ingest(deps, { tenant, object: only, claims, sent: outgoing.get(only) ?? new OutgoingFacts(), completed })
      : await claimThenApply(deps, { tenant, claims, claimsByObject, outgoing, completed });
  return claimed.map((claim, index): ApplyOutcome => {
    if (claim === "conflict" || claim === "too-old") return claim;
    return claim === "new" || completed.has(index) ? "applied" : "duplicate";
  });
}

/** Applies facts that no event brings, each once by its identity. Returns how many were new. */
export async function applyFacts(
  deps: ApplyDeps,
  tenant: string,
  facts: readonly EntityFact[],
  ingestedAt: number,
): Promise<number> {
  const outgoing = new Map<string, OutgoingFacts>();
  for (const [index, whole] of facts.entries()) {
    const fact = routedFact(whole, deps.replicas);
    const object = deps.places.nameOf(tenant, entityName(fact.entity));
    const target = outgoing.get(object) ?? new OutgoingFacts();
    outgoing.set(object, target);
    target.add(fact, ingestedAt, index);
  }
  const applied = await Promise.all([...outgoing].map(([object, sent]) => applyOutgoing(deps, tenant, object, sent)));
  return applied.flat().filter((outcome) => outcome === "applied").length;
}

/** One call to one object; brings the isolate's copies up to date. */
async function applyOutgoing(
  deps: ApplyDeps,
  tenant: string,
  object: string,
  sent: OutgoingFacts,
): Promise<FactOutcome[]> {
  const batch = sent.take();
  const applied = await deps.places.client(object).apply(batch);
  applyToCopies(deps.cache, deps.catalog, tenant, { entities: batch.entities, sent, now: deps.now(), ...applied });
  return applied.outcomes;
}

function claimsOf(events: readonly StoredEvent[], now: number): EventClaim[] {
  return events.map((event) => ({
    identity: eventIdentity(event.source, event.id),
    content: contentHash(canonicalJson([event.type, event.time, event.data])),
    // An import names the time of recording and proves by the log what it has sent.
    old: event.recordedtime === undefined && Date.parse(event.time) < now - MAX_UNKNOWN_AGE_MS,
  }));
}

async function ingest(
  deps: ApplyDeps,
  work: { tenant: string; object: string; claims: EventClaim[]; sent: OutgoingFacts; completed: Set<number> },
): Promise<ClaimOutcome[]> {
  const { tenant, sent, completed } = work;
  const batch = sent.take();
  const { claims, applied } = await deps.places.client(work.object).ingest(work.claims, batch);
  noteCompleted(sent, applied.outcomes, completed);
  applyToCopies(deps.cache, deps.catalog, tenant, { entities: batch.entities, sent, now: deps.now(), ...applied });
  return claims;
}

async function claimThenApply(
  deps: ApplyDeps,
  work: {
    tenant: string;
    claims: readonly EventClaim[];
    claimsByObject: ReadonlyMap<string, number[]>;
    outgoing: ReadonlyMap<string, OutgoingFacts>;
    completed: Set<number>;
  },
): Promise<ClaimOutcome[]> {
  const { tenant, claims, completed } = work;
  const claimed: ClaimOutcome[] = claims.map(() => "known");
  await Promise.all(
    [...work.claimsByObject].map(async ([object, indexes]) => {
      const answers = await deps.places.client(object).claim(indexes.flatMap((index) => claims[index] ?? []));
      for (const [at, index] of indexes.entries()) claimed[index] = answers[at] ?? "known";
    }),
  );
  await Promise.all(
    [...work.outgoing].map(async ([object, all]) => {
      const sent = new OutgoingFacts();
      for (const [at, fact] of all.facts.entries()) {
        const owner = all.owners[at] ?? 0;
        if (!isRefused(claimed[owner])) sent.add(fact, all.times[at] ?? 0, owner);
      }
      noteCompleted(sent, await applyOutgoing(deps, tenant, object, sent), completed);
    }),
  );
  return claimed;
}

function noteCompleted(sent: OutgoingFacts, outcomes: readonly string[], completed: Set<number>): void {
  for (const [at, outcome] of outcomes.entries()) if (outcome === "applied") completed.add(sent.owners[at] ?? -1);
}

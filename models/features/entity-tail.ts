import { ByteReader, ByteWriter, CorruptBytesError } from "./bytes.ts";
import type { CompiledGroup } from "./catalog.ts";
import { addEntityFact, type EntityState } from "./entity-state.ts";
import { readFact, writeFact } from "./fact-batch.ts";
import type { Fact, GroupLayout } from "./group-state.ts";

/**
 * The tail of an entity: facts that were applied after its state was last encoded as a whole. A fact costs some forty bytes here and
 * some kilobytes as part of the state. Facts are length-prefixed, so that a build carries those of groups it does not know along.
 */
export interface TailFact<G extends GroupLayout = GroupLayout> {
  readonly group: G;
  readonly fact: Fact;
  readonly ingestedAt: number;
}

const scratch = new ByteWriter(256);
const one = new ByteWriter(256);

export function encodeTail(facts: readonly TailFact[]): Uint8Array {
  for (const { group, fact, ingestedAt } of facts) {
    writeFact(one, group, fact, ingestedAt);
    const bytes = one.take();
    scratch.uint32(group.id);
    scratch.varint(bytes.length);
    scratch.raw(bytes);
  }
  return scratch.take();
}

/** The owner of the state kept the identities of coarsened facts when the facts were applied the first time. */
const ALREADY_KEPT = { has: () => false, add: () => {} };

export interface ReplayedTail {
  readonly facts: number;
  /** Newest ingestion time among them. */
  readonly ingestedAt: number;
  /** Facts of groups that this build does not know, encoded as they were. */
  readonly foreign: readonly Uint8Array[];
}

/**
 * Applies a tail to the state that was encoded before it: the same facts in the same order give the same state again.
 * @throws CorruptBytesError where the bytes are no tail
 */
export function replayTail(
  state: EntityState,
  layouts: readonly GroupLayout[],
  bytes: Uint8Array,
  ingestedAt: number,
): ReplayedTail {
  const reader = new ByteReader(bytes);
  const foreign: Uint8Array[] = [];
  let facts = 0;
  let newest = ingestedAt;
  while (!reader.done) {
    const id = reader.uint32();
    const part = reader.raw(reader.varint());
    const layout = layouts.find((candidate) => candidate.id === id);
    facts++;
    if (!layout) {
      scratch.uint32(id);
      scratch.varint(part.length);
      scratch.raw(part);
      foreign.push(scratch.take());
      continue;
    }
    const { fact, ingestedAt: at } = readFact(new ByteReader(part), layout);
    newest = Math.max(newest, at);
    addEntityFact(state, layout, fact, newest, ALREADY_KEPT);
  }
  return { facts, ingestedAt: newest, foreign };
}

/**
 * The facts of a tail.
 * @throws CorruptBytesError where one is of a group that this build does not know: whoever holds it waits for the build that does
 */
export function decodeTail(bytes: Uint8Array, layouts: readonly CompiledGroup[]): TailFact<CompiledGroup>[] {
  const reader = new ByteReader(bytes);
  const facts: TailFact<CompiledGroup>[] = [];
  while (!reader.done) {
    const id = reader.uint32();
    const part = reader.raw(reader.varint());
    const group = layouts.find((candidate) => candidate.id === id);
    if (!group) throw new CorruptBytesError(`feature group ${id} is unknown to this build`);
    facts.push({ group, ...readFact(new ByteReader(part), group) });
  }
  return facts;
}

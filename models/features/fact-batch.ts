import { ByteReader, ByteWriter, CorruptBytesError } from "./bytes.ts";
import type { Catalog, CompiledGroup, EntityFact } from "./catalog.ts";
import type { EntityKey, EntityType } from "./feature-store.ts";
import type { Fact, GroupLayout } from "./group-state.ts";

/** How an entity is named inside an object and a cache: `type:id`. */
export function entityName({ type, id }: EntityKey): string {
  return `${type}:${id}`;
}

export function entityTypeOf(name: string): EntityType {
  return name.slice(0, name.indexOf(":")) as EntityType;
}

/** Facts on their way to one object. */
export interface FactBatch {
  /** Entity names, each once. */
  readonly entities: string[];
  readonly bytes: Uint8Array;
}

export interface BatchedFact {
  /** Index into the batch's entities. */
  readonly entity: number;
  readonly group: CompiledGroup;
  readonly fact: Fact;
  /** Epoch milliseconds at which the fact became visible. */
  readonly ingestedAt: number;
  /** Index of the event that the fact is from, as the sender counts. */
  readonly owner: number;
}

/** Collects facts for one object; the order of addition is the order of application. */
export class FactBatchWriter {
  private readonly indexes = new Map<string, number>();
  private readonly out = new ByteWriter(512);
  count = 0;

  add({ group, entity, fact }: EntityFact, ingestedAt: number, owner: number): void {
    const index = this.touch(entityName(entity));
    const { out } = this;
    out.varint(index);
    out.varint(owner);
    out.uint32(group.id);
    writeFact(out, group, fact, ingestedAt);
    this.count++;
  }

  /** Makes an entity part of the batch, fact or not. Returns its index. */
  touch(name: string): number {
    const known = this.indexes.get(name);
    if (known !== undefined) return known;
    const index = this.indexes.size;
    this.indexes.set(name, index);
    return index;
  }

  take(): FactBatch {
    return { entities: [...this.indexes.keys()], bytes: this.out.take() };
  }
}

/** Throws where a group is unknown: the sender runs another build, and the batch must be tried again later. */
export function readFactBatch(batch: FactBatch, catalog: Catalog): BatchedFact[] {
  const reader = new ByteReader(batch.bytes);
  const facts: BatchedFact[] = [];
  while (!reader.done) {
    const entity = reader.varint();
    const owner = reader.varint();
    const id = reader.uint32();
    const group = catalog.groupById(id);
    if (!group || entity >= batch.entities.length)
      throw new CorruptBytesError(`feature group ${id} is unknown to this build; the batch is to be tried again`);
    facts.push({ entity, group, owner, ...readFact(reader, group) });
  }
  return facts;
}

/** One fact without the names of its group and entity. */
export function writeFact(out: ByteWriter, group: GroupLayout, fact: Fact, ingestedAt: number): void {
  out.number(ingestedAt);
  out.number(fact.time);
  out.uint48(fact.identity);
  out.byte(fact.retraction ? 1 : 0);
  if (fact.retraction) out.number(fact.retractedAt);
  else for (let i = 0; i < group.columnNames.length; i++) out.number(fact.columns[i] ?? Number.NaN);
}

export function readFact(reader: ByteReader, group: GroupLayout): { fact: Fact; ingestedAt: number } {
  const ingestedAt = reader.number();
  const time = reader.number();
  const identity = reader.uint48();
  const retraction = reader.byte() === 1;
  const retractedAt = retraction ? reader.number() : Number.POSITIVE_INFINITY;
  const columns = new Float64Array(retraction ? 0 : group.columnNames.length);
  for (let i = 0; i < columns.length; i++) columns[i] = reader.number();
  return { fact: { time, identity, columns, retraction, retractedAt }, ingestedAt };
}

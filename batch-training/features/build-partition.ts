import { join } from "node:path";
import type { ByteReader, ByteWriter } from "../../models/features/bytes.ts";
import type { Catalog } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import { addEntityFact, emptyEntity, type EntityState } from "../../models/features/entity-state.ts";
import { finishEntity } from "../../models/features/finish-vector.ts";
import type { Fact } from "../../models/features/group-state.ts";
import { FramedWriter, readFramed } from "./framed-file.ts";
import { partitionFile } from "./partition-log.ts";
import {
  type AskRecord,
  compareKeys,
  type FactRecord,
  type PartitionRecord,
  readNumbers,
  readRecord,
  readText,
  type RecordKey,
  type RowRecord,
  writeNumbers,
  writeText,
} from "./partition-records.ts";

export interface PartitionWork {
  readonly folder: string;
  readonly partition: number;
  readonly writers: number;
  readonly catalog: Catalog;
  readonly service: CompiledService;
  readonly maturityMs: number;
}

/** A finished row without its aggregates. */
export interface RowOut extends RecordKey {
  readonly id: string;
  readonly subject: string;
  readonly asOf: number;
  /** Epoch milliseconds; NaN: not labelled within the maturity. */
  readonly labelledAt: number;
  readonly values: Float64Array;
}

/** The aggregates of one entity for the row of the same key. */
export interface AggregatesOut extends RecordKey {
  /** Index among the service's entities. */
  readonly index: number;
  readonly values: Float64Array;
}

export const rowsFile = (folder: string, partition: number): string => join(folder, `rows-${partition}.bin`);
export const aggregatesFile = (folder: string, partition: number): string =>
  join(folder, `aggregates-${partition}.bin`);

/** Indexes of the aggregates of each entity of a service, in the order in which their values are written. */
export function aggregateIndexes(service: CompiledService): number[][] {
  return service.entities.map((_, entity) =>
    service.features.flatMap((feature, index) =>
      feature.kind === "aggregate" && service.windows[feature.window]?.entity === entity ? [index] : [],
    ),
  );
}

/** Second pass: replays one partition in the order of the log. Memory: the records of one partition and the state of its entities. */
export function buildPartition(work: PartitionWork): void {
  const records: PartitionRecord[] = [];
  for (let writer = 0; writer < work.writers; writer++) {
    for (const record of readFramed(partitionFile(work.folder, writer, work.partition), readRecord))
      records.push(record);
  }
  // Stable: what one event gives keeps its order, questions before facts.
  records.sort(compareKeys);
  writeRows(work, records);
  writeAggregates(work, records);
}

function writeRows({ folder, partition, maturityMs }: PartitionWork, records: readonly PartitionRecord[]): void {
  const labelledAt = new Map<string, number>();
  for (const record of records)
    if (record.kind === "label" && !labelledAt.has(record.id)) labelledAt.set(record.id, record.visibleAt);
  const seen = new Set<string>();
  const out = new FramedWriter(rowsFile(folder, partition));
  for (const record of records) {
    if (record.kind !== "row" || seen.has(record.id)) continue;
    seen.add(record.id);
    const at = labelledAt.get(record.id) ?? Number.NaN;
    const isKnown = at <= record.asOf + maturityMs;
    out.add((writer) => writeRowOut(writer, record, isKnown ? at : Number.NaN));
  }
  out.close();
}

function writeRowOut(out: ByteWriter, row: RowRecord, labelledAt: number): void {
  out.number(row.visibleAt);
  out.varint(row.sequence);
  writeText(out, row.id);
  writeText(out, row.subject);
  out.number(row.asOf);
  out.number(labelledAt);
  writeNumbers(out, row.values);
}

export function readRowOut(reader: ByteReader): RowOut {
  return {
    visibleAt: reader.number(),
    sequence: reader.varint(),
    id: readText(reader),
    subject: readText(reader),
    asOf: reader.number(),
    labelledAt: reader.number(),
    values: readNumbers(reader),
  };
}

export function readAggregatesOut(reader: ByteReader): AggregatesOut {
  return { visibleAt: reader.number(), sequence: reader.varint(), index: reader.varint(), values: readNumbers(reader) };
}

function writeAggregates(work: PartitionWork, records: readonly PartitionRecord[]): void {
  const { folder, partition, service } = work;
  const indexes = aggregateIndexes(service);
  const replay = new PartitionReplay(work.catalog);
  const seen = new Set<string>();
  const values = new Float64Array(service.features.length);
  const out = new FramedWriter(aggregatesFile(folder, partition));
  for (const record of records) {
    if (record.kind === "fact") replay.apply(record);
    else if (record.kind === "ask") {
      const key = `${record.entity}\n${record.identity}`;
      if (seen.has(key)) continue;
      seen.add(key);
      replay.answer(service, record, values);
      const own = Float64Array.from(indexes[record.index] ?? [], (index) => values[index] ?? Number.NaN);
      out.add((writer) => {
        writer.number(record.visibleAt);
        writer.varint(record.sequence);
        writer.varint(record.index);
        writeNumbers(writer, own);
      });
    }
  }
  out.close();
}

/** State of a partition's entities: as ReplayState, from records instead of events. */
class PartitionReplay {
  readonly #catalog: Catalog;
  readonly #entities = new Map<string, { readonly state: EntityState; newest: number }>();
  readonly #coarsened = new Set<string>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  apply(record: FactRecord): void {
    const group = this.#catalog.groupById(record.group);
    if (!group) throw new Error(`a partition file names the unknown feature group ${record.group}`);
    let entity = this.#entities.get(record.entity);
    if (!entity) {
      entity = { state: emptyEntity(this.#catalog.layouts(group.definition.entity)), newest: record.visibleAt };
      this.#entities.set(record.entity, entity);
    }
    entity.newest = Math.max(entity.newest, record.visibleAt);
    const { time, identity, columns, retractedAt } = record;
    const fact: Fact = { time, identity, columns, retractedAt, retraction: retractedAt !== Number.POSITIVE_INFINITY };
    const key = (of: number): string => `${record.entity}\n${group.id}\n${of}`;
    addEntityFact(entity.state, group, fact, entity.newest, {
      has: (of) => this.#coarsened.has(key(of)),
      add: (of) => void this.#coarsened.add(key(of)),
    });
  }

  answer(service: CompiledService, ask: AskRecord, values: Float64Array): void {
    const facts = new Map(
      ask.own.flatMap(({ group: id, columns }) => {
        const group = this.#catalog.groupById(id);
        if (!group) return [];
        const fact: Fact = {
          time: ask.asOf,
          identity: ask.identity,
          columns,
          retractedAt: Number.POSITIVE_INFINITY,
          retraction: false,
        };
        return [[group, fact] as const];
      }),
    );
    const state = this.#entities.get(ask.entity)?.state ?? null;
    const request = { payload: {}, asOf: ask.asOf, own: { identity: ask.identity, facts } };
    finishEntity(service, { index: ask.index, state }, request, values);
  }
}

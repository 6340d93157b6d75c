import type { ByteReader, ByteWriter } from "../../models/features/bytes.ts";

/**
 * What the first pass writes and the second reads. Records are ordered by `visibleAt`, then `sequence`: the order of the log.
 * Every record belongs to one partition: facts and asks by the entity, rows and labels by the row.
 */
export interface RecordKey {
  /** Epoch milliseconds at which it became visible. */
  readonly visibleAt: number;
  /** Position in the log, over all its files. */
  readonly sequence: number;
}

/** A fact for an entity. */
export interface FactRecord extends RecordKey {
  readonly kind: "fact";
  readonly entity: string;
  readonly group: number;
  readonly time: number;
  readonly identity: number;
  /** +∞: a fact. Otherwise the retraction of one. */
  readonly retractedAt: number;
  readonly columns: Float64Array;
}

/** A row asks for the aggregates of one of its entities. */
export interface AskRecord extends RecordKey {
  readonly kind: "ask";
  readonly entity: string;
  /** Index among the service's entities. */
  readonly index: number;
  readonly identity: number;
  readonly asOf: number;
  /** The row's own facts, by group id. */
  readonly own: readonly { readonly group: number; readonly columns: Float64Array }[];
}

/** A row itself, with the features that need nothing but the request. */
export interface RowRecord extends RecordKey {
  readonly kind: "row";
  readonly id: string;
  readonly subject: string;
  readonly asOf: number;
  /** Values of the request features, in the order of the compiled service. */
  readonly values: Float64Array;
}

export interface LabelRecord extends RecordKey {
  readonly kind: "label";
  readonly id: string;
}

export type PartitionRecord = FactRecord | AskRecord | RowRecord | LabelRecord;

const KINDS = ["fact", "ask", "row", "label"] as const;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function writeRecord(out: ByteWriter, record: PartitionRecord): void {
  out.byte(KINDS.indexOf(record.kind));
  out.number(record.visibleAt);
  out.varint(record.sequence);
  switch (record.kind) {
    case "fact":
      writeText(out, record.entity);
      out.uint32(record.group);
      out.number(record.time);
      out.uint48(record.identity);
      out.number(record.retractedAt);
      writeNumbers(out, record.columns);
      return;
    case "ask":
      writeText(out, record.entity);
      out.varint(record.index);
      out.uint48(record.identity);
      out.number(record.asOf);
      out.varint(record.own.length);
      for (const { group, columns } of record.own) {
        out.uint32(group);
        writeNumbers(out, columns);
      }
      return;
    case "row":
      writeText(out, record.id);
      writeText(out, record.subject);
      out.number(record.asOf);
      writeNumbers(out, record.values);
      return;
    case "label":
      writeText(out, record.id);
  }
}

export function readRecord(reader: ByteReader): PartitionRecord {
  const kind = KINDS[reader.byte()];
  const key = { visibleAt: reader.number(), sequence: reader.varint() };
  if (kind === undefined) throw new Error("a partition file is damaged: unknown kind of record");
  switch (kind) {
    case "fact":
      return {
        ...key,
        kind,
        entity: readText(reader),
        group: reader.uint32(),
        time: reader.number(),
        identity: reader.uint48(),
        retractedAt: reader.number(),
        columns: readNumbers(reader),
      };
    case "ask":
      return {
        ...key,
        kind,
        entity: readText(reader),
        index: reader.varint(),
        identity: reader.uint48(),
        asOf: reader.number(),
        own: Array.from({ length: reader.length(5) }, () => ({ group: reader.uint32(), columns: readNumbers(reader) })),
      };
    case "row":
      return {
        ...key,
        kind,
        id: readText(reader),
        subject: readText(reader),
        asOf: reader.number(),
        values: readNumbers(reader),
      };
    case "label":
      return { ...key, kind, id: readText(reader) };
  }
}

export function compareKeys(a: RecordKey, b: RecordKey): number {
  return a.visibleAt - b.visibleAt || a.sequence - b.sequence;
}

export function writeText(out: ByteWriter, text: string): void {
  const bytes = encoder.encode(text);
  out.varint(bytes.length);
  out.raw(bytes);
}

export function readText(reader: ByteReader): string {
  return decoder.decode(reader.raw(reader.length(1)));
}

export function writeNumbers(out: ByteWriter, values: Float64Array): void {
  out.varint(values.length);
  for (const value of values) out.number(value);
}

export function readNumbers(reader: ByteReader): Float64Array {
  const values = new Float64Array(reader.length(1));
  for (let i = 0; i < values.length; i++) values[i] = reader.number();
  return values;
}

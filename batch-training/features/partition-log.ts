import { createReadStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createGunzip } from "node:zlib";
import type { StoredEvent } from "../../models/contract/events.ts";
import { type Catalog, factOf } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import type { SourceDefinition } from "../../models/features/definition.ts";
import { entityName } from "../../models/features/fact-batch.ts";
import { finishRequest, requestEntities } from "../../models/features/finish-vector.ts";
import { hash48 } from "../../models/features/hash.ts";
import { hashText } from "../../models/sharding/virtual-shards.ts";
import { FramedWriter } from "./framed-file.ts";
import { type PartitionRecord, writeRecord } from "./partition-records.ts";
import { requestReader, sourceReader } from "./source-reader.ts";

export interface PartitionOptions {
  /** NDJSON files of stored events, gzipped where the name ends with .gz, each with its number among all files. */
  readonly files: readonly { readonly path: string; readonly number: number }[];
  readonly folder: string;
  readonly partitions: number;
  /** Part of the output file names: writers side by side each have their own files. */
  readonly writer: number;
  readonly catalog: Catalog;
  readonly service: CompiledService;
  readonly label: SourceDefinition;
  readonly from: number;
  readonly to: number;
}

/** Lines of one file; its number times this is the sequence of its first. */
const MAX_LINES = 2 ** 28;

export interface PartitionCounts {
  events: number;
  /** Newest ingestion time, epoch milliseconds; -∞ of an empty log. */
  newest: number;
}

export function partitionFile(folder: string, writer: number, partition: number): string {
  return join(folder, `records-${partition}-${writer}.bin`);
}

/** First pass: takes every event apart and writes its facts, rows and labels to the partitions they belong to. */
export async function partitionLog(options: PartitionOptions): Promise<PartitionCounts> {
  const { partitions, folder, writer } = options;
  const writers = Array.from({ length: partitions }, (_, at) => new FramedWriter(partitionFile(folder, writer, at)));
  const counts: PartitionCounts = { events: 0, newest: Number.NEGATIVE_INFINITY };
  const emit = (key: string, record: PartitionRecord): void => {
    writers[hashText(key) % partitions]?.add((out) => writeRecord(out, record));
  };
  const takeApart = dissector(options, emit);
  for (const { path, number } of options.files) {
    let line = 0;
    for await (const event of eventsOf(path)) {
      takeApart(event, number * MAX_LINES + line++);
      counts.events++;
      counts.newest = Math.max(counts.newest, event.ingestedAt);
    }
  }
  for (const one of writers) one.close();
  return counts;
}

async function* eventsOf(path: string): AsyncGenerator<StoredEvent> {
  const stream = createReadStream(path);
  const input = path.endsWith(".gz") ? stream.pipe(createGunzip()) : stream;
  let line = 0;
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    if (text === "") continue;
    try {
      yield JSON.parse(text) as StoredEvent;
    } catch (error) {
      throw new Error(`${path}, line ${line} is not JSON`, { cause: error });
    }
  }
}

function dissector(
  { catalog, service, label, from, to }: PartitionOptions,
  emit: (key: string, record: PartitionRecord) => void,
): (event: StoredEvent, sequence: number) => void {
  const request = requestReader(service);
  const labels = sourceReader(label);
  const requestIndexes = service.features.flatMap((feature, index) => (feature.kind === "request" ? [index] : []));
  const values = new Float64Array(service.features.length);
  return (event, sequence) => {
    const key = { visibleAt: event.ingestedAt, sequence };
    const asked = request(event);
    if (asked !== null && asked.time >= from && asked.time < to) {
      const context = { payload: asked.payload, asOf: asked.time };
      finishRequest(service, context, values);
      const own = Float64Array.from(requestIndexes, (index) => values[index] ?? Number.NaN);
      const { identity: id, subject, time: asOf } = asked;
      emit(id, { ...key, kind: "row", id, subject, asOf, values: own });
      const scope = { root: asked.payload, time: asOf, asOf, feature: null };
      for (const [index, entityId] of requestEntities(service, context).entries()) {
        const type = service.entities[index]?.type;
        if (entityId === null || type === undefined) continue;
        const groups = catalog
          .layouts(type)
          .filter((group) => service.windows.some((w) => w.group === group && w.isOfRequest));
        const facts = groups.map((group) => ({
          group: group.id,
          columns: Float64Array.from(factOf(group, scope, asOf, 0).columns),
        }));
        const entity = entityName({ type, id: entityId });
        emit(entity, { ...key, kind: "ask", entity, index, identity: hash48(id), asOf, own: facts });
      }
    }
    const labelled = labels(event);
    if (labelled !== null) emit(labelled.identity, { ...key, kind: "label", id: labelled.identity });
    for (const { group, entity, fact } of catalog.factsOf(event)) {
      const name = entityName(entity);
      const { time, identity, columns, retractedAt } = fact;
      emit(name, {
        ...key,
        kind: "fact",
        entity: name,
        group: group.id,
        time,
        identity,
        retractedAt: fact.retraction ? retractedAt : Number.POSITIVE_INFINITY,
        columns: Float64Array.from(columns),
      });
    }
  };
}

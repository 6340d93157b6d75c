import type { StoredEvent } from "../../models/contract/events.ts";
import { factOf } from "../../models/features/catalog.ts";
import type { SourceDefinition } from "../../models/features/definition.ts";
import { parseTime } from "../../models/features/parse-time.ts";
import { finishRequest, requestEntities } from "../../models/features/finish-vector.ts";
import { hash48, hash53 } from "../../models/features/hash.ts";
import { ASK_HEAD, type BuildPlan, FACT_HEAD, LABEL_LENGTH, ROW_HEAD } from "./build-plan.ts";
import { EventScanner } from "./event-scanner.ts";
import { addPath, emptyTree, EVENT_MEMBERS, neededPaths } from "./needed-paths.ts";
import { lineNumber, type LogPart, readLines } from "./log-lines.ts";
import { appendTexts, MAX_RECORD_DOUBLES } from "./record-texts.ts";
import { type RowSample, RowSampler } from "./row-sample.ts";
import { requestReader, type SourceFact, sourceReader } from "./source-reader.ts";
import { type Spill, SpillWriter } from "./spill-file.ts";

export interface PartitionOptions {
  readonly plan: BuildPlan;
  readonly label: SourceDefinition;
  /** The file to write. */
  readonly path: string;
  readonly partitions: number;
  /** As-of times of rows: from here (inclusive) to there (exclusive). */
  readonly from: number;
  readonly to: number;
  /** Ids of the rows that are wanted; null: all. */
  readonly wanted: ReadonlySet<string> | null;
}

export interface PartitionedLog {
  readonly spill: Spill;
  readonly events: number;
  /** Newest ingestion time, epoch milliseconds; -∞ of an empty log. */
  readonly newest: number;
  readonly sample: RowSample;
}

/** Bytes of one file, uncompressed; its number times this plus a line's offset is the line's place in the log. */
const MAX_FILE_BYTES = 2 ** 35;

const CARRIAGE_RETURN = 0x0d;

/** First pass: takes events apart and writes facts and questions to the partition of their entity, rows and labels to that of the row. */
export class LogPartitioner {
  readonly #options: PartitionOptions;
  readonly #out: SpillWriter;
  readonly #scanner: EventScanner;
  readonly #request: ReturnType<typeof requestReader>;
  readonly #label: ReturnType<typeof sourceReader>;
  readonly #streamOf: ReadonlyMap<number, number>;
  readonly #sampler = new RowSampler();
  readonly #record = new Float64Array(MAX_RECORD_DOUBLES);
  readonly #values: Float64Array;
  #events = 0;
  #newest = Number.NEGATIVE_INFINITY;

  constructor(options: PartitionOptions) {
    const { plan, label, path, partitions } = options;
    this.#options = options;
    this.#out = new SpillWriter(path, { partitions, streams: plan.streams });
    const events = emptyTree("");
    for (const member of EVENT_MEMBERS) addPath(events, member);
    this.#scanner = new EventScanner(neededPaths(plan, label), events);
    this.#request = requestReader(plan.service);
    this.#label = sourceReader(label);
    this.#streamOf = new Map(plan.groups.map((group, stream) => [group.id, stream]));
    this.#values = new Float64Array(plan.service.features.length);
  }

  /** Throws with the file and the line where one is no stored event. */
  async read(part: LogPart, number: number): Promise<void> {
    let at = 0;
    try {
      await readLines(part, (bytes, start, end, offset) => {
        at = offset;
        if (end - start <= 1 && (end === start || bytes[start] === CARRIAGE_RETURN)) return;
        if (offset >= MAX_FILE_BYTES) throw new BadLineError(`lies beyond ${MAX_FILE_BYTES} bytes; divide the file`);
        this.#take(this.#parse(bytes, start, end), number * MAX_FILE_BYTES + offset);
      });
    } catch (error) {
      if (!(error instanceof BadLineError)) throw error;
      throw new Error(`${part.path}, line ${await lineNumber(part.path, at)} ${error.message}`, { cause: error });
    }
  }

  close(): PartitionedLog {
    return { spill: this.#out.close(), events: this.#events, newest: this.#newest, sample: this.#sampler.result() };
  }

  #take(event: StoredEvent, sequence: number): void {
    this.#events++;
    if (event.ingestedAt > this.#newest) this.#newest = event.ingestedAt;
    const { from, to, wanted, plan, partitions } = this.#options;
    const record = this.#record;
    record[2] = event.ingestedAt;
    record[3] = sequence;
    const asked = this.#request(event);
    if (asked !== null && asked.time >= from && asked.time < to && (wanted === null || wanted.has(asked.identity)))
      this.#ask(asked);
    const labelled = this.#label(event);
    if (labelled !== null)
      this.#out.add(this.#name(labelled.identity) % partitions, plan.labelStream, record, LABEL_LENGTH);
    for (const { group, entity, fact } of plan.catalog.factsOf(event)) {
      const stream = this.#streamOf.get(group.id);
      if (stream === undefined) continue;
      const partition = this.#name(entity.id) % partitions;
      record[4] = fact.time;
      record[5] = fact.identity;
      record[6] = fact.retraction ? fact.retractedAt : Number.POSITIVE_INFINITY;
      for (let column = 0; column < group.columns.length; column++)
        record[FACT_HEAD + column] = fact.columns[column] ?? Number.NaN;
      this.#out.add(partition, stream, record, FACT_HEAD + group.columns.length);
    }
  }

  /** A row, and its questions to each of its entities. */
  #ask({ identity, subject, time: asOf, payload }: SourceFact & { readonly subject: string }): void {
    const { plan, partitions } = this.#options;
    const record = this.#record;
    this.#sampler.add(record[2] as number, record[3] as number);
    finishRequest(plan.service, { payload, asOf }, this.#values);
    const partition = this.#name(identity) % partitions;
    record[4] = asOf;
    let length = ROW_HEAD;
    for (const index of plan.requestFeatures) record[length++] = this.#values[index] as number;
    this.#out.add(partition, plan.rowStream, record, appendTexts(record, length, [identity, subject]));
    const ids = requestEntities(plan.service, { payload, asOf });
    const scope = { root: payload, time: asOf, asOf, feature: null };
    const hashed = hash48(identity);
    for (const entity of plan.entities) {
      const id = ids[entity.index];
      if (id === null || id === undefined) continue;
      const to = this.#name(id) % partitions;
      record[4] = hashed;
      record[5] = asOf;
      let end = ASK_HEAD;
      for (const group of entity.ownGroups) {
        const { columns } = factOf(group, scope, asOf, 0);
        for (let column = 0; column < columns.length; column++) record[end++] = columns[column] ?? Number.NaN;
      }
      this.#out.add(to, plan.askStream + entity.index, record, end);
    }
  }

  #parse(bytes: Buffer, start: number, end: number): StoredEvent {
    let line: unknown;
    try {
      line = this.#scanner.parse(bytes, start, end);
    } catch (error) {
      throw new BadLineError("is not JSON", { cause: error });
    }
    return storedEvent(line);
  }

  /** Writes the two hashes of a name; returns the first. */
  #name(id: string): number {
    const hashed = hash48(id);
    this.#record[0] = hashed;
    this.#record[1] = hash53(id);
    return hashed;
  }
}

/** What is wrong with a line, to be said behind its file and number. */
class BadLineError extends Error {}

/** Says what a line lacks that a stored event has; what the definitions do not find inside its data is missing, not wrong. */
function storedEvent(line: unknown): StoredEvent {
  const event = line as Partial<StoredEvent> | null;
  if (typeof event !== "object" || event === null) throw new BadLineError("is no stored event but a single value");
  const { type, source, id, time, ingestedAt } = event;
  if (typeof type !== "string" || typeof source !== "string" || typeof id !== "string")
    throw new BadLineError("is no stored event: it needs type, source and id");
  if (typeof time !== "string" || Number.isNaN(parseTime(time)))
    throw new BadLineError(`is no stored event: its time is ${JSON.stringify(time)}`);
  if (typeof ingestedAt !== "number" || !Number.isFinite(ingestedAt))
    throw new BadLineError(
      `is no stored event: its ingestedAt is ${JSON.stringify(ingestedAt)}, not epoch milliseconds`,
    );
  return event as StoredEvent;
}

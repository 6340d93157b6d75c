import {
  type BuildPlan,
  askLength,
  factLength,
  isEarlier,
  LABEL_LENGTH,
  type PlannedEntity,
  ROW_HEAD,
} from "./build-plan.ts";
import { EntityReplay } from "./entity-replay.ts";
import { type GroupedRecords, groupRecords } from "./grouped-records.ts";
import { PairTable } from "./pair-table.ts";
import { endOfTexts, MAX_RECORD_DOUBLES } from "./record-texts.ts";
import { rangeOf } from "./row-sample.ts";
import { readSpills, type Spill, type SpillWriter } from "./spill-file.ts";

export interface PartitionWork {
  readonly plan: BuildPlan;
  /** What the first pass wrote. */
  readonly spills: readonly Spill[];
  readonly partition: number;
  /** Where answers and finished rows go: streams by `answerStreams`, partitions by `splits`. */
  readonly out: SpillWriter;
  readonly splits: Float64Array;
  readonly maturityMs: number;
  /** Epoch milliseconds from which on nothing was known. */
  readonly knownAt: number;
}

export interface PartitionCounts {
  readonly rows: number;
  readonly positives: number;
  readonly immature: number;
}

/** Streams of the second pass: the answers of each entity (visibleAt, sequence, aggregates), then rows. */
export const answerStreams = (plan: BuildPlan): number => plan.entities.length + 1;
/** visibleAt, sequence, asOf, labelledAt; then the request features and the texts. */
export const ROW_OUT_HEAD = 4;

/** Second pass: replays one partition's entities and joins its rows to their labels. Memory: the records of the partition. */
export function buildPartition(work: PartitionWork): PartitionCounts {
  for (const entity of work.plan.entities) answerEntities(work, entity);
  return writeRows(work);
}

function answerEntities(work: PartitionWork, entity: PlannedEntity): void {
  const { plan, spills, partition } = work;
  const asks = readSpills(spills, partition, plan.askStream + entity.index);
  if (asks.length === 0) return;
  const stride = askLength(entity);
  // Entities that no row asks for are not replayed.
  const owners = new PairTable();
  for (let at = 0; at < asks.length; at += stride) owners.add(asks[at] as number, asks[at + 1] as number);
  const grouped = groupRecords(asks, stride, owners);
  const facts = entity.groups.map(({ group, stream }) => ({
    group: stream,
    records: groupRecords(readSpills(spills, partition, stream), factLength(group), owners),
  }));
  const replay = new EntityReplay(plan, entity);
  for (let owner = 0; owner < owners.size; owner++) answerEntity(work, { entity, replay, asks: grouped, facts, owner });
}

interface OneEntity {
  readonly entity: PlannedEntity;
  readonly replay: EntityReplay;
  readonly asks: GroupedRecords;
  readonly facts: readonly { readonly group: number; readonly records: GroupedRecords }[];
  readonly owner: number;
}

const answer = new Float64Array(MAX_RECORD_DOUBLES);

function answerEntity(work: PartitionWork, { entity, replay, asks, facts, owner }: OneEntity): void {
  const { out, splits, maturityMs, knownAt } = work;
  const { data, order, starts } = asks;
  const next = facts.map(({ records }) => records.starts[owner] as number);
  const first = starts[owner] as number;
  const asked = (starts[owner + 1] as number) - first > FEW_ASKS ? new Set<number>() : null;
  replay.begin();
  for (let place = first; place < (starts[owner + 1] as number); place++) {
    const at = order[place] as number;
    const visibleAt = data[at + 2] as number;
    const sequence = data[at + 3] as number;
    const identity = data[at + 4] as number;
    // The first question of a row counts.
    if (asked?.has(identity) ?? isAsked(asks, first, place)) continue;
    asked?.add(identity);
    if ((data[at + 5] as number) + maturityMs > knownAt) continue;
    // Facts of one event come after its question. Groups do not see each other, so each is brought up to it by itself.
    for (const [index, { group, records }] of facts.entries())
      next[index] = applyBefore(replay, { group, records, from: next[index] as number, owner }, visibleAt, sequence);
    answer[0] = visibleAt;
    answer[1] = sequence;
    const end = replay.answer(data, at, answer, 2);
    out.add(rangeOf(splits, visibleAt, sequence), entity.index, answer, end);
  }
}

/** Up to this many questions of an entity are compared with each other instead of being kept in a set. */
const FEW_ASKS = 64;

function isAsked({ data, order }: GroupedRecords, first: number, place: number): boolean {
  const identity = data[(order[place] as number) + 4];
  for (let earlier = first; earlier < place; earlier++)
    if (data[(order[earlier] as number) + 4] === identity) return true;
  return false;
}

interface FactsOfOwner {
  readonly group: number;
  readonly records: GroupedRecords;
  readonly from: number;
  readonly owner: number;
}

/** Applies an entity's facts that lie before a place in the log; returns the position behind them. */
function applyBefore(
  replay: EntityReplay,
  { group, records, from, owner }: FactsOfOwner,
  visibleAt: number,
  sequence: number,
): number {
  const { data, order, starts } = records;
  const end = starts[owner + 1] as number;
  let place = from;
  for (; place < end; place++) {
    const at = order[place] as number;
    if (!isEarlier(data[at + 2] as number, data[at + 3] as number, visibleAt, sequence)) break;
    replay.apply(group, data, at);
  }
  return place;
}

/** Joins rows to their labels: the first record of a row counts, and the first of its labels. */
function writeRows({ plan, spills, partition, out, splits, maturityMs, knownAt }: PartitionWork): PartitionCounts {
  const rows = readSpills(spills, partition, plan.rowStream);
  const { owners, first } = firstRows(rows, ROW_HEAD + plan.requestFeatures.length);
  const labels = readSpills(spills, partition, plan.labelStream);
  const labelledAt = new Float64Array(owners.size).fill(Number.POSITIVE_INFINITY);
  for (let at = 0; at < labels.length; at += LABEL_LENGTH) {
    const row = owners.get(labels[at] as number, labels[at + 1] as number);
    if (row >= 0) labelledAt[row] = Math.min(labelledAt[row] as number, labels[at + 2] as number);
  }
  const counts = { rows: 0, positives: 0, immature: 0 };
  for (let row = 0; row < owners.size; row++) {
    const at = first[row] as number;
    const asOf = rows[at + 4] as number;
    if (asOf + maturityMs > knownAt) {
      counts.immature++;
      continue;
    }
    const isPositive = (labelledAt[row] as number) <= asOf + maturityMs;
    counts.rows++;
    if (isPositive) counts.positives++;
    const visibleAt = rows[at + 2] as number;
    const sequence = rows[at + 3] as number;
    answer.set([visibleAt, sequence, asOf, isPositive ? (labelledAt[row] as number) : Number.NaN]);
    const texts = at + ROW_HEAD + plan.requestFeatures.length;
    const rest = rows.subarray(at + ROW_HEAD, endOfTexts(rows, texts, ROW_TEXTS));
    answer.set(rest, ROW_OUT_HEAD);
    out.add(rangeOf(splits, visibleAt, sequence), plan.entities.length, answer, ROW_OUT_HEAD + rest.length);
  }
  return counts;
}

/** Id and subject. */
export const ROW_TEXTS = 2;

/** Positions of the first record of every row, by the number that the table gives it. */
function firstRows(rows: Float64Array, textsAt: number): { owners: PairTable; first: number[] } {
  const owners = new PairTable();
  const first: number[] = [];
  for (let at = 0; at < rows.length; at = endOfTexts(rows, at + textsAt, ROW_TEXTS)) {
    const row = owners.add(rows[at] as number, rows[at + 1] as number);
    const known = first[row];
    if (
      known === undefined ||
      isEarlier(rows[at + 2] as number, rows[at + 3] as number, rows[known + 2] as number, rows[known + 3] as number)
    )
      first[row] = at;
  }
  return { owners, first };
}

import { finishDerived } from "../../models/features/finish-vector.ts";
import { ROW_OUT_HEAD, ROW_TEXTS } from "./build-partition.ts";
import { type BuildPlan, isEarlier } from "./build-plan.ts";
import { PairTable } from "./pair-table.ts";
import { endOfTexts, readTexts } from "./record-texts.ts";
import { readSpills, type Spill } from "./spill-file.ts";

/** Rows of one range in the order of the log, column by column. */
export interface RowRange {
  readonly rows: number;
  readonly ids: readonly string[];
  readonly subjects: readonly string[];
  readonly asOf: Float64Array;
  /** 1: labelled within the maturity. */
  readonly labels: Float32Array;
  /** Epoch milliseconds; NaN where a row has no label. */
  readonly labelledAt: Float64Array;
  /** In the order of the service's vector; NaN = missing. */
  readonly features: readonly Float32Array[];
}

/** Third pass: puts the answers of a row's entities together and derives the rest. Memory: the rows of the range. */
export function assembleRange(plan: BuildPlan, spills: readonly Spill[], range: number): RowRange {
  const data = readSpills(spills, range, plan.entities.length);
  const places = placesOf(plan, data);
  const at = (offset: number): Float64Array => Float64Array.from(places, (place) => data[place + offset] as number);
  const asOf = at(2);
  const labelledAt = at(3);
  const columns = valuesOf(plan, { spills, range, data, places });
  finishDerived(plan.service, asOf, columns);
  const textsAt = ROW_OUT_HEAD + plan.requestFeatures.length;
  const texts = Array.from(places, (place) => readTexts(data, place + textsAt, ROW_TEXTS));
  return {
    rows: places.length,
    ids: texts.map(([id = ""]) => id),
    subjects: texts.map(([, subject = ""]) => subject),
    asOf,
    labels: Float32Array.from(labelledAt, (time) => (Number.isNaN(time) ? 0 : 1)),
    labelledAt,
    features: Array.from(plan.service.vector, (index) => new Float32Array(columns[index] ?? [])),
  };
}

/** Positions of the rows' records, in the order of the log. */
function placesOf(plan: BuildPlan, data: Float64Array): Int32Array {
  const places: number[] = [];
  const textsAt = ROW_OUT_HEAD + plan.requestFeatures.length;
  for (let at = 0; at < data.length; at = endOfTexts(data, at + textsAt, ROW_TEXTS)) places.push(at);
  return Int32Array.from(places).sort((a, b) =>
    isEarlier(data[a] as number, data[a + 1] as number, data[b] as number, data[b + 1] as number) ? -1 : 1,
  );
}

interface RangeRows {
  readonly spills: readonly Spill[];
  readonly range: number;
  readonly data: Float64Array;
  readonly places: Int32Array;
}

/** Request features and aggregates, a column per compiled feature; what no entity answered has its fallback. */
function valuesOf(plan: BuildPlan, { spills, range, data, places }: RangeRows): Float64Array[] {
  const rows = places.length;
  const columns = plan.service.features.map(({ fallback }) => new Float64Array(rows).fill(fallback));
  for (const [index, feature] of plan.requestFeatures.entries()) {
    const column = columns[feature] as Float64Array;
    for (let row = 0; row < rows; row++) column[row] = data[(places[row] as number) + ROW_OUT_HEAD + index] as number;
  }
  const rowOf = new PairTable(rows);
  for (const place of places) rowOf.add(data[place] as number, data[place + 1] as number);
  for (const { index, aggregates } of plan.entities) {
    const answers = readSpills(spills, range, index);
    const stride = aggregates.length + 2;
    const count = answers.length / stride;
    // An event that repeats a row with other entities asks for no row: its answer has no place.
    const rowsOf = Int32Array.from({ length: count }, (_, i) =>
      rowOf.get(answers[i * stride] as number, answers[i * stride + 1] as number),
    );
    for (const [offset, feature] of aggregates.entries()) {
      const column = columns[feature] as Float64Array;
      for (let i = 0; i < count; i++) {
        const row = rowsOf[i] as number;
        if (row >= 0) column[row] = answers[i * stride + 2 + offset] as number;
      }
    }
  }
  return columns;
}

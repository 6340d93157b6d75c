/** The fraud model's rows: from log objects to point-in-time features and labels, cut in time. */
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { fraudChargebacks } from "../../../models/catalog/fraud-orders/sources.ts";
import { checkService, qualityText } from "../../../models/features/quality.ts";
import { findLeaks } from "../../evaluate/find-leaks.ts";
import { buildTrainingRows } from "../../features/build-training-rows.ts";
import type { LabelledRows, TrainingSet } from "../../train/training-set.ts";
import { type LogObject, snapshotOf } from "../log-objects.ts";
import type { SplitPlan, StageContext } from "../model-definition.ts";
import { PipelineError, StageRefusal } from "../pipeline-error.ts";
import { sliceRows, splitByTime, type TimeSplit, type TrainingRows } from "../training-rows.ts";

/** A slice with fewer frauds than this can neither stop training nor calibrate. */
const MIN_POSITIVES = 20;
/** Events may be this much ahead of the clock that took them in, as ingestion allows. */
const MAX_AHEAD_MS = 5 * 60_000;

export interface FraudData {
  readonly objects: readonly LogObject[];
}

export interface FraudRows extends TrainingRows {
  readonly immature: number;
  readonly events: number;
}

export interface FraudSplit extends SplitPlan {
  /** Rows before `first` grow trees, those before `second` stop and calibrate, the rest judges. */
  readonly first: number;
  readonly second: number;
}

/** @throws StageRefusal for a log that no model can come from */
export function validateLog(data: FraudData): readonly string[] {
  const snapshot = snapshotOf(data.objects);
  const counts = new Map<string, number>();
  let ahead = 0;
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const { type, time, ingestedAt, id } of snapshot.events()) {
    const at = Date.parse(time);
    if (typeof type !== "string" || !Number.isFinite(at) || !Number.isFinite(ingestedAt)) {
      throw new PipelineError(
        "invalid_input",
        `event ${id} has no type, time or ingestion time: is this an event log?`,
      );
    }
    counts.set(type, (counts.get(type) ?? 0) + 1);
    first = Math.min(first, at);
    last = Math.max(last, at);
    if (at > ingestedAt + MAX_AHEAD_MS) ahead++;
  }
  const orders = counts.get("order.placed.v1") ?? 0;
  if (orders === 0)
    throw new StageRefusal([`the log holds ${snapshot.size} events and no order among them: ingest orders first`]);
  const chargebacks = counts.get("payment.chargeback.v1") ?? 0;
  if (chargebacks === 0) {
    throw new StageRefusal([
      `the log holds ${orders} orders and no chargeback: every label would be the same. Ingest chargebacks first`,
    ]);
  }
  if (ahead > 0) {
    throw new StageRefusal([
      `${ahead} events are of later than their ingestion: times are wrong, and features would see the future`,
    ]);
  }
  const day = (at: number): string => new Date(at).toISOString().slice(0, 10);
  const types = [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([type, count]) => `${count} ${type}`);
  return [`${snapshot.size} events from ${day(first)} to ${day(last)}: ${types.join(", ")}`];
}

/** @throws StageRefusal when the checks that the features declare do not hold, or a column tells the label by itself */
export async function buildRows(data: FraudData, maturityMs: number, context: StageContext): Promise<FraudRows> {
  const snapshot = snapshotOf(data.objects);
  const { featureNames, columns, labels, asOf, subjects, immature, events } = await buildTrainingRows({
    events: snapshot.events(),
    catalog: FEATURE_CATALOG,
    service: FRAUD_FEATURES,
    label: fraudChargebacks,
    maturityMs,
    onProgress: (done) => {
      context.signal?.throwIfAborted();
      context.progress(done, snapshot.size, `${done} of ${snapshot.size} events replayed`);
    },
  });
  if (labels.length === 0) {
    const days = Math.round(maturityMs / 86_400_000);
    throw new StageRefusal([
      `none of ${immature} orders is older than ${days} days, when its label counts as known: wait, or ingest more history`,
    ]);
  }
  const quality = checkService(FRAUD_FEATURES.definition, columns);
  if (quality.findings.length > 0) throw new StageRefusal([qualityText(quality)]);
  const rows = { featureNames, columns, labels, asOf, subjects: numbered(subjects), immature, events };
  refuseLeaks(rows);
  return rows;
}

/**
 * Who is the same person and nothing else: numbers by first appearance. Stored rows hold no pseudonyms, and rows of two systems that keep
 * the same history under different pseudonym keys are the same rows.
 */
function numbered(subjects: readonly string[]): string[] {
  const numbers = new Map<string, string>();
  return subjects.map((subject) => {
    const known = numbers.get(subject) ?? String(numbers.size);
    numbers.set(subject, known);
    return known;
  });
}

function refuseLeaks(rows: TrainingRows): void {
  const leaks = findLeaks(setOf({ train: rows, validation: rows }));
  if (leaks.length === 0) return;
  const names = leaks.map(({ feature, rocAuc }) => `${feature} (ROC AUC ${rocAuc.toFixed(5)})`);
  throw new StageRefusal([
    `the label can be read off ${names.join(", ")}: such a feature is the label, or written down after it`,
  ]);
}

/** @throws StageRefusal when a slice has too few known frauds */
export function splitRows(rows: FraudRows): FraudSplit {
  const split = splitByTime(rows);
  for (const [name, slice] of Object.entries(split) as [string, TrainingRows][]) {
    const positives = sum(slice.labels);
    if (slice.labels.length - positives < MIN_POSITIVES) {
      const few = `${slice.labels.length - positives} of ${slice.labels.length} orders of the ${name} slice are honest`;
      throw new StageRefusal([`${few}; ${MIN_POSITIVES} are needed. Are chargebacks of honest orders in the log?`]);
    }
    if (positives >= MIN_POSITIVES) continue;
    throw new StageRefusal([
      `the ${name} slice has ${positives} known frauds among ${slice.labels.length} orders; ${MIN_POSITIVES} are needed. Ingest more history, or wait until labels arrive.`,
    ]);
  }
  const first = split.train.labels.length;
  const second = first + split.validation.labels.length;
  const constant = rows.featureNames.filter((_, f) => isConstant(rows.columns[f], first));
  return {
    first,
    second,
    trainRows: second,
    testRows: split.test.labels.length,
    trainedFrom: rows.asOf[0] ?? 0,
    trainedTo: rows.asOf[second - 1] ?? 0,
    notes: [
      `${first} orders to learn from (${sum(split.train.labels)} frauds), ${second - first} later ones to stop and calibrate (${sum(split.validation.labels)}), ${split.test.labels.length} latest ones to judge (${sum(split.test.labels)}); ${rows.immature} without a mature label`,
      ...(constant.length > 0 ? [`the same value in every row, so never split on: ${constant.join(", ")}`] : []),
    ],
  };
}

export function slicesOf(rows: TrainingRows, { first, second }: FraudSplit): TimeSplit {
  return {
    train: sliceRows(rows, 0, first),
    validation: sliceRows(rows, first, second),
    test: sliceRows(rows, second, rows.labels.length),
  };
}

/** As trainers take it; numeric columns only, so that the compact engine explains every score. */
export function setOf({ train, validation }: Pick<TimeSplit, "train" | "validation">): TrainingSet {
  const labelled = ({ columns, labels }: TrainingRows): LabelledRows => ({
    columns,
    labels,
    weights: null,
    groups: null,
  });
  return {
    features: train.featureNames.map((name) => ({ name, kind: "numeric" })),
    train: labelled(train),
    validation: labelled(validation),
  };
}

function isConstant(column: Float32Array | undefined, rows: number): boolean {
  const first = column?.[0] ?? Number.NaN;
  for (let row = 1; row < rows; row++) if (!Object.is(column?.[row], first)) return false;
  return true;
}

const sum = (values: ArrayLike<number>): number => {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] ?? 0;
  return total;
};

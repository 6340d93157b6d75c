import type { TrainingRows } from "../features/build-training-rows.ts";
import { gatherRows } from "../train/gather-rows.ts";
import type { LabelledRows } from "../train/training-set.ts";

/**
 * The protocol of the Fraud Detection Handbook (Le Borgne et al. 2022, ch. 5.2 and `get_train_test_set` of its shared
 * functions): train on some days, leave the label delay out, test on the days after. From each test day every customer
 * already known to be defrauded is dropped: those with fraud in the training days, and those with fraud up to the label
 * delay before that day.
 */
export interface WindowPlan {
  /** Epoch milliseconds, 0:00 UTC of the first training day. */
  readonly trainStart: number;
  readonly trainDays: number;
  readonly delayDays: number;
  readonly testDays: number;
}

export interface FraudWindow {
  readonly plan: WindowPlan;
  readonly train: LabelledRows;
  readonly test: LabelledRows;
  /** Customer number and day number of each test row, for card precision. */
  readonly testCustomers: Uint32Array;
  readonly testDays: Uint32Array;
  /** Test rows before known customers were dropped. */
  readonly testRowsBefore: number;
}

export const DAY_MS = 86_400_000;

export function lastDayOf(plan: WindowPlan): number {
  return plan.trainStart + (plan.trainDays + plan.delayDays + plan.testDays) * DAY_MS;
}

/** The plan whose training begins so many days later (or earlier). */
export function shiftPlan(plan: WindowPlan, days: number): WindowPlan {
  return { ...plan, trainStart: plan.trainStart + days * DAY_MS };
}

/** @param customers number of each row's customer */
export function fraudWindow(rows: TrainingRows, customers: Uint32Array, plan: WindowPlan): FraudWindow {
  const dayOf = (row: number): number => Math.floor(((rows.asOf[row] ?? 0) - plan.trainStart) / DAY_MS);
  const train: number[] = [];
  const fraudsByDay = new Map<number, Set<number>>();
  const candidates: number[] = [];
  const testBegin = plan.trainDays + plan.delayDays;
  const known = new Set<number>();
  for (let row = 0; row < rows.rows; row++) {
    const day = dayOf(row);
    if (day < 0 || day >= testBegin + plan.testDays) continue;
    const customer = customers[row] ?? 0;
    if (day < plan.trainDays) train.push(row);
    if (day >= testBegin) candidates.push(row);
    if (rows.labels[row] !== 1) continue;
    if (day < plan.trainDays) known.add(customer);
    const frauds = fraudsByDay.get(day);
    if (frauds) frauds.add(customer);
    else fraudsByDay.set(day, new Set([customer]));
  }
  const test = withoutKnown(candidates, dayOf, customers, { known, fraudsByDay, plan });
  const all: LabelledRows = { columns: rows.columns, labels: rows.labels, weights: null, groups: null };
  return {
    plan,
    train: gatherRows(all, Uint32Array.from(train)),
    test: gatherRows(all, Uint32Array.from(test)),
    testCustomers: Uint32Array.from(test, (row) => customers[row] ?? 0),
    testDays: Uint32Array.from(test, dayOf),
    testRowsBefore: candidates.length,
  };
}

/** On test day d, frauds of day d - delay have just become known: their customers leave, that day and later. */
function withoutKnown(
  candidates: readonly number[],
  dayOf: (row: number) => number,
  customers: Uint32Array,
  state: { known: Set<number>; fraudsByDay: ReadonlyMap<number, ReadonlySet<number>>; plan: WindowPlan },
): number[] {
  const { known, fraudsByDay, plan } = state;
  const kept: number[] = [];
  let nextDay = plan.trainDays + plan.delayDays;
  for (const row of candidates) {
    for (const day = dayOf(row); nextDay <= day; nextDay++) {
      for (const customer of fraudsByDay.get(nextDay - plan.delayDays - 1) ?? []) known.add(customer);
    }
    if (!known.has(customers[row] ?? 0)) kept.push(row);
  }
  return kept;
}

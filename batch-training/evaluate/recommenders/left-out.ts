import type { Interactions } from "../../sources/interactions.ts";
import { eventOrder, type TrainingLog } from "../../train/recommenders/training-log.ts";
import type { Case } from "./cases.ts";

/** What a protocol leaves out of the questions, or asks for in vain, so that nothing is lost in silence. */
export interface LeftOut {
  readonly testRows: number;
  readonly testUsers: number;
  /** Of the test users: those with at least one question. */
  readonly askedUsers: number;
  /** Of the test users: those that training does not know. */
  readonly strangers: number;
  /** Users of the training rows of whom nothing is to be predicted. */
  readonly trainOnlyUsers: number;
  /** Test rows of items that training does not know: they count as missed. */
  readonly unknownItemRows: number;
  /** Test rows of items the user had before, which are not asked for where only new items are. */
  readonly knownItemRows: number;
  /** Given candidates that training does not know: they rank last. */
  readonly unknownCandidates: number;
}

/** @param rows test rows of `source`; @param log what models are trained on. */
export function countLeftOut(
  source: Interactions,
  rows: Int32Array,
  options: { readonly log: TrainingLog; readonly cases: readonly Case[]; readonly newOnly: boolean },
): LeftOut {
  const { log, cases, newOnly } = options;
  const userIndex = new Map(Array.from(log.sourceUser, (user, index) => [user, index]));
  const itemIndex = new Map(Array.from(log.sourceItem, (item, index) => [item, index]));
  let [testUsers, strangers, unknownItemRows, knownItemRows] = [0, 0, 0, 0];
  let last = -1;
  let had = new Set<number>();
  for (const row of eventOrder(source, rows)) {
    const user = source.user[row] ?? -1;
    if (user !== last) {
      const index = userIndex.get(user);
      testUsers++;
      if (index === undefined) strangers++;
      had = new Set(index === undefined ? [] : log.item.subarray(log.start[index] ?? 0, log.start[index + 1] ?? 0));
      last = user;
    }
    const item = itemIndex.get(source.item[row] ?? -1);
    if (item === undefined) unknownItemRows++;
    else if (newOnly && had.has(item)) knownItemRows++;
  }
  const candidates = cases.flatMap((question) => question.candidates ?? []);
  return {
    testRows: rows.length,
    testUsers,
    askedUsers: new Set(cases.map((question) => question.cluster)).size,
    strangers,
    trainOnlyUsers: log.users - (testUsers - strangers),
    unknownItemRows,
    knownItemRows,
    unknownCandidates: candidates.reduce((sum, list) => sum + list.filter((item) => item < 0).length, 0),
  };
}

/** One line for a person: only what happened. */
export function describeLeftOut(counts: LeftOut): string {
  const { testRows, testUsers, askedUsers, strangers, trainOnlyUsers } = counts;
  const told: readonly (readonly [number, string])[] = [
    [testUsers - askedUsers, "users have nothing to be asked for"],
    [strangers, "users are not in the training data"],
    [trainOnlyUsers, "users of the training data have no test row"],
    [counts.unknownItemRows, "rows of items that training does not know count as missed"],
    [counts.knownItemRows, "rows of items the user had before are not asked for"],
    [counts.unknownCandidates, "candidates that training does not know rank last"],
  ];
  const parts = told.flatMap(([count, text]) => (count > 0 ? [`${count} ${text}`] : []));
  return [`test: ${testRows} rows of ${testUsers} users, ${askedUsers} asked for`, ...parts].join("; ");
}

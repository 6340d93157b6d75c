import { EMPTY_HISTORY, type History } from "../../../models/recommend/history.ts";
import type { Interactions } from "../../sources/interactions.ts";
import { eventOrder, historyOf, type TrainingLog } from "../../train/recommenders/training-log.ts";

/** One question: who is asked for, at which moment, and what turned out to be right. */
export interface Case {
  readonly history: History;
  /** Seconds; NaN without times. */
  readonly at: number;
  /** Relevant catalogue items, distinct. */
  readonly relevant: ReadonlySet<number>;
  /** Relevant items in all, those outside the catalogue included: they cannot be found but count as missed. */
  readonly relevantCount: number;
  /** Relevant items the ideal list is made of; see `idealShare`. */
  readonly idealCount: number;
  /** The items to rank, the relevant one among them; null for the whole catalogue. */
  readonly candidates: Int32Array | null;
  /** Cases of one user or session share a cluster. */
  readonly cluster: number;
  /** Distinct items the user had in training (top-k), or clicks so far (next item). */
  readonly known: number;
}

export interface CaseOptions {
  /** True: predict each next item of a sequence. False: the set of later items of a user. */
  readonly next: boolean;
  /** True: items of the history are not asked for. Ignored for next items, where each step of a sequence counts. */
  readonly newOnly: boolean;
  /**
   * Relevant items of a reported case for each training item of the user. Settings are chosen on fewer relevant items than are reported;
   * without the correction the ideal list would be shorter and users of few items would weigh too much.
   */
  readonly idealShare?: number;
  /** Per source user the source items to rank against the test item. */
  readonly candidates?: ReadonlyMap<number, readonly number[]>;
}

class Catalogue {
  readonly #index = new Map<number, number>();
  readonly #user = new Map<number, number>();
  readonly #log: TrainingLog;

  constructor(log: TrainingLog) {
    this.#log = log;
    for (const [index, item] of log.sourceItem.entries()) this.#index.set(item, index);
    for (const [index, user] of log.sourceUser.entries()) this.#user.set(user, index);
  }

  item(source: number): number {
    return this.#index.get(source) ?? -1;
  }

  history(sourceUser: number): History {
    const user = this.#user.get(sourceUser);
    return user === undefined ? EMPTY_HISTORY : historyOf(this.#log, user);
  }
}

/** @param rows test rows of `source`; @param log what models are trained on. */
export function buildCases(
  source: Interactions,
  rows: Int32Array,
  options: CaseOptions & { readonly log: TrainingLog },
): Case[] {
  const catalogue = new Catalogue(options.log);
  const order = eventOrder(source, rows);
  const cases: Case[] = [];
  let cluster = 0;
  let from = 0;
  for (let to = 1; to <= order.length; to++) {
    if (to < order.length && source.user[order[to] ?? 0] === source.user[order[from] ?? 0]) continue;
    const own = order.subarray(from, to);
    const context = { source, catalogue, cluster, options };
    const made = options.next ? nextCases(own, context) : setCase(own, context);
    cases.push(...made);
    if (made.length > 0) cluster++;
    from = to;
  }
  return cases;
}

interface CaseContext {
  readonly source: Interactions;
  readonly catalogue: Catalogue;
  readonly cluster: number;
  readonly options: CaseOptions;
}

function setCase(rows: Int32Array, { source, catalogue, cluster, options }: CaseContext): Case[] {
  const user = source.user[rows[0] ?? 0] ?? -1;
  const history = catalogue.history(user);
  const had = new Set(history.items);
  const relevant = new Set<number>();
  const outside = new Set<number>();
  for (const row of rows) {
    const item = source.item[row] ?? -1;
    const index = catalogue.item(item);
    if (index < 0) outside.add(item);
    else if (!options.newOnly || !had.has(index)) relevant.add(index);
  }
  const relevantCount = relevant.size + outside.size;
  if (relevantCount === 0) return [];
  const given = options.candidates?.get(user);
  if (options.candidates !== undefined && given === undefined) return [];
  const candidates = given === undefined ? null : candidatesOf(relevant, given, catalogue);
  const at = source.time[rows[0] ?? 0] ?? Number.NaN;
  const idealCount = Math.max(relevantCount, Math.round((had.size + relevantCount) * (options.idealShare ?? 0)));
  return [{ history, at, relevant, relevantCount, idealCount, candidates, cluster, known: had.size }];
}

/** Each item of the catalogue once; every one outside it keeps its place at the end of the list. */
function candidatesOf(relevant: ReadonlySet<number>, given: readonly number[], catalogue: Catalogue): Int32Array {
  const inside = new Set(relevant);
  let outside = 0;
  for (const item of new Set(given)) {
    const index = catalogue.item(item);
    if (index < 0) outside++;
    else inside.add(index);
  }
  return Int32Array.of(...inside, ...Array.from({ length: outside }, () => -1));
}

function nextCases(rows: Int32Array, { source, catalogue, cluster }: CaseContext): Case[] {
  const earlier = catalogue.history(source.user[rows[0] ?? 0] ?? -1);
  const items = Int32Array.of(...earlier.items, ...Array.from(rows, (row) => catalogue.item(source.item[row] ?? -1)));
  const times = Float64Array.of(...earlier.times, ...Array.from(rows, (row) => source.time[row] ?? Number.NaN));
  const values = Float32Array.of(...earlier.values, ...Array.from(rows, (row) => source.value[row] ?? 1));
  const before = earlier.items.length;
  const cases: Case[] = [];
  // The first click of a user never seen has nothing to go by.
  for (let position = Math.max(1, before); position < items.length; position++) {
    const target = items[position] ?? -1;
    cases.push({
      history: {
        items: items.subarray(0, position),
        times: times.subarray(0, position),
        values: values.subarray(0, position),
      },
      at: times[position - 1] ?? Number.NaN,
      relevant: new Set(target < 0 ? [] : [target]),
      relevantCount: 1,
      idealCount: 1,
      candidates: null,
      cluster,
      known: position,
    });
  }
  return cases;
}

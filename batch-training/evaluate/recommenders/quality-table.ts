import { bootstrap, type Interval } from "../../../models/stats/bootstrap.ts";
import {
  catalogueCoverage,
  exposureGini,
  intraListDiversity,
  listQuality,
  meanPopularity,
  novelty,
  popularityLift,
} from "../../../models/stats/recommendation-metrics.ts";
import { seededRandom } from "../../../models/stats/random.ts";
import type { SparseMatrix } from "../../train/recommenders/sparse-matrix.ts";
import type { TrainingLog } from "../../train/recommenders/training-log.ts";
import type { Case } from "./cases.ts";

export const CASE_METRICS = [
  "hit-rate",
  "recall",
  "precision",
  "ndcg",
  "map",
  "mrr",
  "novelty",
  "diversity",
  "popularity",
] as const;
export type CaseMetric = (typeof CASE_METRICS)[number];

/** Slices by how much was known of the user, ends included. */
export const HISTORY_SLICES: readonly (readonly [number, number])[] = [
  [0, 0],
  [1, 1],
  [2, 4],
  [5, 9],
  [10, 19],
  [20, 49],
  [50, 99],
  [100, Infinity],
];

export interface SliceQuality {
  readonly name: string;
  readonly cases: number;
  readonly metrics: ReadonlyMap<CaseMetric, Interval>;
}

export interface ModelQuality {
  readonly overall: SliceQuality;
  readonly byHistory: readonly SliceQuality[];
  readonly coverage: number;
  readonly gini: number;
  readonly popularityLift: number;
}

/** Replicates of the bootstrap, users or sessions drawn whole. */
const REPLICATES = 500;

/** Collects the lists one model gave, case by case. */
export class QualityTable {
  readonly #columns: readonly Float64Array[];
  readonly #lists: Int32Array[] = [];
  readonly #cases: readonly Case[];
  readonly #log: TrainingLog;
  readonly #k: number;
  readonly #similarity: (left: number, right: number) => number;

  constructor(cases: readonly Case[], options: { log: TrainingLog; byItem: SparseMatrix; k: number }) {
    this.#cases = cases;
    this.#log = options.log;
    this.#k = options.k;
    this.#similarity = itemCosine(options.byItem);
    this.#columns = CASE_METRICS.map(() => new Float64Array(cases.length));
  }

  add(index: number, list: Int32Array): void {
    const question = this.#cases[index];
    if (question === undefined) throw new Error(`no case ${index}`);
    const { knownBy, users } = this.#log;
    const quality = listQuality(list, (item) => question.relevant.has(item), {
      relevant: question.relevantCount,
      k: this.#k,
    });
    const figures: Record<CaseMetric, number> = {
      "hit-rate": quality.hitRate,
      recall: quality.recall,
      precision: quality.precision,
      ndcg: quality.ndcg,
      map: quality.averagePrecision,
      mrr: quality.reciprocalRank,
      novelty: novelty(list, knownBy, users),
      diversity: intraListDiversity(list, this.#similarity),
      popularity: meanPopularity(list, knownBy, users),
    };
    for (const [column, metric] of CASE_METRICS.entries()) {
      const values = this.#columns[column];
      if (values) values[index] = figures[metric];
    }
    this.#lists.push(list);
  }

  finish(seed: number): ModelQuality {
    const everyone = Int32Array.from(this.#cases.keys());
    const { knownBy, users, items } = this.#log;
    const exposures = new Float64Array(items);
    for (const list of this.#lists) for (const item of list) exposures[item] = (exposures[item] ?? 0) + 1;
    const overall = this.#slice("all", everyone, seed);
    let profile = 0;
    let profiles = 0;
    for (const question of this.#cases) {
      const known = question.history.items.filter((item) => item >= 0);
      if (known.length === 0) continue;
      profile += meanPopularity(known, knownBy, users);
      profiles++;
    }
    const shown = overall.metrics.get("popularity")?.value ?? 0;
    return {
      overall,
      byHistory: HISTORY_SLICES.map(([low, high]) => {
        const members = everyone.filter((index) => {
          const known = this.#cases[index]?.known ?? 0;
          return known >= low && known <= high;
        });
        return this.#slice(low === high ? `${low}` : high === Infinity ? `${low}+` : `${low}-${high}`, members, seed);
      }).filter((slice) => slice.cases > 0),
      // Given candidates may lie outside the catalogue.
      coverage: catalogueCoverage(
        this.#lists.map((list) => list.filter((item) => item >= 0)),
        items,
      ),
      gini: exposureGini(exposures),
      popularityLift: popularityLift(shown, profiles === 0 ? 0 : profile / profiles),
    };
  }

  #slice(name: string, members: Int32Array, seed: number): SliceQuality {
    const dense = new Map<number, number>();
    const units = Uint32Array.from(members, (index) => {
      const id = this.#cases[index]?.cluster ?? 0;
      const known = dense.get(id) ?? dense.size;
      dense.set(id, known);
      return known;
    });
    const columns = this.#columns.map((column) => Float64Array.from(members, (index) => column[index] ?? 0));
    const options = {
      replicates: REPLICATES,
      level: 0.95,
      random: seededRandom(seed),
      units: { of: units, count: dense.size },
    };
    const intervals = bootstrap(members.length, options, (weights) => weightedMeans(columns, weights));
    const metrics = new Map<CaseMetric, Interval>();
    for (const [column, metric] of CASE_METRICS.entries()) {
      const interval = intervals[column];
      if (interval) metrics.set(metric, interval);
    }
    return { name, cases: members.length, metrics };
  }
}

function weightedMeans(columns: readonly Float64Array[], weights: Uint16Array | null): number[] {
  if (weights === null) return columns.map((column) => column.reduce((sum, x) => sum + x, 0) / column.length);
  let total = 0;
  for (const weight of weights) total += weight;
  return columns.map((column) => {
    let sum = 0;
    for (let row = 0; row < weights.length; row++) sum += (weights[row] ?? 0) * (column[row] ?? 0);
    return sum / total;
  });
}

/** Cosine of two items over the users they share; remembered, because popular items meet in many lists. */
function itemCosine(byItem: SparseMatrix): (left: number, right: number) => number {
  const known = new Map<number, number>();
  return (left, right) => {
    const [low, high] = left < right ? [left, right] : [right, left];
    const key = low * byItem.rows + high;
    const before = known.get(key);
    if (before !== undefined) return before;
    const a = byItem.column.subarray(byItem.start[low] ?? 0, byItem.start[low + 1] ?? 0);
    const b = byItem.column.subarray(byItem.start[high] ?? 0, byItem.start[high + 1] ?? 0);
    const value = overlap(a, b) / Math.sqrt(Math.max(1, a.length) * Math.max(1, b.length));
    // Bounded: 4 million pairs are about 200 MB of map.
    if (known.size < 4_000_000) known.set(key, value);
    return value;
  };
}

/** Common values of two ascending arrays. */
function overlap(a: Int32Array, b: Int32Array): number {
  let count = 0;
  let j = 0;
  for (const value of a) {
    while (j < b.length && (b[j] ?? 0) < value) j++;
    if (b[j] === value) count++;
  }
  return count;
}

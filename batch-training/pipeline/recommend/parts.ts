/** The parts that a shop's recommender may be made of, and the rivals it has to beat. */
import type { ServedPart } from "../../../models/recommend/served-recommender.ts";
import { ease, easeRecency } from "../../train/recommenders/ease.ts";
import { ials } from "../../train/recommenders/ials/ials.ts";
import { itemKnn } from "../../train/recommenders/item-knn.ts";
import { ownCounts, ownRecency } from "../../train/recommenders/own-counts.ts";
import { popularity } from "../../train/recommenders/popularity.ts";
import { defaults, type Parameters, type Recommender } from "../../train/recommenders/recommender.ts";
import { sequentialRules } from "../../train/recommenders/sequential-rules.ts";
import { sessionKnn } from "../../train/recommenders/session-knn.ts";
import type { TrainingLog } from "../../train/recommenders/training-log.ts";
import type { ShopTraining } from "./training-logs.ts";

export interface PartPlan {
  readonly model: Recommender;
  /** Whether it is one of the blend unless asked for or left out, as `PART.used`. */
  readonly used: boolean;
  /** Which view of the log it learns from. */
  readonly from: "byVisitor" | "byVisit";
  readonly parameters: Parameters;
  /** Learns from so many of the most popular items, and has nothing to say of the others. */
  readonly mostItems?: number;
}

/** Items that EASE learns from: its matrix of 10,000 x 10,000 floats is 400 MB and takes a quarter of a minute on two cores; both grow fast. */
const MOST_EASE_ITEMS = 10_000;
/** Neighbours of one part, 8 bytes each: with three such parts, embeddings of 100,000 items and the visits a published file stays below 32 MiB. */
const NEIGHBOUR_BYTES = 6 << 20;

/** Visits that the sessions part keeps at most, the newest: 4 bytes an event and 8 a visit, in every isolate. */
const MAX_VISITS = 50_000;

/** What the retrieval may be blended of. Parameters may be replaced, as `ease-recency.share` and so on. */
export const PARTS: Readonly<Record<string, PartPlan>> = {
  popularity: { model: popularity, from: "byVisitor", used: true, parameters: { days: 30 } },
  "own-recency": { model: ownRecency, from: "byVisitor", used: true, parameters: { days: 60 } },
  "item-knn": {
    model: itemKnn,
    from: "byVisitor",
    used: false,
    parameters: { ...defaults(itemKnn), decay: 0.98 },
  },
  "ease-recency": {
    model: easeRecency,
    from: "byVisitor",
    used: true,
    mostItems: MOST_EASE_ITEMS,
    parameters: { share: 25, matrixDays: 90, halfLifeDays: 30 },
  },
  "sequential-rules": {
    model: sequentialRules,
    from: "byVisit",
    used: true,
    parameters: { decay: 0.8, normalise: 0, steps: 10, gapDays: 1 },
  },
  "session-knn": {
    model: sessionKnn,
    from: "byVisit",
    used: true,
    parameters: { neighbours: 300, sampled: 1_000, decay: 0.8, distanceDecay: 0.8, halfLifeDays: 30, rarity: 0 },
  },
  ials: {
    model: ials,
    from: "byVisitor",
    used: true,
    parameters: {
      factors: 32,
      sweeps: 8,
      unobserved: 0.1,
      regularisation: 0.01,
      power: 0.8,
      decay: 0.98,
    },
  },
};

/** What a published recommender has to beat, each served by the same code. */
export const RIVALS: Readonly<Record<string, PartPlan>> = {
  popularity: { model: popularity, from: "byVisitor", used: true, parameters: { days: 0 } },
  "popularity of the last month": { model: popularity, from: "byVisitor", used: true, parameters: { days: 30 } },
  "own counts": { model: ownCounts, from: "byVisitor", used: true, parameters: {} },
  "item-knn": { model: itemKnn, from: "byVisitor", used: true, parameters: defaults(itemKnn) },
  ease: { model: ease, from: "byVisitor", used: true, parameters: defaults(ease), mostItems: MOST_EASE_ITEMS },
  "session-knn": { model: sessionKnn, from: "byVisit", used: true, parameters: defaults(sessionKnn) },
};

/** @returns a part over all items of the training, with as many of the neighbours asked for as a large catalogue has room for */
export async function fitPart(
  plan: PartPlan,
  training: ShopTraining,
  options: {
    readonly neighbours: number;
    readonly seed: number;
    readonly threads: number;
  },
): Promise<ServedPart> {
  const whole = plan.model === sessionKnn ? newestVisits(training.byVisit) : training[plan.from];
  const log = popularItems(whole, plan.mostItems ?? Infinity);
  const { seed, threads } = options;
  const room = Math.max(1, Math.floor(NEIGHBOUR_BYTES / (8 * Math.max(1, log.items))));
  const fitted = await plan.model.fit(log, plan.parameters, { seed, threads });
  return overItems(fitted.serve(Math.min(options.neighbours, room)), whole.items);
}

/** Items are numbered by falling popularity, so the popular ones keep their numbers. */
function popularItems(log: TrainingLog, most: number): TrainingLog {
  if (log.items <= most) return log;
  const events: number[] = [];
  const start = new Int32Array(log.users + 1);
  for (let user = 0; user < log.users; user++) {
    for (let event = log.start[user] ?? 0; event < (log.start[user + 1] ?? 0); event++) {
      if ((log.item[event] ?? 0) < most) events.push(event);
    }
    start[user + 1] = events.length;
  }
  return {
    ...log,
    items: most,
    start,
    item: Int32Array.from(events, (event) => log.item[event] ?? -1),
    time: Float64Array.from(events, (event) => log.time[event] ?? 0),
    value: Float32Array.from(events, (event) => log.value[event] ?? 1),
    sourceItem: log.sourceItem.slice(0, most),
    knownBy: log.knownBy.slice(0, most),
  };
}

/** Items after those that a part knows have no neighbours. */
function overItems(part: ServedPart, items: number): ServedPart {
  if (part.items === items) return part;
  if (part.kind !== "neighbours") throw new Error(`a part of ${part.kind} cannot leave items out`);
  const start = new Int32Array(items + 1).fill(part.neighbour.length);
  start.set(part.start);
  return { ...part, items, start };
}

/** Visits of one event say nothing of what goes together. */
function newestVisits(log: TrainingLog): TrainingLog {
  const size = (visit: number): number => (log.start[visit + 1] ?? 0) - (log.start[visit] ?? 0);
  const end = (visit: number): number => log.time[(log.start[visit + 1] ?? 1) - 1] ?? 0;
  const kept = Array.from({ length: log.users }, (_, visit) => visit)
    .filter((visit) => size(visit) > 1)
    .sort((a, b) => end(b) - end(a) || b - a)
    .slice(0, MAX_VISITS)
    .sort((a, b) => a - b);
  const events = kept.flatMap((visit) => Array.from({ length: size(visit) }, (_, at) => (log.start[visit] ?? 0) + at));
  const start = new Int32Array(kept.length + 1);
  for (const [index, visit] of kept.entries()) start[index + 1] = (start[index] ?? 0) + size(visit);
  return {
    ...log,
    users: kept.length,
    start,
    item: Int32Array.from(events, (event) => log.item[event] ?? -1),
    time: Float64Array.from(events, (event) => log.time[event] ?? 0),
    value: Float32Array.from(events, (event) => log.value[event] ?? 1),
    sourceUser: Int32Array.from(kept, (visit) => log.sourceUser[visit] ?? -1),
  };
}

/** What a recommender must show on the latest visits: against rivals served by the same code, on slices, against the champion. */
import { availableParallelism } from "node:os";
import type { Metric } from "../../../models/contract/manifest.ts";
import { decodeBundle, openIds, type RecommenderBundle } from "../../../models/recommend/bundle.ts";
import { bootstrap, type Interval } from "../../../models/stats/bootstrap.ts";
import { seededRandom } from "../../../models/stats/random.ts";
import { figures, gate, type Gate, LEVEL, metric, type Units, unitsOf } from "../../evaluate/gates/gate.ts";
import { loadCompact } from "../../evaluate/load-session.ts";
import type { Ranker } from "../../../models/recommend/recommender.ts";
import type { CardTable, ModelInput, StageContext, Verdict } from "../model-definition.ts";
import { buildBundle } from "./build-bundle.ts";
import { LIST, type Measured, measure } from "./measure.ts";
import { fitPart, RIVALS } from "./parts.ts";
import { type Question, questionsOf } from "./questions.ts";
import type { RecommendSplit } from "./recommend-data.ts";
import type { RecommenderModel } from "./recommend-fit.ts";
import { policyOf, settingsOf } from "./recommend-parameters.ts";
import type { ShopLog } from "./shop-log.ts";
import { trainingBefore } from "./training-logs.ts";

type Input = ModelInput<ShopLog, RecommendSplit, RecommenderModel>;

/** Questions that judge, at most: under a second for each rival. */
const QUESTIONS = 1_000;
const MIN_QUESTIONS = 100;
const REPLICATES = 500;
const FIRST_STAGE = "first stage alone";
/** The champion may be better by this much NDCG, with certainty, before the challenger is refused. */
const CHAMPION_TOLERANCE = 0.01;

export function filesOf(files: RecommenderModel["judged"]): RecommenderBundle {
  return decodeBundle(new Map(files.map(({ path, bytes }) => [path, aligned(bytes)])));
}

/** Arrays of a bundle are views that begin at multiples of eight. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 8 === 0 ? bytes : bytes.slice();
}

export function rankerOf({ ranker }: RecommenderBundle): Ranker | null {
  if (ranker === null) return null;
  const session = loadCompact(ranker);
  return (vectors, rows) => session.run(vectors, rows);
}

function judging({ rows, split, parameters }: Input, from: number, seed: number): Question[] {
  const { sessionGapSeconds, maxEvents } = policyOf(parameters);
  const slice = { from: Math.max(from, split.testFrom), until: Infinity };
  return questionsOf(rows, { ...slice, gapSeconds: sessionGapSeconds, maxEvents, limit: QUESTIONS, seed });
}

/** Where nothing that was met had been heard of before, everyone is wrong and nobody is better. */
function enoughData(questions: readonly Question[], bundle: RecommenderBundle, { changes }: ShopLog): Gate {
  const ids = openIds(bundle);
  const announced = new Map<string, number>();
  for (const { kind, id, at } of changes) if (kind === "product" && !announced.has(id)) announced.set(id, at);
  const answerable = count(questions, ({ outcome, now }) =>
    Array.from(outcome.keys()).some((id) => ids.indexOf(id) >= 0 || (announced.get(id) ?? Infinity) <= now),
  );
  return gate(
    "enough_data",
    null,
    answerable >= MIN_QUESTIONS,
    null,
    `${questions.length} questions of the latest visits judge, ${answerable} of them about products known by then; ${MIN_QUESTIONS} of those are needed`,
  );
}

export async function evaluateRecommender(input: Input, context: StageContext): Promise<Verdict> {
  const { rows, split, model, parameters } = input;
  const questions = judging(input, split.testFrom, context.seed);
  const bundle = filesOf(model.judged);
  const enough = enoughData(questions, bundle, rows);
  if (!enough.passed) return { gates: [enough], metrics: [], notes: [], tables: [] };
  const since = { log: rows, since: split.testFrom };
  const asked = { bundle, everywhereHome: false };
  const own = measure({ ...asked, ranker: rankerOf(bundle) }, questions, since);
  const measured = new Map([["served", own]]);
  if (bundle.ranker !== null) measured.set(FIRST_STAGE, measure({ ...asked, ranker: null }, questions, since));
  const settings = settingsOf(parameters);
  const training = trainingBefore(rows, split.testFrom, settings.policy.sessionGapSeconds);
  const options = { neighbours: settings.neighbours, seed: context.seed };
  for (const [name, plan] of Object.entries(RIVALS)) {
    const retrieval = await fitPart(plan, training, { ...options, threads: availableParallelism() });
    const rival = buildBundle(rows, training, { ...settings, retrieval, ranker: null });
    measured.set(name, measure({ bundle: rival, ranker: null, everywhereHome: true }, questions, since));
    context.progress(measured.size, Object.keys(RIVALS).length + 2, name);
  }
  const units = unitsOf(questions.map(({ visitor }) => String(visitor)));
  const gates = [...measured].flatMap(([name, rival]) =>
    name === "served" ? [] : [beats(own, { name, rival }, { units, seed: context.seed })],
  );
  const fallback = meanOf(own.fallback);
  return {
    gates: [enough, ...gates],
    metrics: metricsOf(measured, units, context.seed),
    notes: [
      `${questions.length} questions: ${count(questions, (one) => one.placement === "home")} at the beginning of a visit, ${count(questions, (one) => one.placement === "product")} at a product; ${count(questions, (one) => one.facts.length === 0)} of visitors of whom nothing was known`,
      `fallback: ${(100 * fallback).toFixed(1)} % of the lists came from sources that know neither visitor nor page`,
    ],
    tables: [qualityTable(measured, questions), sliceTable(own, measured, questions), sourceTable(own)],
  };
}

/**
 * Paired over the same questions, visitors drawn whole. A rival must be beaten beyond doubt; the first stage must not be better beyond doubt than both
 * together, because in a small shop the slice cannot tell them apart.
 */
function beats(
  own: Measured,
  { name, rival }: { readonly name: string; readonly rival: Measured },
  { units, seed }: { readonly units: Units; readonly seed: number },
): Gate {
  const difference = interval(
    own.ndcg.map((value, row) => value - (rival.ndcg[row] ?? 0)),
    units,
    seed,
  );
  const first = name === FIRST_STAGE;
  return gate(
    first ? "holds_first_stage" : "beats_rival",
    name,
    first ? difference.high >= 0 : difference.low > 0,
    difference,
    `NDCG@${LIST} ${meanOf(own.ndcg).toFixed(4)} against ${meanOf(rival.ndcg).toFixed(4)} of ${name}: difference ${figures(difference)}`,
  );
}

export function compareWithChampion(
  input: Input,
  champion: { readonly bundle: RecommenderBundle; readonly trainedTo: number },
  { seed }: StageContext,
): Verdict {
  const { rows, split, model } = input;
  // What the champion has learned from cannot judge it.
  const questions = judging(input, champion.trainedTo, seed);
  if (questions.length < MIN_QUESTIONS) {
    const note = `${questions.length} questions since the champion was trained, ${MIN_QUESTIONS} are needed to compare: the rivals judge alone`;
    return { gates: [], metrics: [], notes: [note], tables: [] };
  }
  const since = { log: rows, since: split.testFrom };
  const served = (bundle: RecommenderBundle): Measured =>
    measure({ bundle, everywhereHome: false, ranker: rankerOf(bundle) }, questions, since);
  const [own, other] = [served(filesOf(model.judged)), served(champion.bundle)];
  const units = unitsOf(questions.map(({ visitor }) => String(visitor)));
  const difference = interval(
    own.ndcg.map((value, row) => value - (other.ndcg[row] ?? 0)),
    units,
    seed,
  );
  const reason = `NDCG@${LIST} ${meanOf(own.ndcg).toFixed(4)} against ${meanOf(other.ndcg).toFixed(4)} of the champion over ${questions.length} questions since it was trained: difference ${figures(difference)}`;
  return {
    gates: [gate("beats_champion", "champion", difference.value > -CHAMPION_TOLERANCE, difference, reason)],
    metrics: metric(`ndcg_at_${LIST}`, "test/champion", interval(other.ndcg, units, seed)),
    notes: [],
    tables: [],
  };
}

/** Whom the recommender serves worse: people of whom little is known. Reported, because there is no protected attribute in the log. */
export function compareGroups(): Verdict {
  return {
    gates: [],
    metrics: [],
    notes: [
      "the log has no attribute of a person to compare groups by; slices by what is known of a visitor are above",
    ],
    tables: [],
  };
}

function interval(values: Float64Array, units: Units, seed: number): Interval {
  const [found] = bootstrap(
    values.length,
    { replicates: REPLICATES, level: LEVEL, random: seededRandom(seed), units },
    (weights) => {
      let [sum, total] = [0, 0];
      for (const [row, value] of values.entries()) {
        if (Number.isNaN(value)) continue;
        const weight = weights === null ? 1 : (weights[row] ?? 0);
        sum += weight * value;
        total += weight;
      }
      return [total === 0 ? Number.NaN : sum / total];
    },
  );
  return found ?? { value: Number.NaN, low: Number.NaN, high: Number.NaN };
}

export function meanOf(values: Float64Array, keeps: (row: number) => boolean = () => true): number {
  let [sum, total] = [0, 0];
  for (const [row, value] of values.entries()) {
    if (Number.isNaN(value) || !keeps(row)) continue;
    sum += value;
    total++;
  }
  return total === 0 ? Number.NaN : sum / total;
}

const count = (questions: readonly Question[], keeps: (question: Question) => boolean): number =>
  questions.filter(keeps).length;

function metricsOf(measured: ReadonlyMap<string, Measured>, units: Units, seed: number): Metric[] {
  const slug = (name: string): string => name.replaceAll(/[^a-z0-9]+/g, "_");
  return [...measured].flatMap(([name, figures]) => {
    const slice = name === "served" ? "test" : `test/${slug(name)}`;
    const point = (value: number): Interval => ({ value, low: Number.NaN, high: Number.NaN });
    const own = [
      ...metric(`ndcg_at_${LIST}`, slice, interval(figures.ndcg, units, seed)),
      ...metric(`purchase_ndcg_at_${LIST}`, slice, interval(figures.bought, units, seed)),
    ];
    if (name !== "served") return own;
    return [
      ...own,
      ...metric(`hit_rate_at_${LIST}`, slice, interval(figures.hit, units, seed)),
      ...metric("fallback_share", slice, point(meanOf(figures.fallback))),
    ];
  });
}

const fixed = (value: number): string => (Number.isFinite(value) ? value.toFixed(4) : "");

function qualityTable(measured: ReadonlyMap<string, Measured>, questions: readonly Question[]): CardTable {
  const at = (placement: Question["placement"]) => (row: number) => questions[row]?.placement === placement;
  return {
    title: `Latest visits, NDCG@${LIST}`,
    columns: ["Recommender", "All", "Visit begins", "At a product", "Purchases", `HR@${LIST}`, "Fallback", "Products"],
    rows: [...measured].map(([name, { ndcg, bought, hit, fallback, shown }]) => [
      name,
      fixed(meanOf(ndcg)),
      fixed(meanOf(ndcg, at("home"))),
      fixed(meanOf(ndcg, at("product"))),
      fixed(meanOf(bought)),
      fixed(meanOf(hit)),
      fixed(meanOf(fallback)),
      String(shown),
    ]),
  };
}

/** By what was known of the visitor. */
const KNOWN: readonly (readonly [name: string, from: number, to: number])[] = [
  ["nothing", 0, 0],
  ["1 to 4 facts", 1, 4],
  ["5 to 19 facts", 5, 19],
  ["20 and more", 20, Infinity],
];

function sliceTable(own: Measured, measured: ReadonlyMap<string, Measured>, questions: readonly Question[]): CardTable {
  const popularity = measured.get("popularity");
  return {
    title: "By what was known of the visitor",
    columns: ["Known", "Questions", `NDCG@${LIST}`, "Popularity"],
    rows: KNOWN.map(([name, from, to]) => {
      const within = (row: number): boolean => {
        const known = questions[row]?.facts.length ?? 0;
        return known >= from && known <= to;
      };
      const asked = questions.filter((_, row) => within(row)).length;
      return [
        name,
        String(asked),
        fixed(meanOf(own.ndcg, within)),
        popularity ? fixed(meanOf(popularity.ndcg, within)) : "",
      ];
    }),
  };
}

function sourceTable({ sources }: Measured): CardTable {
  const total = [...sources.values()].reduce((sum, shown) => sum + shown, 0);
  return {
    title: "Where the items shown came from",
    columns: ["Source", "Share"],
    rows: [...sources]
      .toSorted(([, a], [, b]) => b - a)
      .map(([source, shown]) => [source, fixed(shown / Math.max(1, total))]),
  };
}

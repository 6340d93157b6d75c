/** Whether a challenger beats the version that serves, on rows later than anything it has seen, draw by draw on the same rows. */
import { bootstrap, type Interval } from "../../../models/stats/bootstrap.ts";
import { seededRandom } from "../../../models/stats/random.ts";
import { rankDescending, rankingMetrics } from "../../../models/stats/ranking-metrics.ts";
import { figures, type Gate, gate, LEVEL, UNKNOWN, type Units } from "./gate.ts";
import type { GatePolicy } from "./policy.ts";
import { type QualityMetrics, summarise } from "./quality.ts";

export interface ChampionInput {
  readonly labels: ArrayLike<number>;
  readonly challenger: ArrayLike<number>;
  /** Scores of the serving model on the same rows. */
  readonly champion: ArrayLike<number>;
  readonly units: Units | null;
  readonly seed: number;
}

export function judgeChampion(
  input: ChampionInput,
  policy: GatePolicy,
): { readonly gate: Gate; readonly metrics: QualityMetrics } {
  const { labels, challenger, champion, units, seed } = input;
  const orders = [rankDescending(challenger), rankDescending(champion)];
  const options = { replicates: policy.replicates, level: LEVEL, random: seededRandom(seed), units };
  const [rocAuc, averagePrecision, difference] = bootstrap(labels.length, options, (weights) => {
    const own = rankingMetrics(labels, challenger, weights, orders[0]);
    const theirs = rankingMetrics(labels, champion, weights, orders[1]);
    return [theirs.rocAuc, theirs.averagePrecision, own[policy.metric] - theirs[policy.metric]];
  });
  const metrics = summarise(labels, champion, [rocAuc ?? UNKNOWN, averagePrecision ?? UNKNOWN]);
  return { gate: beatsChampion(difference, policy), metrics };
}

function beatsChampion(difference: Interval = UNKNOWN, policy: GatePolicy): Gate {
  const passed = difference.value > policy.minGain && difference.low > -policy.tolerance;
  const what = passed ? "beats" : "does not beat";
  const need = `above ${policy.minGain}, lower end above ${-policy.tolerance}`;
  const text = `${policy.metric} ${what} the champion: difference ${figures(difference)}, needed ${need}`;
  return gate("beats_champion", null, passed, difference, text);
}

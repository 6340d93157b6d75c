/** What the second stage learns from: the candidates of the first stage at past moments, with what became of them. */
import { RANKING_FEATURES, RANKING_WIDTH } from "../../../models/recommend/ranking-features.ts";
import type { RecommenderBundle } from "../../../models/recommend/bundle.ts";
import type { VisitorAction } from "../../../models/recommend/policy.ts";
import type { RankingRows } from "../../train/recommenders/two-stage/fit-ranker.ts";
import { answers, type PastLog } from "./ask.ts";
import type { Question } from "./questions.ts";

/** Grades of outcomes: gains double with each. */
const GRADES: Readonly<Record<VisitorAction, number>> = { view: 1, cart: 2, purchase: 3, dismiss: 0 };
/**
 * Candidates of one question that are learned from: the best of the first stage, right or not. Right ones from below would be the only ones
 * ever seen from there, and the trees would learn that what the first stage ranks last is always right.
 */
const CANDIDATES = 100;

/** Questions of which no candidate turned out right teach nothing and are left out. */
export function rankingRows(bundle: RecommenderBundle, questions: readonly Question[], log: PastLog): RankingRows {
  const values: Float32Array[] = [];
  const labels: number[] = [];
  const groups: number[] = [];
  // The best of the first stage, whatever mix of them a page would show.
  const unmixed = { ...bundle, policy: { ...bundle.policy, diversity: 0, categoryShare: 1, newShare: 0 } };
  const asked = {
    bundle: unmixed,
    ranker: null,
    limit: bundle.policy.candidates,
    everywhereHome: false,
    vectors: true,
  };
  for (const { question, answer } of answers(asked, questions, log)) {
    const best = answer.items.slice(0, CANDIDATES);
    const grades = best.map(({ productId }) => GRADES[question.outcome.get(productId) ?? "dismiss"]);
    if (grades.every((grade) => grade === 0)) continue;
    values.push(answer.vectors.slice(0, best.length * RANKING_WIDTH));
    for (const grade of grades) labels.push(grade);
    groups.push(grades.length);
  }
  return {
    names: RANKING_FEATURES.map(({ name }) => name),
    values: concatenated(values),
    labels: Float32Array.from(labels),
    groups: Int32Array.from(groups),
  };
}

function concatenated(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

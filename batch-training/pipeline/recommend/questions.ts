/** Moments at which a recommendation is asked for, and what turned out right: what the second stage learns from, and what judges it. */
import { seededRandom } from "../../../models/stats/random.ts";
import { drawInteger, shuffle } from "../../../models/stats/random-draws.ts";
import { VISITOR_ACTIONS, type VisitorAction } from "../../../models/recommend/policy.ts";
import type { VisitorFact } from "../../../models/recommend/visitor-history.ts";
import { factsOf, type ShopLog } from "./shop-log.ts";

export interface Question {
  readonly visitor: number;
  /** A visitor who is a customer. */
  readonly known: boolean;
  /** `home`: a visit begins. `product`: the visitor has opened the page of a product. */
  readonly placement: "home" | "product";
  readonly productId: string | null;
  /** Epoch milliseconds; facts up to then are known. */
  readonly now: number;
  readonly facts: readonly VisitorFact[];
  /** What the visitor met in the rest of the visit without being led there by a recommendation, and the most that became of it. */
  readonly outcome: ReadonlyMap<string, VisitorAction>;
}

export interface QuestionOptions {
  /** Epoch milliseconds: visits that begin in here. */
  readonly from: number;
  readonly until: number;
  readonly gapSeconds: number;
  /** Facts of a visitor that serving uses at most. */
  readonly maxEvents: number;
  /** Questions at most, drawn with the seed. */
  readonly limit: number;
  readonly seed: number;
}

/**
 * Of every visit two questions: at its beginning, before anything was seen, and once at a product that was opened, where something followed. In the
 * order of their time. What a list led to is no answer: people find what they are shown, and whoever made the list would always be right. (Lists are
 * learned from as lists, see `shown-lists.ts`.)
 */
export function questionsOf(log: ShopLog, options: QuestionOptions): Question[] {
  const random = seededRandom(options.seed);
  const questions: Question[] = [];
  for (let visitor = 0; visitor < log.visitors; visitor++) {
    const newest = log.at[(log.start[visitor + 1] ?? 1) - 1] ?? 0;
    if (newest < options.from) continue;
    const facts = factsOf(log, visitor);
    for (const [begin, end] of visitsOf(facts, options)) {
      const ask = (asked: Pick<Question, "placement" | "productId" | "now">, seen: number): void => {
        const first = log.start[visitor] ?? 0;
        const found = facts.slice(seen, end).filter((_, at) => log.led[first + seen + at] !== 1);
        const outcome = outcomeOf(found, asked.productId);
        if (outcome.size === 0) return;
        const past = facts.slice(Math.max(0, seen - options.maxEvents), seen);
        questions.push({ visitor, known: log.known[visitor] === 1, ...asked, facts: past, outcome });
      };
      const first = facts[begin];
      if (first === undefined) continue;
      ask({ placement: "home", productId: null, now: first.at - 1 }, begin);
      const opened = viewsOf(facts, begin, end);
      const chosen = opened[opened.length === 0 ? 0 : drawInteger(random, opened.length)];
      const view = chosen === undefined ? undefined : facts[chosen];
      if (chosen === undefined || view === undefined) continue;
      ask({ placement: "product", productId: view.productId, now: view.at }, chosen + 1);
    }
  }
  const order = Int32Array.from(questions.keys());
  shuffle(order, random);
  return [...order.subarray(0, options.limit)]
    .flatMap((index) => questions[index] ?? [])
    .sort((a, b) => a.now - b.now || a.visitor - b.visitor);
}

/** Visits that begin in the time asked for: [first fact, end) each. */
function visitsOf(facts: readonly VisitorFact[], options: QuestionOptions): [number, number][] {
  const visits: [number, number][] = [];
  let begin = 0;
  for (let at = 1; at <= facts.length; at++) {
    const pause = (facts[at]?.at ?? Infinity) - (facts[at - 1]?.at ?? 0);
    if (pause <= options.gapSeconds * 1_000) continue;
    const time = facts[begin]?.at ?? 0;
    if (time >= options.from && time < options.until) visits.push([begin, at]);
    begin = at;
  }
  return visits;
}

/** Views after which something else followed in the visit. */
function viewsOf(facts: readonly VisitorFact[], begin: number, end: number): number[] {
  const opened: number[] = [];
  for (let at = begin; at < end - 1; at++) if (facts[at]?.action === "view") opened.push(at);
  return opened;
}

function outcomeOf(facts: readonly VisitorFact[], inView: string | null): Map<string, VisitorAction> {
  const outcome = new Map<string, VisitorAction>();
  for (const { productId, action } of facts) {
    if (productId === inView || action === "dismiss") continue;
    const before = outcome.get(productId);
    if (before === undefined || VISITOR_ACTIONS.indexOf(action) > VISITOR_ACTIONS.indexOf(before)) {
      outcome.set(productId, action);
    }
  }
  return outcome;
}

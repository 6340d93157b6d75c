import type { ReasonCode } from "../../contract/decision-record.ts";
import type { FraudPolicy } from "../../contract/manifest.ts";

/**
 * The rule set that answers when no model can. Plain data: each rule that fires adds its weight to the log-odds, so its reasons
 * add up exactly as a model's do. Weights are judgements, not fits: one strong sign leads to review, two to decline.
 */
export interface FraudRule {
  readonly code: string;
  readonly feature: string;
  readonly operator: "greater" | "at-least" | "less";
  readonly threshold: number;
  /** Added to the log-odds. */
  readonly weight: number;
  readonly text: string;
}

/** Log-odds with no rule fired: 1.8 %, the share of fraud an unremarkable order is taken to carry. */
export const RULES_BASE_LOG_ODDS = -4;

export const FRAUD_RULES: readonly FraudRule[] = [
  {
    code: "rule:large-amount",
    feature: "amount",
    operator: "greater",
    threshold: 500,
    weight: 2,
    text: "The amount is above 500",
  },
  {
    code: "rule:amount-unusual",
    feature: "amount_over_customer_mean_30d",
    operator: "greater",
    threshold: 4,
    weight: 2,
    text: "The amount is more than four times the customer's mean",
  },
  {
    code: "rule:customer-velocity",
    feature: "customer_orders_1d",
    operator: "at-least",
    threshold: 6,
    weight: 2,
    text: "The customer placed six or more orders in a day",
  },
  {
    code: "rule:card-velocity",
    feature: "card_orders_1d",
    operator: "at-least",
    threshold: 6,
    weight: 2.5,
    text: "The card paid six or more orders in a day",
  },
  {
    code: "rule:device-shared",
    feature: "device_distinct_cards_30d",
    operator: "at-least",
    threshold: 4,
    weight: 2.5,
    text: "Four or more cards were used from the device in 30 days",
  },
  {
    code: "rule:terminal-risk",
    feature: "terminal_chargeback_share_7d",
    operator: "at-least",
    threshold: 0.2,
    weight: 3,
    text: "A fifth of the terminal's recent payments were charged back",
  },
  {
    code: "rule:card-charged-back",
    feature: "card_chargeback_share_30d",
    operator: "greater",
    threshold: 0,
    weight: 2.5,
    text: "A payment with the card was charged back",
  },
  {
    code: "rule:new-account",
    feature: "account_age_days",
    operator: "less",
    threshold: 1,
    weight: 1,
    text: "The account is less than a day old",
  },
];

/** Review from one strong sign, decline from two. */
export const RULES_POLICY: FraudPolicy = { reviewAt: 0.1, declineAt: 0.5 };

export interface RuleScore {
  readonly rawScore: number;
  readonly score: number;
  /** The rules that fired, the weightiest first, then the base: together they are the raw score. */
  readonly reasons: ReasonCode[];
}

/** Scores a vector by the rules. `value` gives a feature by name, NaN when missing; a missing value fires no rule. */
export function scoreByRules(value: (feature: string) => number): RuleScore {
  const fired = FRAUD_RULES.filter((rule) => fires(rule, value(rule.feature)));
  const rawScore = fired.reduce((sum, rule) => sum + rule.weight, RULES_BASE_LOG_ODDS);
  const reasons = fired
    .toSorted((a, b) => b.weight - a.weight)
    .map((rule) => ({ code: rule.code, value: value(rule.feature), contribution: rule.weight, text: rule.text }));
  const base = { code: "base", value: null, contribution: RULES_BASE_LOG_ODDS, text: "Where every score starts" };
  return { rawScore, score: 1 / (1 + Math.exp(-rawScore)), reasons: [...reasons, base] };
}

function fires(rule: FraudRule, value: number): boolean {
  switch (rule.operator) {
    case "greater":
      return value > rule.threshold;
    case "at-least":
      return value >= rule.threshold;
    case "less":
      return value < rule.threshold;
  }
}

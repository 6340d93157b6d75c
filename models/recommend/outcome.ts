import type { StoredEvent } from "../contract/events.ts";

/** What becomes of a recommended product, weakest first; `dismiss` is a verdict against it. */
export const OUTCOME_KINDS = ["click", "cart", "purchase", "dismiss"] as const;
export type OutcomeKind = (typeof OUTCOME_KINDS)[number];

export interface Outcome {
  readonly recommendationId: string;
  readonly productId: string;
  readonly kind: OutcomeKind;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Outcomes are attributed to a list for this long. */
export const ATTRIBUTION_MS = 30 * 86_400_000;
/** A shop's clock may run behind or ahead by this much, as for events. */
export const CLOCK_SKEW_MS = 5 * 60_000;

/** Whether an outcome can be that of a list: not from before it, not from long after. Counting and training ask the same. Epoch milliseconds. */
export function isAttributable(answeredAt: number, outcomeAt: number, withinMs = ATTRIBUTION_MS): boolean {
  return outcomeAt >= answeredAt - CLOCK_SKEW_MS && outcomeAt <= answeredAt + withinMs;
}

/** What an event says became of a recommendation: feedback, or behaviour that names the recommendation that led to it. */
export function outcomesOf(event: StoredEvent): Outcome[] {
  const at = Date.parse(event.time);
  if (event.type === "behavior.recommendation_feedback.v1") {
    const { recommendationId, productId, kind } = event.data;
    return [{ recommendationId, productId, kind, at }];
  }
  if (event.type === "behavior.page_view.v1") {
    const { recommendationId, productId } = event.data;
    if (recommendationId === undefined || productId === undefined) return [];
    return [{ recommendationId, productId, kind: "click", at }];
  }
  if (event.type === "behavior.add_to_cart.v1") {
    const { recommendationId, productId } = event.data;
    return recommendationId === undefined ? [] : [{ recommendationId, productId, kind: "cart", at }];
  }
  if (event.type === "behavior.purchase.v1") {
    const { recommendationId, lines } = event.data;
    if (recommendationId === undefined) return [];
    const products = new Set(lines.map(({ productId }) => productId));
    return Array.from(products, (productId) => ({ recommendationId, productId, kind: "purchase", at }));
  }
  return [];
}

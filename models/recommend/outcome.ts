import type { StoredEvent } from "../contract/events.ts";

/** What becomes of a recommended product, weakest first; `dismiss` is a verdict against it. */
export type OutcomeKind = "click" | "cart" | "purchase" | "dismiss";

export interface Outcome {
  readonly recommendationId: string;
  readonly productId: string;
  readonly kind: OutcomeKind;
  /** Epoch milliseconds. */
  readonly at: number;
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
    return lines.map(({ productId }) => ({ recommendationId, productId, kind: "purchase", at }));
  }
  return [];
}

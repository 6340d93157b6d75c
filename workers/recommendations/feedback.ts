import type * as z from "zod";
import type { RecommendationFeedback } from "../../models/contract/api/recommendations.ts";
import type { InboundEvent } from "../../models/contract/events.ts";
import type { QueuedEvents } from "../../models/contract/queued-events.ts";
import { hex, sha256 } from "../../models/contract/sha256.ts";
import { CONTRACT_HASH } from "../../models/contract/version.ts";
import { encodeUtf8 } from "../../models/onnx/utf8.ts";
import { CLOCK_SKEW_MS } from "../../models/recommend/outcome.ts";
import type { RecommendationIds } from "./recommendation-ids.ts";

type Feedback = z.output<typeof RecommendationFeedback>;

/**
 * Outcomes as domain events: they take the way of all events, so that they are durable once accepted, logged, and counted once. Their ids
 * follow from what they say: the same request twice is the same event.
 */
export function feedbackEvents(
  deps: { readonly ids: RecommendationIds },
  { tenant, given, now }: { readonly tenant: string; readonly given: readonly Feedback[]; readonly now: number },
): { readonly events: readonly InboundEvent[]; readonly message: QueuedEvents; readonly unknown: string[] } {
  const events: InboundEvent[] = [];
  const unknown: string[] = [];
  for (const { recommendationId, productId, kind, userId, sessionId, occurredAt } of given) {
    const list = deps.ids.read(tenant, recommendationId, now);
    if (list === null) {
      unknown.push(recommendationId);
      continue;
    }
    // No outcome is older than its list or lies ahead.
    const said = occurredAt === undefined ? now : Date.parse(occurredAt);
    const time = new Date(Math.min(Math.max(said, list.answeredAt), now + CLOCK_SKEW_MS)).toISOString();
    const data = {
      recommendationId,
      productId,
      kind,
      ...(userId !== undefined && { customerId: userId }),
      ...(sessionId !== undefined && { sessionId }),
    };
    const digest = hex(sha256(encodeUtf8(`${JSON.stringify(data)}\n${time}`))).slice(0, 32);
    events.push({
      specversion: "1.0",
      id: `fb-${digest}`,
      source: "/edgewise/feedback",
      time,
      type: "behavior.recommendation_feedback.v1",
      data,
    });
  }
  return { events, unknown, message: { v: 1, tenant, validatedBy: CONTRACT_HASH, events } };
}

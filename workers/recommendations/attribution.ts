import type {
  AnsweredList,
  Attributed,
  CountedOutcome,
  ListOutcome,
} from "../../durable-objects/list-outcomes.core.ts";
import type { Event } from "../../models/contract/events.ts";
import { hex, sha256 } from "../../models/contract/sha256.ts";
import { encodeUtf8 } from "../../models/onnx/utf8.ts";
import type { ExposureRecord } from "../../models/recommend/exposure.ts";
import { isAttributable, type Outcome } from "../../models/recommend/outcome.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import type { Sharded } from "../adapters/visitor-histories.ts";
import type { RecommendationIds } from "./recommendation-ids.ts";

type FeedbackEvent = Event<"ml.recommendation.feedback.v1">;

export interface AttributionDeps {
  readonly store: {
    attribute(
      tenant: string,
      lists: readonly Sharded<AnsweredList>[],
      outcomes: readonly Sharded<ListOutcome>[],
    ): Promise<readonly { readonly attributed: Attributed; readonly of: readonly ListOutcome[] }[]>;
  };
  readonly ids: RecommendationIds;
  /** Whether some visitors are in the control arm: what is needed to compare arms is kept only then. */
  readonly compares: boolean;
  readonly send: (events: readonly FeedbackEvent[]) => Promise<void>;
  readonly metrics: MetricRegistry;
}

/**
 * Brings together which products lists showed, which a flush tells after the answers, and what became of products, which the queue tells. The
 * objects that know both say what counts; whoever completes a pair counts it.
 */
export class Attribution {
  readonly #deps: AttributionDeps;

  constructor(deps: AttributionDeps) {
    this.#deps = deps;
  }

  /** Lists of one tenant that were answered. */
  async lists(tenant: string, records: readonly ExposureRecord[], now: number): Promise<void> {
    const lists = records.flatMap((record): Sharded<AnsweredList>[] => {
      const known = this.#deps.ids.read(tenant, record.recommendationId, now);
      if (known === null) return [];
      const { customer, session } = record;
      const visitor = customer !== null ? `c:${customer}` : session !== null ? `s:${session}` : null;
      const value: AnsweredList = {
        id: record.recommendationId,
        at: known.answeredAt,
        arm: known.arm,
        visitor: this.#deps.compares && known.arm !== "outside" ? visitor : null,
        products: record.items.map(({ productId }) => productId),
      };
      return [{ shard: known.shard, value }];
    });
    const found = await this.#deps.store.attribute(tenant, lists, []);
    const events = found.flatMap(({ attributed }) => this.#count(attributed));
    if (events.length > 0) await this.#deps.send(events.map((outcome) => feedbackEvent(tenant, outcome)));
  }

  /** Outcomes of one tenant: those of made-up or expired lists, and of a time that cannot be theirs, are left out. May be repeated. */
  async outcomes(tenant: string, outcomes: readonly Outcome[], now: number): Promise<void> {
    const own = outcomes.flatMap(({ recommendationId, productId, kind, at }): Sharded<ListOutcome>[] => {
      const known = this.#deps.ids.read(tenant, recommendationId, now);
      if (known === null || !isAttributable(known.answeredAt, at)) return [];
      return [{ shard: known.shard, value: { list: recommendationId, productId, kind, at } }];
    });
    if (own.length === 0) return;
    const found = await this.#deps.store.attribute(tenant, [], own);
    // What was counted before is told again: the batch may be repeated because telling failed, and its ids are the same.
    const told = found.flatMap(({ attributed, of }) => {
      this.#count(attributed);
      return of.filter((_, at) => attributed.shown[at] === true);
    });
    if (told.length > 0) await this.#deps.send(told.map((outcome) => feedbackEvent(tenant, outcome)));
  }

  #count({ counted, sums }: Attributed): CountedOutcome[] {
    const { metrics } = this.#deps;
    for (const { arm, kind } of counted) metrics.count("recommendation_feedback_total", { arm, kind });
    for (const { arm, sum, value } of sums) metrics.count("recommendation_experiment_sums_total", { arm, sum }, value);
    return counted;
  }
}

function feedbackEvent(tenant: string, { list, productId, kind, at }: ListOutcome): FeedbackEvent {
  const occurredAt = new Date(at).toISOString();
  const digest = hex(sha256(encodeUtf8(`${list}\n${productId}\n${kind}`))).slice(0, 32);
  return {
    specversion: "1.0",
    id: `rf-${digest}`,
    source: `/edgewise/${tenant}/recommendations`,
    time: occurredAt,
    type: "ml.recommendation.feedback.v1",
    data: { recommendationId: list, productId, kind, occurredAt },
  };
}

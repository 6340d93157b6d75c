import { MODEL_VERSION_HEADER } from "../../models/contract/api/define.ts";
import { getFraudDecision, scoreFraud } from "../../models/contract/api/fraud.ts";
import { canonicalJson } from "../../models/contract/canonical-json.ts";
import type { DecisionRecord, FraudDecision } from "../../models/contract/decision-record.ts";
import { type Pseudonym, pseudonymise } from "../../models/contract/pseudonymise.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { sha256Hex } from "../http/authenticator.ts";
import { Failure } from "../http/failure.ts";
import { JsonAnswer } from "../http/json-answer.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";
import { type IdempotencyClaim, type ScoreDeps, scoreOrder } from "./score-order.ts";

export interface FraudRouteDeps extends ScoreDeps {
  readonly pseudonyms: (tenant: string) => Pseudonym;
  readonly decisionsOf: (tenant: string, orderId: string) => Promise<DecisionRecord[]>;
}

/** Orders placed further ahead than this are refused, as their events would be. */
const MAX_FUTURE_SKEW_MS = 5 * 60_000;

export function mountFraud(app: App, http: HttpDeps, deps: FraudRouteDeps): void {
  mount(app, http, scoreFraud, async ({ body, query }, context) => {
    const { tenant } = context.identity;
    if ("order" in body && Date.parse(body.order.placedAt) > context.now + MAX_FUTURE_SKEW_MS) {
      return new Failure("invalid-request", {
        issues: [{ path: "/order/placedAt", message: "more than 5 minutes ahead" }],
      });
    }
    const claim = await claimOf(context.request, body, tenant);
    if (claim instanceof Failure) return claim;
    const scored = await scoreOrder(deps, {
      tenant,
      order: "order" in body ? pseudonymise(body.order, deps.pseudonyms(tenant)) : body,
      explain: query.explain === "1",
      claim,
    });
    if (!scored.ok) return new Failure(scored.error);
    countDecision(context.metrics, scored.value);
    context.metrics.observe("inference_latency_ms", deps.now() - context.now, { operation: "fraud" });
    return new JsonAnswer(fraudDecision(scored.value), {
      [MODEL_VERSION_HEADER]: scored.value.modelVersion ?? "rules",
    });
  });

  mount(app, http, getFraudDecision, async ({ params }, { identity }) => {
    const decisions = await deps.decisionsOf(identity.tenant, params.orderId);
    return decisions.length === 0 ? new Failure("order-not-found") : Response.json({ decisions });
  });
}

/** Longest `Idempotency-Key` accepted, in characters. */
const MAX_KEY_LENGTH = 128;

async function claimOf(
  request: Request,
  body: unknown,
  tenant: string,
): Promise<IdempotencyClaim | Failure | undefined> {
  const key = request.headers.get("idempotency-key");
  if (key === null) return undefined;
  if (key.length === 0 || key.length > MAX_KEY_LENGTH) {
    return new Failure("invalid-request", {
      issues: [{ path: "Idempotency-Key", message: `1 to ${MAX_KEY_LENGTH} characters` }],
    });
  }
  return { key: await sha256Hex(`${tenant}\n${key}`), requestHash: await sha256Hex(canonicalJson(body)) };
}

export function fraudDecision(record: DecisionRecord): FraudDecision {
  const { decisionId, orderId, score, outcome, model, modelVersion, featureVectorId, reasons, degraded } = record;
  const decidedAt = new Date(record.decidedAt).toISOString();
  return {
    decisionId,
    orderId,
    score,
    decision: outcome,
    model,
    modelVersion,
    featureVectorId,
    reasons,
    degraded,
    decidedAt,
  };
}

export function countDecision(metrics: MetricRegistry, record: DecisionRecord): void {
  metrics.count("fraud_decisions_total", { outcome: record.outcome, trigger: record.trigger });
  metrics.count("model_version_request_count", {
    model: record.model ?? "rules",
    version: record.modelVersion ?? "rules",
  });
  metrics.observe("fraud_score_distribution", record.score, { model: record.model ?? "rules" });
  for (const flag of record.degraded) metrics.count("degraded_decisions_total", { flag });
}

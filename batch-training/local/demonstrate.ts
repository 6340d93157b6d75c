import type * as z from "zod";
import { type RecommendationResponse, recommendProducts } from "../../models/contract/api/recommendations.ts";
import { scoreFraud } from "../../models/contract/api/fraud.ts";
import type { FraudDecision } from "../../models/contract/decision-record.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import type { ApiClient } from "../client/api-client.ts";
import type { ArmFigures, Uplift } from "./arm-figures.ts";
import type { ShopVisits } from "./visit-shop.ts";

/** A promotion reaches every isolate within ten seconds; this leaves room for a load. */
const SERVING_TIMEOUT_MS = 15_000;
const POLL_MS = 250;

export interface ScoredOrder {
  readonly order: Order;
  readonly decision: FraudDecision;
  readonly latencyMs: number;
}

/** Scores an order as a shop would, with reasons. */
export async function scoreInline(client: Pick<ApiClient, "call">, order: Order): Promise<ScoredOrder> {
  const started = performance.now();
  const { body } = await client.call(scoreFraud, { query: { explain: "1" }, body: { order } });
  return { order, decision: body, latencyMs: performance.now() - started };
}

/** Waits until the running Worker answers with this version, and says how long that took, in milliseconds. */
export async function waitUntilServed(
  client: Pick<ApiClient, "call">,
  probe: () => Order,
  version: string,
): Promise<number> {
  const started = performance.now();
  for (;;) {
    const { decision } = await scoreInline(client, probe());
    const elapsed = performance.now() - started;
    if (decision.modelVersion === version) return elapsed;
    if (elapsed > SERVING_TIMEOUT_MS) {
      throw new Error(
        `The Worker still answers with ${decision.modelVersion ?? "the rules"} ${Math.round(elapsed)} ms after the promotion of ${version}.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** A decision for a terminal. */
export function describeDecision(title: string, { order, decision, latencyMs }: ScoredOrder): string[] {
  const amount = `${(order.total.amount / 100).toFixed(2)} ${order.total.currency}`;
  const reasons = decision.reasons
    .filter((reason) => reason.code !== "base" && reason.code !== "other")
    .slice(0, 4)
    .map(
      (reason) =>
        `      ${reason.contribution >= 0 ? "+" : "−"}${Math.abs(reason.contribution).toFixed(2)}  ${reason.text} (${reason.value === null ? "missing" : shown(reason.value)})`,
    );
  return [
    `  ${title}: order ${order.orderId}, ${amount}`,
    `    ${decision.decision.toUpperCase()}  score ${decision.score.toFixed(4)}  model ${decision.modelVersion?.slice(0, 12) ?? "rules"}  ${latencyMs.toFixed(1)} ms`,
    ...(decision.degraded.length > 0 ? [`    degraded: ${decision.degraded.join(", ")}`] : []),
    ...(reasons.length > 0 ? ["    reasons (log-odds):", ...reasons] : []),
  ];
}

export interface ShownRecommendations {
  readonly userId: string;
  readonly answer: z.infer<typeof RecommendationResponse>;
  /** Of the answer that is shown, and of the one before it, which may have loaded the model. */
  readonly latencyMs: number;
  readonly firstMs: number;
}

/** Items of the list that is shown. */
const SHOWN = 10;

/**
 * Asks for recommendations until the version answers, and gives its second answer.
 * @param userIds the first of them who is not in the control arm is asked for
 * @param version null: whatever answers
 */
export async function recommendNow(
  client: Pick<ApiClient, "call">,
  userIds: readonly string[],
  version: string | null,
): Promise<ShownRecommendations> {
  const started = performance.now();
  for (let turn = 0; ;) {
    const userId = userIds[turn % userIds.length] ?? "";
    const { answer, latencyMs: firstMs } = await ask(client, userId);
    if (version === null || answer.modelVersion === version) {
      return { userId, firstMs, ...(await ask(client, userId)) };
    }
    if (answer.arm === "control") {
      turn++;
      if (turn < userIds.length) continue;
    }
    if (performance.now() - started > SERVING_TIMEOUT_MS) {
      throw new Error(
        `The Worker still recommends by ${answer.modelVersion ?? "popularity"} ${SERVING_TIMEOUT_MS} ms after the promotion of ${version}.`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function ask(
  client: Pick<ApiClient, "call">,
  userId: string,
): Promise<Pick<ShownRecommendations, "answer" | "latencyMs">> {
  const asked = performance.now();
  const { body: answer } = await client.call(recommendProducts, { query: { userId, limit: SHOWN } });
  return { answer, latencyMs: performance.now() - asked };
}

/** A list for a terminal. */
export function describeRecommendations({ userId, answer, latencyMs, firstMs }: ShownRecommendations): string[] {
  return [
    `  Recommendations for ${userId}:  model ${answer.modelVersion?.slice(0, 12) ?? "popularity"}  ${latencyMs.toFixed(1)} ms (the first answer ${firstMs.toFixed(1)} ms)`,
    ...(answer.degraded.length > 0 ? [`    degraded: ${answer.degraded.join(", ")}`] : []),
    ...answer.items
      .slice(0, 5)
      .map((item) => `      ${item.position}  ${item.productId}  ${item.reason} (${item.source})`),
  ];
}

/** What became of lists, for a terminal. */
export function describeVisits({ figures, uncounted }: ShopVisits): string[] {
  const share = (part: number, of: number): string => `${((100 * part) / Math.max(1, of)).toFixed(1)} %`;
  const arm = (name: string, { lists, shown, clicks, purchases }: ArmFigures): string =>
    `      ${name.padEnd(12)} ${String(lists).padStart(4)} lists  clicked ${share(clicks, shown)}  bought ${share(purchases, shown)} of the products shown`;
  const change = (what: string, uplift: Uplift | null): string => {
    if (uplift === null) return `${what}: too few to compare`;
    const percent = (value: number): string => `${value >= 0 ? "+" : "−"}${Math.abs(100 * value).toFixed(0)} %`;
    return `${what} ${percent(uplift.value)} (95 % between ${percent(uplift.low)} and ${percent(uplift.high)})`;
  };
  return [
    "  What customers who know nothing of the model did with the lists:",
    arm("recommender", figures.recommender),
    arm("popularity", figures.control),
    `      ${change("clicks", figures.ctrUplift)}, ${change("purchases", figures.conversionUplift)}`,
    ...(uncounted > 0 ? [`      ${uncounted} outcomes are not counted yet`] : []),
  ];
}

/** Four significant digits: a value is a float32 and no more exact than that looks. */
function shown(value: number): string {
  return String(Number(value.toPrecision(Math.abs(value) >= 1_000 && Number.isInteger(value) ? 15 : 4)));
}

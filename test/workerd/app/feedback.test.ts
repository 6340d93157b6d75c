import { env } from "cloudflare:workers";
import type * as z from "zod";
import { describe, expect, it } from "vitest";
import type { RecommendationResponse } from "../../../models/contract/api/recommendations.ts";
import type { Event } from "../../../models/contract/events.ts";
import { queuedEvents, type QueuedEvents } from "../../../models/contract/queued-events.ts";
import { createApp } from "../../../workers/app.ts";
import { compose } from "../../../workers/compose.ts";
import { consumeBatch } from "../../../workers/jobs/queue-batches.ts";
import { generatedBundle } from "../../support/recommender-bundle.ts";
import { publishableRecommender } from "../../support/published-recommender.ts";
import { call, problemOf, tokenFor } from "./client.ts";
import { promoteRecommender, publishRecommender } from "./recommender-client.ts";
import { createExecutionContext } from "cloudflare:test";

type List = z.output<typeof RecommendationResponse>;
type FeedbackEvent = Event<"ml.recommendation.feedback.v1">;

/** An isolate whose queues are arrays: what it accepted, and what it told others. */
function recorded() {
  const [accepted, told] = [[] as QueuedEvents[], [] as Event[]];
  const into = <T>(list: T[]) => ({
    sendBatch: (messages: Iterable<{ body: T }>) => {
      for (const { body } of messages) list.push(body);
      return Promise.resolve();
    },
  });
  const own = { ...env, EVENTS: into(accepted), ML_EVENTS: into(told) } as unknown as Env;
  const composition = compose(own);
  const app = createApp(composition.app);
  const post = async (tenant: string, path: string, body: unknown): Promise<Response> => {
    const headers = {
      "content-type": "application/json",
      authorization: `Bearer ${await tokenFor(["admin"], { tenant })}`,
    };
    const request = new Request(`https://edgewise.test${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    return await app.fetch(request, own, createExecutionContext());
  };
  const consume = async (messages: readonly unknown[]): Promise<void> => {
    const batch = messages.map((body) => ({ body, attempts: 1, ack: () => {}, retry: () => {} }));
    await consumeBatch(composition.consume, { messages: batch, ackAll: () => {} });
    await composition.flush();
  };
  const feedback = (): FeedbackEvent[] => told.filter((event) => event.type === "ml.recommendation.feedback.v1");
  return { accepted, post, consume, feedback };
}

const metric = async (name: string): Promise<number> => {
  const text = await (await call("/metrics")).text();
  return Number(new RegExp(`^${name.replaceAll(/[{}]/g, "\\$&")} (.*)$`, "m").exec(text)?.[1] ?? "0");
};

describe("POST /api/v1/feedback", () => {
  it("attributes outcomes to the list and its products: durable, told once by a fixed id, counted once", async () => {
    const tenant = "feedback-1";
    const { manifest, files } = publishableRecommender(generatedBundle({ items: 60, seed: 1 }));
    await publishRecommender(tenant, { manifest, files });
    await promoteRecommender(tenant, manifest.version);
    const isolate = recorded();
    const list = await (
      await isolate.post(tenant, "/api/v1/recommendations", { userId: "u1", limit: 10 })
    ).json<List>();
    const { recommendationId } = list;
    const clicks = await metric('recommendation_feedback_total{kind="click"}');
    const click = { recommendationId, productId: "p-0", kind: "click", userId: "u1" };
    const answer = await isolate.post(tenant, "/api/v1/feedback", [
      click,
      { ...click, kind: "purchase" },
      { ...click, kind: "dismiss", productId: "p-1" },
      { ...click, recommendationId: "rec-made-up" },
    ]);
    expect([answer.status, await answer.json()]).toEqual([202, { accepted: 3, unknown: ["rec-made-up"] }]);
    const viewed = {
      specversion: "1.0",
      id: "v-1",
      source: "/shop",
      time: new Date().toISOString(),
      type: "behavior.page_view.v1",
      data: { customerId: "u1", sessionId: "s", page: "/p-0", productId: "p-0", recommendationId },
    };
    // The queue delivers twice, and the shop's own event says the same click again.
    await isolate.consume(isolate.accepted);
    await isolate.consume([...isolate.accepted, { v: 1, tenant, events: [viewed] }]);
    const told = isolate.feedback();
    expect(new Set(told.map((event) => event.id)).size).toBe(3);
    expect(told[0]?.data).toMatchObject({ recommendationId, productId: "p-0", kind: "click" });
    expect((await metric('recommendation_feedback_total{kind="click"}')) - clicks).toBe(1);
    expect(await metric("ctr_current")).toBeGreaterThan(0);
    expect(await metric("conversion_current")).toBeGreaterThan(0);
    // A dismissed product is not shown to that visitor again.
    const next = await (await recorded().post(tenant, "/api/v1/recommendations", { userId: "u1" })).json<List>();
    expect(next.items.map((item) => item.productId)).not.toContain("p-1");
  });

  it("refuses lists of another tenant, made-up ids and what is no feedback", async () => {
    const isolate = recorded();
    const list = await (await isolate.post("feedback-2", "/api/v1/recommendations", {})).json<List>();
    const feedback = { recommendationId: list.recommendationId, productId: "p", kind: "click" };
    expect((await isolate.post("feedback-2", "/api/v1/feedback", feedback)).status).toBe(202);
    for (const id of [list.recommendationId.replace(/.$/, "-"), "rec-1-1-1234567890", "x"]) {
      const refused = await isolate.post("feedback-2", "/api/v1/feedback", { ...feedback, recommendationId: id });
      expect((await problemOf(refused)).code).toBe("recommendation-not-found");
    }
    expect((await isolate.post("feedback-3", "/api/v1/feedback", feedback)).status).toBe(404);
    expect((await isolate.post("feedback-2", "/api/v1/feedback", { ...feedback, kind: "love" })).status).toBe(400);
    expect(isolate.accepted.flatMap((message) => queuedEvents(message)?.events ?? [])).toHaveLength(1);
  });
});

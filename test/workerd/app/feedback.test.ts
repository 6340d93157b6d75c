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
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";

type List = z.output<typeof RecommendationResponse>;
type FeedbackEvent = Event<"ml.recommendation.feedback.v1">;

/** An isolate whose queues are arrays: what it accepted, and what it told others. */
function recorded(variables: Readonly<Record<string, string>> = {}) {
  const [accepted, told] = [[] as QueuedEvents[], [] as Event[]];
  const into = <T>(list: T[]) => ({
    sendBatch: (messages: Iterable<{ body: T }>) => {
      for (const { body } of messages) list.push(body);
      return Promise.resolve();
    },
  });
  const own = { ...env, EVENTS: into(accepted), ML_EVENTS: into(told), ...variables } as unknown as Env;
  const composition = compose(own);
  const app = createApp(composition.app);
  /** @param leave the lists do not leave the isolate before the next call */
  const post = async (tenant: string, path: string, body: unknown, leave = false): Promise<Response> => {
    const headers = {
      "content-type": "application/json",
      authorization: `Bearer ${await tokenFor(["admin"], { tenant })}`,
    };
    const request = new Request(`https://edgewise.test${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    const context = createExecutionContext();
    const response = await app.fetch(request, own, context);
    if (!leave) await waitOnExecutionContext(context);
    return response;
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
  const lines = (await (await call("/metrics")).text()).split("\n");
  return Number(lines.find((line) => line.startsWith(`${name} `))?.split(" ")[1] ?? "0");
};
const outcomes = async (kind: string, arm = "recommender"): Promise<number> =>
  await metric(`recommendation_feedback_total{arm="${arm}",kind="${kind}"}`);

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
    expect(list.items.map((item) => item.productId)).toEqual(expect.arrayContaining(["p-0", "p-1"]));
    const clicks = await outcomes("click");
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
    expect((await outcomes("click")) - clicks).toBe(1);
    expect(await metric('ctr_current{arm="recommender"}')).toBeGreaterThan(0);
    expect(await metric('conversion_current{arm="recommender"}')).toBeGreaterThan(0);
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

describe("what counts as an outcome of a list", () => {
  const shopping = (type: string, data: object): object => ({
    specversion: "1.0",
    id: `${type}-${JSON.stringify(data).length}-${crypto.randomUUID()}`,
    source: "/shop",
    time: new Date().toISOString(),
    type,
    data: { customerId: "u1", sessionId: "s", ...data },
  });
  const line = (productId: string): object => {
    return { productId, quantity: 1, unitPrice: { amount: 100, currency: "EUR" } };
  };

  async function served(tenant: string) {
    const { manifest, files } = publishableRecommender(generatedBundle({ items: 60, seed: 1 }));
    await publishRecommender(tenant, { manifest, files });
    await promoteRecommender(tenant, manifest.version);
  }

  it("is of a product that the list showed: other lines of the order, pages and carts that name the list are not", async () => {
    const tenant = "feedback-4";
    await served(tenant);
    const isolate = recorded();
    const list = await (await isolate.post(tenant, "/api/v1/recommendations", { userId: "u1", limit: 3 })).json<List>();
    const { recommendationId } = list;
    const shown = list.items.map((item) => item.productId);
    const other = ["p-0", "p-1", "p-2", "p-3", "p-4"].find((id) => !shown.includes(id)) ?? "";
    const before = [await outcomes("click"), await outcomes("cart"), await outcomes("purchase")];
    await isolate.consume([
      {
        v: 1,
        tenant,
        events: [
          shopping("behavior.page_view.v1", { page: "/p", productId: other, recommendationId }),
          shopping("behavior.page_view.v1", { page: "/p", productId: shown[2], recommendationId }),
          shopping("behavior.add_to_cart.v1", { productId: other, quantity: 1, recommendationId }),
          shopping("behavior.purchase.v1", {
            orderId: "o-1",
            lines: [...shown.map(line), line(other), line(shown[0] ?? "")],
            recommendationId,
          }),
        ],
      },
    ]);
    const after = [await outcomes("click"), await outcomes("cart"), await outcomes("purchase")];
    expect(after.map((value, at) => value - (before[at] ?? 0))).toEqual([1, 0, 3]);
    expect(
      isolate
        .feedback()
        .map(({ data }) => `${data.kind} ${data.productId}`)
        .toSorted(),
    ).toEqual([`click ${shown[2]}`, ...shown.map((id) => `purchase ${id}`)].toSorted());
  });

  it("waits for its list where it comes first", async () => {
    const tenant = "feedback-5";
    await served(tenant);
    const isolate = recorded();
    const answer = await isolate.post(tenant, "/api/v1/recommendations", { userId: "u1", limit: 3 }, true);
    const { recommendationId, items } = await answer.json<List>();
    const click = (productId: string): object =>
      shopping("behavior.page_view.v1", { page: "/p", productId, recommendationId });
    const before = await outcomes("click");
    // The flush waits a second for company; the click is faster.
    await isolate.consume([{ v: 1, tenant, events: [click(items[1]?.productId ?? ""), click("p-unknown")] }]);
    expect([(await outcomes("click")) - before, isolate.feedback().length]).toEqual([0, 0]);
    await expect
      .poll(() => isolate.feedback().map(({ data }) => data.productId), { timeout: 5_000 })
      .toEqual([items[1]?.productId]);
    await isolate.consume([]);
    expect((await outcomes("click")) - before).toBe(1);
  });

  it("is of the arm that its visitor is in, and the arms can be compared", async () => {
    const tenant = "feedback-6";
    await served(tenant);
    const isolate = recorded({ RECOMMENDATION_CONTROL_SHARE: "0.5" });
    const requests = Array.from({ length: 90 }, (_, at) => ({ userId: `visitor-${at}`, limit: 4 }));
    const { responses } = await (
      await isolate.post(tenant, "/api/v1/recommendations/bulk", { requests })
    ).json<{ responses: List[] }>();
    const control = responses.filter(({ arm }) => arm === "control");
    expect(control.length).toBeGreaterThan(30);
    expect(control.length).toBeLessThan(60);
    for (const list of control) {
      expect(list).toMatchObject({ model: null, modelVersion: null, degraded: [] });
      expect(list.items).toHaveLength(4);
    }
    const again = await isolate.post(tenant, "/api/v1/recommendations/bulk", { requests });
    expect((await again.json<{ responses: List[] }>()).responses.map(({ arm }) => arm)).toEqual(
      responses.map(({ arm }) => arm),
    );
    // Every visitor of the recommender buys the first product, every third of the control.
    const buyers = [
      ...responses.filter(({ arm }) => arm === "recommender"),
      ...control.filter((_, at) => at % 3 === 0),
    ];
    const events = buyers.map(({ recommendationId, items }, at) =>
      shopping("behavior.purchase.v1", {
        orderId: `o-${at}`,
        lines: [line(items[0]?.productId ?? "")],
        recommendationId,
      }),
    );
    await isolate.consume([{ v: 1, tenant, events }]);
    const uplift = await metric("conversion_uplift");
    expect(uplift).toBeCloseTo(control.length / Math.ceil(control.length / 3) - 1, 5);
    expect(await metric("conversion_uplift_low")).toBeGreaterThan(0.2);
    expect(await metric("conversion_uplift_high")).toBeGreaterThan(uplift);
  });

  it("is counted for nobody, and the list is logged for nobody, without consent", async () => {
    const tenant = "feedback-7";
    await served(tenant);
    const isolate = recorded({ RECOMMENDATION_CONTROL_SHARE: "0.5" });
    const refused = shopping("customer.consent.changed.v1", {});
    const data = {
      customerId: "u1",
      purpose: "personalisation",
      granted: false,
      effectiveAt: new Date().toISOString(),
    };
    await isolate.consume([{ v: 1, tenant, events: [{ ...refused, data }] }]);
    const list = await (await isolate.post(tenant, "/api/v1/recommendations", { userId: "u1" })).json<List>();
    expect([list.arm, list.degraded]).toEqual(["outside", ["not-personalised"]]);
    const { objects } = await env.LOGS.list({ prefix: `${tenant}/exposures/` });
    const object = await env.LOGS.get(objects[0]?.key ?? "");
    const text = await new Response(object?.body.pipeThrough(new DecompressionStream("gzip"))).text();
    expect(JSON.parse(text)).toMatchObject({ arm: "outside", customer: null, session: null });
  });
});

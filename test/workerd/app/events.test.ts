import { describe, expect, it } from "vitest";
import type { DeadLetter, EventsResponse } from "../../../models/contract/api/events.ts";
import type { DecisionRecord } from "../../../models/contract/decision-record.ts";
import { call, deliver, problemOf } from "./client.ts";
import { anOrder } from "../../support/events.ts";

const now = (): string => new Date().toISOString();
const placed = (orderId: string, more: Record<string, unknown> = {}, data: Record<string, unknown> = {}) => ({
  specversion: "1.0",
  id: `placed-${orderId}`,
  source: "/shop",
  time: now(),
  type: "order.placed.v1",
  data: { ...anOrder({ orderId, placedAt: now() }), ...data },
  ...more,
});
const paid = (orderId: string) => ({
  ...placed(orderId),
  id: `paid-${orderId}`,
  type: "order.paid.v1",
  data: { order: anOrder({ orderId, placedAt: now() }), paidAt: now() },
});
const send = (body: unknown, headers: Record<string, string> = {}, roles = ["producer"] as const) =>
  call("/api/v1/events", { body, headers, roles });
const deadLetters = async (query = ""): Promise<DeadLetter[]> =>
  (await (await call(`/api/v1/dead-letters${query}`)).json<{ deadLetters: DeadLetter[] }>()).deadLetters;

describe("POST /api/v1/events", () => {
  it.each(["application/json", "application/cloudevents+json"])("202: takes one event as %s", async (type) => {
    const response = await send(placed(`one-${type.length}`), { "content-type": type });
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({ accepted: 1, refused: 0 });
  });

  it("202: takes a batch", async () => {
    const response = await send([placed("b1"), placed("b2")], { "content-type": "application/cloudevents-batch+json" });
    expect(response.status).toBe(202);
    expect((await response.json<EventsResponse>()).results.map((result) => result.status)).toEqual([
      "accepted",
      "accepted",
    ]);
  });

  it("207: answers per item, naming field and reason", async () => {
    const response = await send([
      placed("p1"),
      placed("p2", {}, { total: { amount: -1, currency: "EUR" } }),
      { ...placed("p3"), type: "x.y" },
    ]);
    expect(response.status).toBe(207);
    const { results } = await response.json<EventsResponse>();
    expect(results.map((result) => result.reason ?? "accepted")).toEqual(["accepted", "invalid-data", "unknown-type"]);
    expect(results[1]?.issues?.[0]?.path).toBe("/data/total/amount");
  });

  it("422: says so when every event is refused", async () => {
    expect((await send(placed("f1", { time: "2199-01-01T00:00:00Z" }))).status).toBe(422);
    expect((await send(placed("f2", { time: "2001-01-01T00:00:00Z" }))).status).toBe(422);
  });

  it("422: takes recorded times from importers only", async () => {
    const event = placed("r1", { recordedtime: now() });
    expect((await send(event)).status).toBe(422);
    expect((await call("/api/v1/events", { body: event, roles: ["importer"] })).status).toBe(202);
  });

  it("400: malformed JSON, an empty batch, too many events", async () => {
    expect((await problemOf(await send("{"))).code).toBe("invalid-json");
    expect((await problemOf(await send([]))).code).toBe("invalid-request");
    expect((await problemOf(await send(Array.from({ length: 1_001 }, () => 1)))).code).toBe("invalid-request");
  });

  it("413 and 415: oversized bodies and other media types", async () => {
    const big = `[${" ".repeat(8 * 1024 * 1024)}]`;
    expect((await problemOf(await send(big))).code).toBe("body-too-large");
    expect((await problemOf(await send("a=1", { "content-type": "application/x-www-form-urlencoded" }))).code).toBe(
      "unsupported-media-type",
    );
  });

  it("401 and 403: no credentials, and the wrong role", async () => {
    expect((await problemOf(await call("/api/v1/events", { body: placed("n"), roles: null }))).code).toBe(
      "unauthenticated",
    );
    expect((await problemOf(await call("/api/v1/events", { body: placed("n"), roles: ["client"] }))).code).toBe(
      "forbidden",
    );
  });
});

describe("the consumer", () => {
  it("applies, logs, scores and settles what the queue delivers", async () => {
    expect(await deliver([{ v: 1, tenant: "default", events: [placed("c1"), paid("c1")] }])).toEqual({
      acked: true,
      retried: 0,
    });
    const asked = await call("/api/v1/events/ingested", {
      body: { source: "/shop", ids: ["placed-c1", "paid-c1", "never"] },
    });
    expect(await asked.json()).toEqual({ ingested: [true, true, false] });
    const { decisions } = await (
      await call("/api/v1/fraud/orders/c1/decisions")
    ).json<{ decisions: DecisionRecord[] }>();
    expect(decisions).toHaveLength(1);
    expect(decisions[0]).toMatchObject({ trigger: "order-paid", orderId: "c1", degraded: ["no-model"] });
  });

  it("law: nothing counts twice — a paid order is decided once, however often it is delivered", async () => {
    const event = paid("once");
    for (let delivery = 0; delivery < 3; delivery++) await deliver([event]);
    const { decisions } = await (await call("/api/v1/fraud/orders/once/decisions")).json<{ decisions: unknown[] }>();
    expect(decisions).toHaveLength(1);
  });

  it("keeps the log as gzipped lines with pseudonyms, readable by a trainer only", async () => {
    await deliver([{ v: 1, tenant: "logs", events: [placed("l1")] }]);
    const page = await call("/api/v1/log/events", { tenant: "logs", roles: ["trainer"] });
    const { objects } = await page.json<{ objects: { key: string }[] }>();
    expect(objects).toHaveLength(1);
    const object = await call(`/api/v1/log/events/object?key=${objects[0]?.key}`, {
      tenant: "logs",
      roles: ["trainer"],
    });
    const unzipped = object.body?.pipeThrough(new DecompressionStream("gzip"));
    const lines = (await new Response(unzipped).text()).trim().split("\n");
    expect(lines).toHaveLength(1);
    const stored = JSON.parse(lines[0] ?? "") as { id: string; data: { customerId: string } };
    expect(stored.id).toBe("placed-l1");
    expect(stored.data.customerId).toMatch(/^p[A-Za-z0-9_-]{22}$/);
    expect((await call("/api/v1/log/events", { roles: ["client"] })).status).toBe(403);
  });

  it("law: tenants — one tenant reads neither log nor dead letters of another", async () => {
    await deliver([{ v: 1, tenant: "left", events: [placed("t1"), { nonsense: true }] }]);
    const { objects } = await (
      await call("/api/v1/log/events", { tenant: "left" })
    ).json<{ objects: { key: string }[] }>();
    expect((await call(`/api/v1/log/events/object?key=${objects[0]?.key}`, { tenant: "right" })).status).toBe(404);
    expect(
      (await (await call("/api/v1/dead-letters", { tenant: "right" })).json<{ deadLetters: unknown[] }>()).deadLetters,
    ).toEqual([]);
  });

  it("stores the same (source, id) with other content as a dead letter, and keeps the first", async () => {
    await deliver([placed("conflict")]);
    await deliver([placed("conflict", { time: "2026-01-01T00:00:00Z" }, { total: { amount: 1, currency: "EUR" } })]);
    const [letter] = await deadLetters("?reason=identity-conflict&limit=1");
    expect(letter).toMatchObject({ reason: "identity-conflict", eventId: "placed-conflict", source: "/shop" });
    expect(letter?.event).not.toContain('"cus-1"');
  });
});

describe("dead letters", () => {
  it("are replayed once they can be processed, without hiding identifiers twice", async () => {
    await deliver([placed("exhausted")], "edgewise-dead-letters");
    const letter = (await deadLetters("?reason=processing-failed")).find(
      (entry) => entry.eventId === "placed-exhausted",
    );
    expect(letter).toBeDefined();
    const replayed = await call("/api/v1/dead-letters/replay", {
      body: { deadLetterIds: [letter?.deadLetterId, 999_999] },
      roles: ["operator"],
    });
    expect(await replayed.json()).toEqual({
      results: [
        { deadLetterId: letter?.deadLetterId, status: "queued" },
        { deadLetterId: 999_999, status: "refused", reason: "not-found" },
      ],
    });
    const marked = (await deadLetters()).find((entry) => entry.deadLetterId === letter?.deadLetterId);
    expect(marked?.replayedAt).not.toBeNull();
  });

  it("are one row, however often the same failure is stored", async () => {
    for (let delivery = 0; delivery < 3; delivery++) await deliver([{ same: "nonsense" }]);
    expect((await deadLetters()).filter((entry) => entry.event.includes("same")).length).toBe(1);
  });

  it("are refused for replay when they are too old", async () => {
    await deliver([{ old: "nonsense" }]);
    const letter = (await deadLetters()).find((entry) => entry.event.includes("old"));
    const { env } = await import("cloudflare:workers");
    await env.DB.prepare("UPDATE dead_letters SET stored_at = ? WHERE id = ?")
      .bind(Date.now() - 15 * 86_400_000, letter?.deadLetterId)
      .run();
    const response = await call("/api/v1/dead-letters/replay", { body: { deadLetterIds: [letter?.deadLetterId] } });
    expect(await response.json()).toMatchObject({ results: [{ status: "refused", reason: "replay-too-old" }] });
  });
});

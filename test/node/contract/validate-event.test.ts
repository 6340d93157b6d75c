import { describe, expect, it } from "vitest";
import { validateEvent } from "../../../models/contract/validate-event.ts";
import { aPaidOrder, aPlacedOrder, aPageView, anOrder, at, T0 } from "../../support/events.ts";

const options = { now: T0, allowRecordedTime: false };
const reasonOf = (raw: unknown, more = {}): string => {
  const result = validateEvent(raw, { ...options, ...more });
  return result.ok ? "accepted" : result.error.reason;
};

describe("validateEvent", () => {
  it("accepts events of several types and returns them as sent", () => {
    for (const event of [aPlacedOrder(), aPaidOrder(), aPageView()]) {
      expect(validateEvent(event, options)).toEqual({ ok: true, value: event });
    }
  });

  it("refuses what is no CloudEvents event", () => {
    expect(reasonOf(null)).toBe("invalid-envelope");
    expect(reasonOf("text")).toBe("invalid-envelope");
    expect(reasonOf([])).toBe("invalid-envelope");
    expect(reasonOf({ ...aPlacedOrder(), specversion: "0.3" })).toBe("invalid-envelope");
    expect(reasonOf({ ...aPlacedOrder(), time: "yesterday" })).toBe("invalid-envelope");
    expect(reasonOf({ ...aPlacedOrder(), id: "a b" })).toBe("invalid-envelope");
    expect(reasonOf({ ...aPlacedOrder(), extra: 1 })).toBe("invalid-envelope");
  });

  it("refuses types it does not know, and types that only go out", () => {
    expect(reasonOf({ ...aPlacedOrder(), type: "order.vanished.v1" })).toBe("unknown-type");
    expect(reasonOf({ ...aPlacedOrder(), type: "__proto__" })).toBe("unknown-type");
    expect(reasonOf({ ...aPlacedOrder(), type: "ml.alert.raised.v1" })).toBe("not-inbound");
  });

  it("refuses payloads that do not match, naming the field", () => {
    const result = validateEvent(aPlacedOrder({ total: { amount: 12.5, currency: "EUR" } }), options);
    expect(result.ok).toBe(false);
    if (!result.ok) {
      expect(result.error.reason).toBe("invalid-data");
      expect(result.error.error?.issues[0]?.path).toEqual(["total", "amount"]);
    }
    expect(reasonOf({ ...aPlacedOrder(), data: { ...anOrder(), surprise: true } })).toBe("invalid-data");
    expect(reasonOf(aPlacedOrder({ total: { amount: -1, currency: "EUR" } }))).toBe("invalid-data");
    expect(reasonOf(aPlacedOrder({ total: { amount: 1, currency: "euro" } }))).toBe("invalid-data");
  });

  it("refuses times beyond the skew and beyond the log's retention, and takes those just inside", () => {
    expect(reasonOf(aPlacedOrder({}, { time: at(5 * 60_000) }))).toBe("accepted");
    expect(reasonOf(aPlacedOrder({}, { time: at(5 * 60_000 + 1) }))).toBe("time-in-future");
    expect(reasonOf(aPlacedOrder({}, { time: at(-400 * 86_400_000) }))).toBe("accepted");
    expect(reasonOf(aPlacedOrder({}, { time: at(-400 * 86_400_000 - 1) }))).toBe("time-too-old");
  });

  it("takes recordedtime from importers only, and never from the future", () => {
    const imported = aPlacedOrder({}, { recordedtime: at(-1) });
    expect(reasonOf(imported)).toBe("recordedtime-forbidden");
    expect(reasonOf(imported, { allowRecordedTime: true })).toBe("accepted");
    expect(reasonOf(aPlacedOrder({}, { recordedtime: at(600_000) }), { allowRecordedTime: true })).toBe(
      "time-in-future",
    );
  });

  it("refuses an event larger than 64 KiB, counted in bytes", () => {
    const post = (text: string): unknown => ({
      ...aPageView(),
      type: "social.post.created.v1",
      data: { postId: "post-1", authorId: "cus-1", text },
    });
    expect(reasonOf(post("é".repeat(20_000)))).toBe("accepted");
    const lines = Array.from({ length: 200 }, (_, index) => ({
      productId: `prd-${"x".repeat(110)}-${index}`,
      quantity: 1,
      unitPrice: { amount: 1, currency: "EUR" },
      category: "é".repeat(64),
    }));
    expect(reasonOf(aPlacedOrder({ lines }))).toBe("event-too-large");
  });
});

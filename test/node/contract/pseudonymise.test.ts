import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { EVENT_DEFINITIONS } from "../../../models/contract/events.ts";
import { Order } from "../../../models/contract/events/orders.ts";
import { pseudonymise } from "../../../models/contract/pseudonymise.ts";
import { anOrder } from "../../support/events.ts";

const fake = (kind: string, identifier: string): string =>
  `p${createHash("sha256").update(`${kind}/${identifier}`).digest("hex").slice(0, 22)}`;

describe("pseudonymise", () => {
  it("law: people — no personal identifier of an order survives, and everything else does", () => {
    const order = anOrder({
      ipAddress: "203.0.113.7",
      sessionId: "ses-9",
      shippingAddress: { addressId: "adr-1", country: "DE", postalCode: "80331" },
    });
    const hidden = pseudonymise(order, fake);
    const text = JSON.stringify(hidden);
    for (const raw of ['"cus-1"', '"dev-1"', '"card-1"', '"adr-1"', '"ses-9"', "203.0.113.7", "80331"])
      expect(text).not.toContain(raw);
    expect(hidden.orderId).toBe("ord-1");
    expect(hidden.total).toEqual(order.total);
    expect(hidden.lines).toEqual(order.lines);
    expect(hidden.shippingAddress).toEqual({ addressId: fake("address", "adr-1"), country: "DE", postalCode: "803" });
    expect(order.customerId).toBe("cus-1");
  });

  it("gives an order that its own schema still accepts, so that a replay is possible", () => {
    const hidden = pseudonymise(anOrder({ ipAddress: "2001:db8::1", sessionId: "ses-9" }), fake);
    expect(Order.safeParse(hidden).success).toBe(true);
  });

  it("reaches every payload that is declared personal", () => {
    const personal = Object.entries(EVENT_DEFINITIONS).filter(
      ([, definition]) => definition.direction === "in" && definition.dataSensitivity === "personal",
    );
    expect(personal.length).toBeGreaterThan(8);
    for (const [type, definition] of personal) {
      const fields = JSON.stringify(definition.data.toJSONSchema());
      expect(fields, type).toMatch(/customerId|authorId|sessionId/);
    }
  });
});

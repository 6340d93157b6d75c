import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import * as z from "zod";
import { describe, expect, it } from "vitest";
import { acceptsOf, parseQuickly } from "../../../models/contract/accepts.ts";
import { DecisionRecord } from "../../../models/contract/decision-record.ts";
import { EventEnvelope, EVENT_DEFINITIONS } from "../../../models/contract/events.ts";
import { Manifest } from "../../../models/contract/manifest.ts";
import { ROUTES } from "../../../models/contract/routes.ts";
import { anyOf } from "../../support/schema-values.ts";
import { anOrder } from "../../support/events.ts";
import { FraudScoreRequest } from "../../../models/contract/api/fraud.ts";

/** Every schema that something from outside is checked against. */
const SCHEMAS: readonly (readonly [string, z.ZodType])[] = [
  ...ROUTES.flatMap(({ operationId, params, query, body }) => [
    ...(params ? [[`${operationId} parameters`, params] as const] : []),
    ...(query ? [[`${operationId} query`, query] as const] : []),
    ...(body?.kind === "json" ? [[`${operationId} body`, body.schema] as const] : []),
  ]),
  ...Object.entries(EVENT_DEFINITIONS).map(([type, { data }]) => [type, data] as const),
  ["envelope", EventEnvelope],
  ["decision record", DecisionRecord],
  ["manifest", Manifest],
];

const RUNS = 150;

describe("acceptsOf", () => {
  it.each(SCHEMAS)("says yes to nothing of %s that zod would refuse or change", (_, schema) => {
    const accepts = acceptsOf(schema);
    fc.assert(
      fc.property(anyOf(schema), (value) => {
        const parsed = schema.safeParse(value);
        if (accepts(value)) expect(parsed).toEqual({ success: true, data: value });
        expect(parseQuickly(schema, value).success).toBe(parsed.success);
      }),
      { numRuns: RUNS },
    );
  });

  it.each([
    ["an order to score", FraudScoreRequest],
    // The readings of telemetry have a rule of their own, which only zod knows.
    ...Object.entries(EVENT_DEFINITIONS)
      .filter(([type]) => type !== "telemetry.reading.v1")
      .map(([type, { data }]) => [type, data] as const),
  ] as const)("settles %s without zod wherever zod would change nothing", (_, schema) => {
    const accepts = acceptsOf(schema);
    fc.assert(
      fc.property(anyOf(schema), (value) => {
        const parsed = schema.safeParse(value);
        // A member called __proto__ is taken out by zod.
        if (parsed.success && isDeepStrictEqual(parsed.data, value)) expect(accepts(value)).toBe(true);
      }),
      { numRuns: RUNS },
    );
  });

  it("leaves zod's messages as they are", () => {
    const wrong = { order: { ...anOrder(), total: { amount: 12.5, currency: "EUR" } } };
    expect(parseQuickly(FraudScoreRequest, wrong)).toEqual(FraudScoreRequest.safeParse(wrong));
  });

  it("asks zod about whatever may change the value", () => {
    const cases: [z.ZodType, unknown][] = [
      [z.strictObject({ a: z.string().trim() }), { a: " x " }],
      [z.object({ a: z.string() }), { a: "x", b: 1 }],
      [z.strictObject({ a: z.string().default("d") }), {}],
      [z.strictObject({ a: z.string().optional().default("d") }), {}],
      [z.coerce.number(), "12"],
      [z.union([z.object({ a: z.string() }), z.strictObject({ a: z.string(), b: z.number() })]), { a: "x", b: 1 }],
      [z.array(z.string().toUpperCase()), ["a"]],
      [z.string().transform(Number), "12"],
      [z.preprocess(String, z.string()), 12],
      [z.strictObject({ a: z.string().catch("c") }), { a: 1 }],
      [z.codec(z.string(), z.number(), { decode: Number, encode: String }), "1"],
    ];
    for (const [schema, value] of cases) expect(parseQuickly(schema, value)).toEqual(schema.safeParse(value));
  });

  it("asks zod about checks that it does not know", () => {
    const cases: [z.ZodType, unknown][] = [
      [z.string().refine((text) => text !== "no"), "no"],
      [z.strictObject({ a: z.number() }).refine(({ a }) => a > 1), { a: 1 }],
      [z.array(z.number()).refine((list) => list.length !== 1), [1]],
      [z.number().multipleOf(3), 4],
      [z.number().gt(3), 3],
      [z.int32(), 2 ** 40],
      [z.email(), "nobody"],
      [z.ipv6(), ":::"],
      [z.string().regex(/a/g), "b"],
      [z.record(z.string(), z.number()), { a: "x" }],
      [z.union([z.string(), z.number()]).refine((value) => value !== "no"), "no"],
      [
        z
          .strictObject({ a: z.string() })
          .partial()
          .refine((value) => Object.keys(value).length > 0),
        {},
      ],
    ];
    for (const [schema, value] of cases) {
      expect(acceptsOf(schema)(value)).toBe(false);
      expect(parseQuickly(schema, value).success).toBe(false);
    }
  });

  it("is no door for keys that are more than keys", () => {
    const accepts = acceptsOf(z.strictObject({ a: z.string() }));
    expect(accepts(JSON.parse('{"a":"x","__proto__":{"b":1}}'))).toBe(false);
    expect(accepts(JSON.parse('{"a":"x","constructor":1}'))).toBe(false);
    expect(accepts(JSON.parse('{"toString":"x"}'))).toBe(false);
    expect(accepts(["x"])).toBe(false);
  });
});

import { createHash } from "node:crypto";
import * as z from "zod";
import { describe, expect, it } from "vitest";
import { canonicalJson } from "../../../models/contract/canonical-json.ts";
import { DEGRADED_FLAGS } from "../../../models/contract/decision-record.ts";
import { ERROR_DEFINITIONS, EVENT_REJECTIONS } from "../../../models/contract/errors.ts";
import { jsonSchema, SCHEMA_ENTRIES } from "../../../models/contract/json-schemas.ts";
import { ROUTES } from "../../../models/contract/routes.ts";
import { CONTRACT_HASH, CONTRACT_VERSION, OLDEST_READABLE_CONTRACT } from "../../../models/contract/version.ts";

const jsonOf = (schema: z.ZodType | undefined): unknown => (schema ? z.toJSONSchema(schema, { io: "input" }) : null);

function bodyOf({ body }: (typeof ROUTES)[number]): unknown {
  if (body?.kind !== "json") return body ?? null;
  const { examples: _forPeople, ...rest } = body;
  return { ...rest, schema: jsonOf(body.schema) };
}

/** Everything that another program can depend on, without prose. */
function contract(): unknown {
  const withoutProse = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(withoutProse);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(
          ([key, member]) =>
            !(["description", "example"].includes(key) && typeof member !== "object") && key !== "example",
        )
        .map(([key, member]) => [key, withoutProse(member)]),
    );
  };
  return withoutProse({
    schemas: SCHEMA_ENTRIES.map((entry) => ({ ...entry, schema: jsonSchema(entry.name) })),
    routes: ROUTES.map((route) => ({
      id: route.operationId,
      method: route.method,
      path: route.path,
      access: route.access,
      params: jsonOf(route.params),
      query: jsonOf(route.query),
      body: bodyOf(route),
      responses: Object.entries(route.responses).map(([status, response]) => [
        status,
        response.contentType ?? null,
        jsonOf(response.schema),
      ]),
      errors: route.errors,
    })),
    errors: Object.entries(ERROR_DEFINITIONS).map(([code, { status, action }]) => [code, status, action]),
    eventRejections: Object.keys(EVENT_REJECTIONS),
    degradedFlags: Object.keys(DEGRADED_FLAGS),
  });
}

describe("the contract", () => {
  it("changes only together with its hash", () => {
    const hash = createHash("sha256").update(canonicalJson(contract())).digest("hex");
    expect(
      hash,
      `The contract changed. If an old reader or sender would notice, bump CONTRACT_VERSION (now ${CONTRACT_VERSION}) and the ` +
        "event type's suffix. Then set CONTRACT_HASH in models/contract/version.ts to the received value and say there what changed.",
    ).toBe(CONTRACT_HASH);
  });

  it("never asks readers for more than it can still read", () => {
    expect(OLDEST_READABLE_CONTRACT).toBeLessThanOrEqual(CONTRACT_VERSION);
  });

  it("gives every operation an id and a path of its own", () => {
    expect(new Set(ROUTES.map((route) => route.operationId)).size).toBe(ROUTES.length);
    expect(new Set(ROUTES.map((route) => `${route.method} ${route.path}`)).size).toBe(ROUTES.length);
  });

  it("opens health, document, reference and schemas, and nothing else", () => {
    const open = ROUTES.filter((route) => route.access === "open").map((route) => route.path);
    expect(open.toSorted()).toEqual([
      "/api/v1/schemas",
      "/api/v1/schemas/{schema}",
      "/docs",
      "/healthz",
      "/openapi.json",
      "/readyz",
    ]);
  });

  it("bounds every body", () => {
    for (const route of ROUTES)
      if (route.body) expect(route.body.maxBytes, route.operationId).toBeLessThanOrEqual(100 * 1024 * 1024);
  });
});

import { describe, expect, it } from "vitest";
import * as z from "zod";
import { EVENT_DEFINITIONS, eventDefinition, isInboundEventType } from "../../../models/contract/events.ts";
import { ROUTES } from "../../../models/contract/routes.ts";

/** Names in the manifest's two open tables: their number and length are bounded by the body, one mebibyte. */
const BOUNDED_BY_THE_BODY = new Set(["Manifest.fitted", "Lineage.parameters"]);

interface SchemaNode {
  readonly [keyword: string]: unknown;
}

/** Places in a JSON Schema that a sender could fill without end: strings, arrays and whole numbers without a limit. */
function unbounded(schema: unknown, path: string): string[] {
  if (Array.isArray(schema)) return schema.flatMap((item, index) => unbounded(item, `${path}/${index}`));
  if (typeof schema !== "object" || schema === null) return [];
  const node = schema as SchemaNode;
  const has = (...keywords: string[]): boolean => keywords.some((keyword) => node[keyword] !== undefined);
  const found: string[] = [];
  if (node["type"] === "string" && !has("maxLength", "enum", "const", "pattern", "format")) found.push(path);
  if (node["type"] === "integer" && !has("maximum", "exclusiveMaximum")) found.push(path);
  if (node["type"] === "array" && !has("maxItems")) found.push(path);
  for (const [keyword, value] of Object.entries(node)) {
    if (["example", "examples", "default", "enum", "const"].includes(keyword)) continue;
    if (keyword === "propertyNames" && [...BOUNDED_BY_THE_BODY].some((place) => path.endsWith(place.replace(".", "/"))))
      continue;
    const place = keyword === "$defs" || keyword === "properties" ? path : `${path}/${keyword}`;
    found.push(...unbounded(value, place));
  }
  return found;
}

const jsonOf = (schema: z.ZodType): unknown => z.toJSONSchema(schema, { io: "input" });

describe("law: bounds everywhere — what a sender may send", () => {
  it.each(ROUTES.map((route) => [route.operationId, route] as const))("%s", (_name, route) => {
    const { params, query, body } = route;
    const schemas = [params, query, body?.kind === "json" ? body.schema : undefined].filter(
      (schema) => schema !== undefined,
    );
    expect(schemas.flatMap((schema) => unbounded(jsonOf(schema), route.operationId))).toEqual([]);
    if (body) expect(body.maxBytes).toBeLessThanOrEqual(32 * 1024 * 1024);
  });

  it.each(Object.keys(EVENT_DEFINITIONS).filter(isInboundEventType))("%s", (type) => {
    expect(unbounded(jsonOf(eventDefinition(type).data), type)).toEqual([]);
  });

  it("notices a place without a limit", () => {
    const open = z.strictObject({
      text: z.string(),
      list: z.array(z.string().max(3)),
      inner: z.object({ n: z.number().int() }),
    });
    const limitless = { type: "integer" };
    expect(unbounded(jsonOf(open), "open")).toEqual(["open/text", "open/list"]);
    expect(unbounded(limitless, "n")).toEqual(["n"]);
  });
});

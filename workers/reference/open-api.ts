import {
  createDocument,
  type ZodOpenApiContentObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiResponsesObject,
} from "zod-openapi";
import type { RouteDefinition } from "../../models/contract/api/define.ts";
import { ERROR_DEFINITIONS, type ErrorCode, Problem } from "../../models/contract/errors.ts";

/** Errors that any authenticated route can answer with, whatever it does. */
const COMMON_ERRORS: readonly ErrorCode[] = ["unauthenticated", "forbidden", "rate-limited"];

/** The OpenAPI 3.1 document of the given operations, from their definitions alone. */
export function openApi(routes: readonly RouteDefinition[], version: string): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) {
    const item = (paths[route.path] ??= {});
    item[route.method] = operation(route);
  }
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: "Edgewise",
      version,
      description:
        "Machine-learning decisions at the edge. Errors are RFC 9457 problem documents, listed at /docs/errors. Every answer carries " +
        "X-Request-Id; decisions carry X-Model-Version.",
    },
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT or API key" },
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key" },
      },
    },
    paths,
  });
}

function operation(route: RouteDefinition): ZodOpenApiOperationObject {
  const roles = route.access === "open" ? [] : route.access;
  const access = route.access === "open" ? "Open." : `Roles: ${roles.join(", ")} (or admin).`;
  return {
    operationId: route.operationId,
    tags: [route.tag],
    summary: route.summary,
    description: route.description === undefined ? access : `${route.description}\n\n${access}`,
    security: route.access === "open" ? [] : [{ bearer: [] }, { apiKey: [] }],
    ...((route.params ?? route.query) && {
      requestParams: { ...(route.params && { path: route.params }), ...(route.query && { query: route.query }) },
    }),
    ...(route.body && { requestBody: { required: true, content: contentOf(route.body) } }),
    responses: responsesOf(route),
  };
}

function contentOf(body: NonNullable<RouteDefinition["body"]>): ZodOpenApiContentObject {
  const schema = body.kind === "json" ? body.schema : ({ type: "string", format: "binary" } as const);
  const examples = body.kind === "json" && body.examples ? { examples: { ...body.examples } } : {};
  return Object.fromEntries(body.contentTypes.map((type) => [type, { schema, ...examples }]));
}

function responsesOf(route: RouteDefinition): ZodOpenApiResponsesObject {
  const responses: ZodOpenApiResponsesObject = {};
  for (const [status, response] of Object.entries(route.responses)) {
    const type = response.contentType ?? "application/json";
    const schema = response.schema ?? ({ type: "string", format: "binary" } as const);
    responses[status as "200"] = {
      description: response.description,
      content: { [type]: { schema, ...(response.examples && { examples: { ...response.examples } }) } },
      ...(response.headers && { headers: headersOf(response.headers) }),
    };
  }
  const errors = [...route.errors, ...(route.access === "open" ? [] : COMMON_ERRORS)];
  for (const status of new Set(errors.map((code) => ERROR_DEFINITIONS[code].status))) {
    const codes = errors.filter((code) => ERROR_DEFINITIONS[code].status === status);
    responses[String(status) as "400"] ??= {
      description: codes.map((code) => `\`${code}\`: ${ERROR_DEFINITIONS[code].title}`).join(" "),
      content: { "application/problem+json": { schema: Problem } },
    };
  }
  return responses;
}

function headersOf(
  headers: Readonly<Record<string, string>>,
): Record<string, { description: string; schema: { type: "string" } }> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
}

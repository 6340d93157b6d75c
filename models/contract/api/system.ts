import * as z from "zod";
import { Role } from "../auth.ts";
import { TenantId } from "../primitives.ts";
import { defineRoute, jsonBody } from "./define.ts";

const Check = z
  .strictObject({ name: z.string(), ok: z.boolean(), detail: z.string().optional() })
  .meta({ id: "ReadinessCheck" });

export const health = defineRoute({
  operationId: "health",
  method: "get",
  path: "/healthz",
  tag: "System",
  summary: "The process answers",
  access: "open",
  responses: {
    200: { description: "Alive", schema: z.strictObject({ status: z.literal("ok"), version: z.string() }) },
  },
  errors: [],
});

export const Readiness = z
  .strictObject({ status: z.enum(["ready", "not-ready"]), checks: z.array(Check) })
  .meta({ id: "Readiness" });
export const ready = defineRoute({
  operationId: "ready",
  method: "get",
  path: "/readyz",
  tag: "System",
  summary: "The dependencies answer",
  access: "open",
  responses: { 200: { description: "Ready", schema: Readiness }, 503: { description: "Not ready", schema: Readiness } },
  errors: [],
});

export const openApiDocument = defineRoute({
  operationId: "openApiDocument",
  method: "get",
  path: "/openapi.json",
  tag: "System",
  summary: "This API as an OpenAPI 3.1 document",
  access: "open",
  responses: { 200: { description: "OpenAPI 3.1", schema: z.looseObject({}) } },
  errors: [],
});

export const reference = defineRoute({
  operationId: "reference",
  method: "get",
  path: "/docs",
  tag: "System",
  summary: "This API as a page",
  access: "open",
  responses: { 200: { description: "A browsable reference", contentType: "text/html" } },
  errors: [],
});

export const listSchemas = defineRoute({
  operationId: "listSchemas",
  method: "get",
  path: "/api/v1/schemas",
  tag: "System",
  summary: "List the JSON Schemas",
  access: "open",
  responses: {
    200: {
      description: "Events with their governance metadata, and records",
      schema: z.strictObject({
        contractVersion: z.int(),
        schemas: z.array(
          z.strictObject({
            name: z.string(),
            kind: z.enum(["event", "record"]),
            href: z.string(),
            direction: z.enum(["in", "out"]).nullable(),
            dataSensitivity: z.string().nullable(),
            retentionPolicy: z.string().nullable(),
          }),
        ),
      }),
    },
  },
  errors: [],
});

export const getSchema = defineRoute({
  operationId: "getSchema",
  method: "get",
  path: "/api/v1/schemas/{schema}",
  tag: "System",
  summary: "One JSON Schema",
  access: "open",
  params: z.strictObject({ schema: z.string().max(128) }),
  responses: { 200: { description: "JSON Schema, draft 2020-12", contentType: "application/schema+json" } },
  errors: ["schema-not-found"],
});

export const metrics = defineRoute({
  operationId: "metrics",
  method: "get",
  path: "/metrics",
  tag: "System",
  summary: "Metrics in Prometheus text format",
  access: ["operator"],
  responses: { 200: { description: "text/plain; version=0.0.4", contentType: "text/plain" } },
  errors: [],
});

export const ApiKey = z
  .strictObject({
    keyId: z.string().max(64),
    subject: z.string().max(128),
    roles: z.array(Role),
    tenant: TenantId,
    createdAt: z.int(),
    expiresAt: z.int().nullable(),
    revokedAt: z.int().nullable(),
  })
  .meta({ id: "ApiKey", description: "An API key; the key itself is shown once, at creation" });
export type ApiKey = z.infer<typeof ApiKey>;

export const createApiKey = defineRoute({
  operationId: "createApiKey",
  method: "post",
  path: "/api/v1/api-keys",
  tag: "Access",
  summary: "Create an API key",
  access: ["admin"],
  body: jsonBody(
    z
      .strictObject({
        subject: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
        roles: z.array(Role).min(1).max(8),
        expiresInDays: z.int().min(1).max(730).optional(),
      })
      .meta({ id: "CreateApiKeyRequest" }),
    { maxBytes: 4 * 1024 },
  ),
  responses: {
    201: {
      description: "Created; keep the key, it is not shown again",
      schema: ApiKey.extend({ key: z.string() }).meta({ id: "CreatedApiKey" }),
    },
  },
  errors: ["invalid-json", "invalid-request", "body-too-large"],
});

export const listApiKeys = defineRoute({
  operationId: "listApiKeys",
  method: "get",
  path: "/api/v1/api-keys",
  tag: "Access",
  summary: "List API keys",
  access: ["admin"],
  responses: {
    200: { description: "Without the keys themselves, at most 500", schema: z.strictObject({ keys: z.array(ApiKey) }) },
  },
  errors: [],
});

export const revokeApiKey = defineRoute({
  operationId: "revokeApiKey",
  method: "delete",
  path: "/api/v1/api-keys/{keyId}",
  tag: "Access",
  summary: "Revoke an API key",
  description: "Isolates that remembered the key stop accepting it within 30 seconds.",
  access: ["admin"],
  params: z.strictObject({ keyId: z.string().max(64) }),
  responses: { 200: { description: "Revoked", schema: ApiKey } },
  errors: ["key-not-found"],
});

import { exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { ERROR_DEFINITIONS } from "../../../models/contract/errors.ts";
import { MOUNTED_ROUTES } from "../../../workers/app.ts";
import { call, problemOf, tokenFor } from "./client.ts";

interface OpenApi {
  openapi: string;
  paths: Record<
    string,
    Record<string, { operationId: string; security: unknown[]; responses: Record<string, unknown> }>
  >;
}

describe("open routes", () => {
  it.each([
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/docs",
    "/docs/errors",
    "/docs/swagger-ui.css",
    "/api/v1/schemas",
    "/api/v1/schemas/order.paid.v1",
  ])("200 without credentials: %s", async (path) => {
    expect((await call(path, { roles: null })).status).toBe(200);
  });

  it("lead a browser from the root to the reference, and tell a client where things are", async () => {
    const browser = new Request("https://edgewise.test/", { headers: { accept: "text/html,*/*;q=0.8" } });
    const { default: entry } = exports as unknown as { default: Fetcher };
    const led = await entry.fetch(browser, { redirect: "manual" });
    expect([led.status, led.headers.get("location")]).toEqual([302, "/docs"]);
    const told = await (await call("/", { roles: null })).json<Record<string, string | number>>();
    const paths = Object.values(told).filter((value) => typeof value === "string" && value.startsWith("/"));
    expect(paths.length).toBeGreaterThan(3);
    for (const path of paths) expect([path, (await call(String(path), { roles: null })).status]).toEqual([path, 200]);
  });

  it("serves only the files of the reference page, not the package they come from", async () => {
    expect((await call("/docs/package.json", { roles: null })).status).toBe(404);
    expect((await call("/package.json", { roles: null })).status).toBe(404);
    expect((await call("/swagger-ui.css", { roles: null })).status).toBe(404);
  });

  it("describes every mounted operation, with its access and its errors", async () => {
    const document = await (await call("/openapi.json", { roles: null })).json<OpenApi>();
    expect(document.openapi).toBe("3.1.0");
    const described = Object.values(document.paths).flatMap((item) =>
      Object.values(item).map((operation) => operation.operationId),
    );
    expect(described.toSorted()).toEqual(MOUNTED_ROUTES.map((route) => route.operationId).toSorted());
    for (const route of MOUNTED_ROUTES) {
      const operation = document.paths[route.path]?.[route.method];
      expect(operation?.security.length === 0, route.operationId).toBe(route.access === "open");
      for (const code of route.errors)
        expect(Object.keys(operation?.responses ?? {})).toContain(String(ERROR_DEFINITIONS[code].status));
    }
  });

  it("serves each schema it lists, with governance metadata", async () => {
    const { schemas } = await (
      await call("/api/v1/schemas", { roles: null })
    ).json<{ schemas: { name: string; href: string }[] }>();
    expect(schemas.length).toBeGreaterThan(25);
    for (const schema of schemas) {
      const document = await (await call(schema.href, { roles: null })).json<Record<string, unknown>>();
      expect(document["$schema"], schema.name).toContain("2020-12");
    }
    const paid = await (await call("/api/v1/schemas/order.paid.v1", { roles: null })).json<Record<string, unknown>>();
    expect(paid).toMatchObject({ "x-dataSensitivity": "personal", "x-retentionPolicy": "400-days" });
    expect((await problemOf(await call("/api/v1/schemas/none", { roles: null }))).code).toBe("schema-not-found");
  });
});

describe("every other route", () => {
  it.each(
    MOUNTED_ROUTES.filter((route) => route.access !== "open").map((route) => [route.operationId, route] as const),
  )("401 without credentials, 403 without a role: %s", async (_name, route) => {
    const path = route.path.replaceAll(/\{\w+\}/g, "x");
    const method = route.method.toUpperCase();
    expect((await problemOf(await call(path, { method, roles: null }))).code).toBe("unauthenticated");
    expect((await problemOf(await call(path, { method, roles: [] }))).code).toBe("forbidden");
  });

  it("404 and 405 for paths and methods that do not exist", async () => {
    expect((await problemOf(await call("/api/v2/nothing"))).code).toBe("route-not-found");
    expect((await problemOf(await call("/api/v1/events", { method: "DELETE" }))).code).toBe("method-not-allowed");
  });
});

describe("headers", () => {
  it("echo a caller's request id and continue its trace; make both where there are none", async () => {
    const given = await call("/healthz", {
      headers: { "x-request-id": "abc-1", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    });
    expect(given.headers.get("x-request-id")).toBe("abc-1");
    expect(given.headers.get("traceparent")).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
    expect(given.headers.get("traceparent")).not.toContain("b7ad6b7169203331");
    const made = await call("/healthz", { headers: { "x-request-id": "bad id\t" } });
    expect(made.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(made.headers.get("traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });

  it("are on errors too, with the same id as in the body", async () => {
    const response = await call("/nowhere", { headers: { "x-request-id": "abc-2" } });
    expect((await problemOf(response)).requestId).toBe("abc-2");
  });
});

describe("/metrics", () => {
  it("counts what isolates did, under the promised names, for operators", async () => {
    await call("/api/v1/models");
    const text = await (await call("/metrics", { roles: ["operator"] })).text();
    expect(text).toContain('http_requests_total{operation="listModels",status="200"}');
    expect((await call("/metrics", { roles: ["client"] })).status).toBe(403);
  });
});

describe("API keys", () => {
  it("let a machine in with its roles, are shown once, and stop working when revoked", async () => {
    const created = await (
      await call("/api/v1/api-keys", { body: { subject: "till-1", roles: ["operator"] } })
    ).json<{ key: string; keyId: string }>();
    const asKey = (path: string) => call(path, { roles: null, headers: { "x-api-key": created.key } });
    expect((await asKey("/api/v1/models")).status).toBe(200);
    expect((await problemOf(await asKey("/api/v1/api-keys"))).code).toBe("forbidden");
    expect(await (await call("/api/v1/api-keys")).text()).not.toContain(created.key);
    expect((await call(`/api/v1/api-keys/${created.keyId}`, { method: "DELETE" })).status).toBe(200);
    const another = await (
      await call("/api/v1/api-keys", { body: { subject: "till-2", roles: ["operator"] } })
    ).json<{ key: string; keyId: string }>();
    await call(`/api/v1/api-keys/${another.keyId}`, { method: "DELETE" });
    expect((await call("/api/v1/models", { roles: null, headers: { "x-api-key": another.key } })).status).toBe(401);
  });

  it("400: roles that do not exist and names that are none", async () => {
    expect(
      (await problemOf(await call("/api/v1/api-keys", { body: { subject: "a b", roles: ["king"] } }))).issues?.length,
    ).toBe(2);
  });

  it("401: forged keys and tokens of another kind", async () => {
    expect(
      (await call("/api/v1/models", { roles: null, headers: { "x-api-key": `ewk_${"a".repeat(43)}` } })).status,
    ).toBe(401);
    const [, payload] = (await tokenFor(["admin"])).split(".");
    const unsigned = `${btoa('{"alg":"none"}').replaceAll("=", "")}.${payload}.`;
    expect(
      (await call("/api/v1/models", { roles: null, headers: { authorization: `Bearer ${unsigned}` } })).status,
    ).toBe(401);
  });
});

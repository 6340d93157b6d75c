import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, expectTypeOf, it } from "vitest";
import { type ApiClientOptions, createApiClient } from "../../../../batch-training/client/api-client.ts";
import { ApiError, retryAfterMs } from "../../../../batch-training/client/api-error.ts";
import { ingestEvents, listEventLog, readEventLog } from "../../../../models/contract/api/events.ts";
import { getFraudDecision } from "../../../../models/contract/api/fraud.ts";
import { putModelFile } from "../../../../models/contract/api/models.ts";
import { health, metrics, ready } from "../../../../models/contract/api/system.ts";
import type { EventsResponse } from "../../../../models/contract/api/events.ts";

interface Seen {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A real HTTP server on a free port, and a client of it. */
async function serve(
  answer: (seen: Seen, response: ServerResponse) => void,
  options: Partial<ApiClientOptions> = {},
): Promise<{ client: ReturnType<typeof createApiClient>; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const one = {
        method: request.method ?? "",
        url: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks),
      };
      seen.push(one);
      answer(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { client: createApiClient({ baseUrl: `http://127.0.0.1:${port}/`, ...options }), seen };
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

function problem(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): void {
  json(
    response,
    status,
    { type: `/docs/errors#${code}`, title: "A title.", status, code, requestId: "req-1", detail: "A detail." },
    { "content-type": "application/problem+json", ...headers },
  );
}

async function failure(call: Promise<unknown>): Promise<ApiError> {
  const error = await call.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(error instanceof ApiError)) throw new Error(`expected an ApiError, got ${String(error)}`);
  return error;
}

describe("a described answer", () => {
  it("sends path parameters encoded, query, token and JSON body, and parses the answer of that status", async () => {
    const body = { accepted: 1, refused: 0, results: [{ index: 0, id: "a", status: "accepted" }] };
    const { client, seen } = await serve((_, response) => json(response, 202, body), { token: "secret" });
    const answer = await client.call(ingestEvents, { body: [] });
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual(body);
    expectTypeOf(answer.body).toEqualTypeOf<EventsResponse>();
    expect(seen[0]).toMatchObject({ method: "POST", url: "/api/v1/events" });
    expect(seen[0]?.headers).toMatchObject({ authorization: "Bearer secret", "content-type": "application/json" });
    expect(seen[0]?.body.toString()).toBe("[]");
  });

  it("encodes what stands in a path, so that an id cannot leave its segment", async () => {
    const { client, seen } = await serve((_, response) => json(response, 200, { decisions: [] }));
    await client.call(getFraudDecision, { params: { orderId: "a/../b?c" } });
    expect(seen[0]?.url).toBe("/api/v1/fraud/orders/a%2F..%2Fb%3Fc/decisions");
  });

  it("leaves out query members that are not given", async () => {
    const { client, seen } = await serve((_, response) => json(response, 200, { objects: [], cursor: null }));
    await client.call(listEventLog, { query: { limit: 5 } });
    await client.call(listEventLog);
    expect(seen.map((one) => one.url)).toEqual(["/api/v1/log/events?limit=5", "/api/v1/log/events"]);
  });

  it("gives bytes for binary answers and text for text answers", async () => {
    const { client } = await serve((seen, response) =>
      response.end(seen.url === "/metrics" ? "a 1\n" : Buffer.of(1, 0, 255)),
    );
    const object = await client.call(readEventLog, { query: { key: "k" } });
    expectTypeOf(object.body).toEqualTypeOf<Uint8Array>();
    expect([...object.body]).toEqual([1, 0, 255]);
    const text = await client.call(metrics);
    expectTypeOf(text.body).toEqualTypeOf<string>();
    expect(text.body).toBe("a 1\n");
  });

  it("sends bytes as they are", async () => {
    const sha256 = "0".repeat(64);
    const { client, seen } = await serve((_, response) =>
      json(response, 200, { path: "model.onnx", bytes: 2, created: true }),
    );
    await client.call(putModelFile, {
      params: { name: "m", version: sha256, path: "model.onnx" },
      query: { sha256 },
      body: Uint8Array.of(8, 0),
    });
    expect(seen[0]?.headers["content-type"]).toBe("application/octet-stream");
    expect([...(seen[0]?.body ?? [])]).toEqual([8, 0]);
  });

  it("tells several described statuses apart", async () => {
    const { client } = await serve((_, response) => json(response, 503, { status: "not-ready", checks: [] }));
    const answer = await client.call(ready);
    expect(answer.status).toBe(503);
    expectTypeOf(answer.status).toEqualTypeOf<200 | 503>();
  });
});

describe("any other answer is a typed error", () => {
  it("carries the problem document, and is retryable when waiting helps", async () => {
    const { client } = await serve((_, response) => problem(response, 429, "rate-limited", { "retry-after": "3" }));
    const error = await failure(client.call(health));
    expect(error).toMatchObject({ kind: "problem", code: "rate-limited", status: 429, retryAfterMs: 3_000 });
    expect(error.retryable).toBe(true);
    expect(error.message).toContain("req-1");
  });

  it("is final when the request is at fault", async () => {
    const { client } = await serve((_, response) => problem(response, 403, "forbidden"));
    const error = await failure(client.call(metrics));
    expect(error).toMatchObject({ kind: "problem", code: "forbidden", retryable: false });
  });

  it("a problem document wins over a described status", async () => {
    const { client } = await serve((_, response) => problem(response, 503, "unavailable"));
    expect((await failure(client.call(ready))).code).toBe("unavailable");
  });

  it("an answer outside the schema names the place", async () => {
    const { client } = await serve((_, response) => json(response, 200, { status: "fine", version: "1" }));
    const error = await failure(client.call(health));
    expect(error.kind).toBe("unexpected-answer");
    expect(error.message).toContain("/status");
    expect(error.retryable).toBe(false);
  });

  it("a page of some proxy is unexpected, and retryable when it is a server fault", async () => {
    const { client } = await serve((_, response) => response.writeHead(502).end("<h1>Bad gateway</h1>"));
    const error = await failure(client.call(health));
    expect(error).toMatchObject({ kind: "unexpected-answer", status: 502, retryable: true });
    expect(error.message).toContain("Bad gateway");
  });

  it("no server is unreachable and retryable", async () => {
    const { client, seen } = await serve(() => {});
    for (const close of closers.splice(0)) close();
    const error = await failure(client.call(health));
    expect(error).toMatchObject({ kind: "unreachable", retryable: true });
    expect(seen).toEqual([]);
  });

  it("a connection that breaks inside the answer is unreachable, not a short answer", async () => {
    const { client } = await serve((_, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("x", () => response.destroy());
    });
    expect((await failure(client.call(metrics))).kind).toBe("unreachable");
  });

  it("no answer in time is a timeout", async () => {
    const { client } = await serve(() => {}, { timeoutMs: 20 });
    expect(await failure(client.call(health))).toMatchObject({ kind: "timeout", retryable: true });
  });

  it("an answer beyond the limit is cut off", async () => {
    const { client } = await serve((_, response) => response.end("x".repeat(1_000)), { maxResponseBytes: 999 });
    const error = await failure(client.call(metrics));
    expect(error.kind).toBe("unexpected-answer");
    expect(error.message).toContain("999");
  });

  it("the caller's own abort stays the caller's", async () => {
    const { client } = await serve(() => {});
    const controller = new AbortController();
    const call = client.call(health, { signal: controller.signal });
    controller.abort(new Error("stop"));
    await expect(call).rejects.toThrow("stop");
  });
});

describe("what cannot be sent is refused before it is sent", () => {
  it("a body over the route's limit", async () => {
    const { client, seen } = await serve(() => {});
    const long = { orderId: "x".repeat(9 * 1024 * 1024) };
    await expect(client.call(ingestEvents, { body: long as never })).rejects.toThrow("accepts 8388608");
    expect(seen).toEqual([]);
  });

  it.each(["localhost:8787", "ftp://a", "http://a/?q=1", "http://user@a", ""])("the base URL %o", (baseUrl) => {
    expect(() => createApiClient({ baseUrl })).toThrow("base URL");
  });
});

describe("Retry-After", () => {
  it("is seconds or a date", () => {
    const now = Date.parse("2026-03-01T00:00:00Z");
    expect(retryAfterMs("7", now)).toBe(7_000);
    expect(retryAfterMs("Sun, 01 Mar 2026 00:00:05 GMT", now)).toBe(5_000);
    expect(retryAfterMs("Sat, 28 Feb 2026 00:00:05 GMT", now)).toBe(0);
    expect(retryAfterMs("soon", now)).toBeNull();
    expect(retryAfterMs(null, now)).toBeNull();
  });
});

import { createMessageBatch, getQueueResult, createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { SignJWT } from "jose";
import type { Role } from "../../../models/contract/auth.ts";
import type { Problem } from "../../../models/contract/errors.ts";
import worker from "../../../workers/index.ts";

const SECRET = "test-secret-test-secret-test-secret-1";

export async function tokenFor(roles: readonly Role[], claims: Record<string, unknown> = {}): Promise<string> {
  return await new SignJWT({ roles, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject("tester")
    .setIssuer("https://edgewise.local")
    .setAudience("edgewise")
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
}

interface CallOptions {
  readonly method?: string;
  readonly roles?: readonly Role[] | null;
  readonly tenant?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** One request to the Worker, through its fetch handler; JSON bodies are written as JSON, strings as they are. */
export async function call(path: string, options: CallOptions = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  const roles = options.roles === undefined ? (["admin"] as const) : options.roles;
  if (roles !== null) {
    headers.set(
      "authorization",
      `Bearer ${await tokenFor(roles, options.tenant === undefined ? {} : { tenant: options.tenant })}`,
    );
  }
  const init: RequestInit = { method: options.method ?? (options.body === undefined ? "GET" : "POST"), headers };
  if (options.body !== undefined) {
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    init.body =
      typeof options.body === "string" || options.body instanceof Uint8Array
        ? options.body
        : JSON.stringify(options.body);
  }
  const { default: entry } = exports as unknown as { default: Fetcher };
  return await entry.fetch(`https://edgewise.test${path}`, init);
}

export async function problemOf(response: Response): Promise<Problem> {
  if (response.headers.get("content-type") !== "application/problem+json") {
    throw new Error(`not a problem document: ${response.status} ${await response.text()}`);
  }
  return await response.json<Problem>();
}

/** Delivers bodies to the consumer as the queue would, and says what became of them. */
export async function deliver(
  bodies: readonly unknown[],
  queue = "edgewise-domain-events",
): Promise<{ acked: boolean; retried: number }> {
  const messages = bodies.map((body, index) => ({ id: String(index), timestamp: new Date(), body, attempts: 1 }));
  const batch = createMessageBatch(queue, messages);
  const context = createExecutionContext();
  await worker.queue(batch, env);
  await waitOnExecutionContext(context);
  const result = await getQueueResult(batch, context);
  return {
    acked: result.ackAll || result.explicitAcks.length === messages.length,
    retried: result.retryMessages.length,
  };
}

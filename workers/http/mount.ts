import type { Hono } from "hono";
import type { z } from "zod";
import type { BytesBody, JsonBody, RouteDefinition } from "../../models/contract/api/define.ts";
import type { Identity } from "../../models/contract/auth.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { err, ok, type Result } from "../../models/result.ts";
import { type Authenticator, credentialOf } from "./authenticator.ts";
import { Failure, problemResponse } from "./failure.ts";
import { issuesOf } from "./issues.ts";
import { logError, logWarning } from "./log.ts";
import { readBody } from "./read-body.ts";
import { ANONYMOUS, type RequestContext, requestIdOf, traceparentOf } from "./request-context.ts";

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;
type ParsedBody<B> = B extends JsonBody<infer S> ? z.output<S> : B extends BytesBody ? Uint8Array : undefined;

export interface RouteInput<P, Q, B> {
  readonly params: Parsed<P>;
  readonly query: Parsed<Q>;
  readonly body: ParsedBody<B>;
}

export type RouteHandler<P extends z.ZodObject, Q extends z.ZodObject, B extends JsonBody | BytesBody | undefined> = (
  input: RouteInput<P, Q, B>,
  context: RequestContext,
) => Promise<Response | Failure> | Response | Failure;

/** What every route needs from the composition. */
export interface HttpDeps {
  readonly authenticator: Authenticator;
  readonly metrics: MetricRegistry;
  readonly now: () => number;
  /** True when the caller may go on. */
  readonly withinRateLimit: (key: string) => boolean | Promise<boolean>;
  /** Called after each response, to flush counts now and then. */
  readonly afterResponse: (waitUntil: (promise: Promise<unknown>) => void) => void;
}

/** Documented ceiling of the rate limit binding; the binding does not tell what remains. */
const RATE_LIMIT_POLICY = '"default";q=100000;w=60';

/**
 * Mounts one operation by its definition: identity, role, rate limit, then parameters, query and body, each validated once;
 * afterwards the handler sees typed values only. Failures are rendered in one place.
 */
export function mount<P extends z.ZodObject, Q extends z.ZodObject, B extends JsonBody | BytesBody | undefined>(
  app: Hono<{ Bindings: object }>,
  deps: HttpDeps,
  definition: RouteDefinition<P, Q, B>,
  handler: RouteHandler<P, Q, B>,
): void {
  const path = definition.path.replaceAll(/\{(\w+)\}/g, ":$1");
  const method = definition.method.toUpperCase();
  app.on(method, path, async (c) => {
    const request = c.req.raw;
    const requestId = requestIdOf(request);
    const traceparent = traceparentOf(request);
    const waitUntil = (promise: Promise<unknown>): void => c.executionCtx.waitUntil(promise);
    const now = deps.now();
    let response: Response;
    try {
      const allowed = await admit(deps, definition.access, request, now);
      if (allowed.ok) {
        const context = {
          requestId,
          traceparent,
          identity: allowed.value,
          now,
          metrics: deps.metrics,
          request,
          waitUntil,
        };
        const answer = await handle(definition, handler, () => c.req.param(), context);
        response = answer instanceof Failure ? rendered(answer, context, definition.operationId) : answer;
      } else {
        response = rendered(allowed.error, { requestId }, definition.operationId);
      }
    } catch (error) {
      logError("unhandled error", error, { requestId, operation: definition.operationId });
      response = problemResponse(new Failure("internal"), requestId);
    }
    response.headers.set("x-request-id", requestId);
    response.headers.set("traceparent", traceparent);
    if (definition.access !== "open") response.headers.set("ratelimit-policy", RATE_LIMIT_POLICY);
    deps.metrics.count("http_requests_total", { operation: definition.operationId, status: String(response.status) });
    deps.afterResponse(waitUntil);
    return response;
  });
}

function rendered(failure: Failure, context: { requestId: string }, operation: string): Response {
  if (failure.reason !== undefined) {
    logWarning(failure.code, { requestId: context.requestId, operation, reason: failure.reason });
  }
  return problemResponse(failure, context.requestId);
}

async function admit(
  deps: HttpDeps,
  access: RouteDefinition["access"],
  request: Request,
  now: number,
): Promise<Result<Identity, Failure>> {
  if (access === "open") return ok(ANONYMOUS);
  const credential = credentialOf(request);
  if (credential === null) return err(new Failure("unauthenticated"));
  let identity = deps.authenticator.remembered(credential, now);
  if (identity === null) {
    const verified = await deps.authenticator.verify(credential, now);
    if (!verified.ok) {
      const { reason, unavailable } = verified.error;
      return err(new Failure(unavailable === true ? "unavailable" : "unauthenticated", { reason }));
    }
    identity = verified.value;
  }
  if (!permits(access, identity)) {
    return err(new Failure("forbidden", { detail: `Needs one of the roles ${access.join(", ")}.` }));
  }
  const within = deps.withinRateLimit(`${identity.tenant}:${identity.subject}`);
  return (typeof within === "boolean" ? within : await within)
    ? ok(identity)
    : err(new Failure("rate-limited", { retryAfterSeconds: 10 }));
}

function permits(access: readonly string[], identity: Identity): boolean {
  return identity.roles.some((role) => role === "admin" || access.includes(role));
}

async function handle<P extends z.ZodObject, Q extends z.ZodObject, B extends JsonBody | BytesBody | undefined>(
  definition: RouteDefinition<P, Q, B>,
  handler: RouteHandler<P, Q, B>,
  pathParams: () => Record<string, string>,
  context: RequestContext,
): Promise<Response | Failure> {
  let params: unknown;
  let query: unknown;
  let body: unknown;
  if (definition.params) {
    const parsed = definition.params.safeParse(pathParams());
    if (!parsed.success) return new Failure("invalid-request", { issues: issuesOf(parsed.error) });
    params = parsed.data;
  }
  if (definition.query) {
    const search = queryOf(context.request.url);
    if (search instanceof Failure) return search;
    const parsed = definition.query.safeParse(search);
    if (!parsed.success) return new Failure("invalid-request", { issues: issuesOf(parsed.error) });
    query = parsed.data;
  }
  if (definition.body) {
    const read = await readBody(context.request, definition.body);
    if (!read.ok) return read.error;
    body = read.value;
  }
  return await handler({ params, query, body } as RouteInput<P, Q, B>, context);
}

/** Query parameters as an object; a repeated parameter is an error, because nothing here takes lists. */
function queryOf(url: string): Record<string, string> | Failure {
  const start = url.indexOf("?");
  if (start < 0) return {};
  const search: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(url.slice(start + 1))) {
    if (Object.hasOwn(search, name)) {
      return new Failure("invalid-request", { issues: [{ path: name, message: "given more than once" }] });
    }
    search[name] = value;
  }
  return search;
}

import type { Hono } from "hono";
import type { z } from "zod";
import type { BytesBody, JsonBody, RouteDefinition } from "../../models/contract/api/define.ts";
import type { Identity } from "../../models/contract/auth.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { err, ok, type Result } from "../../models/result.ts";
import { parseQuickly } from "../../models/contract/accepts.ts";
import { type Authenticator, credentialOf } from "./authenticator.ts";
import { Failure, problemResponse } from "./failure.ts";
import { issuesOf } from "./issues.ts";
import { JsonAnswer } from "./json-answer.ts";
import { logError, logWarning } from "./log.ts";
import { readBody } from "./read-body.ts";
import { ANONYMOUS, type RequestContext, requestIdOf, traceparentOf } from "./request-context.ts";

type Parsed<S> = S extends z.ZodType ? z.output<S> : undefined;
/** What routes are mounted on. */
export type App = Hono<{ Bindings: object }>;
/** Path parameters, percent-decoded. */
type PathParams = Readonly<Record<string, string>>;
type Answer = Response | JsonAnswer | Failure;
type ParsedBody<B> = B extends JsonBody<infer S> ? z.output<S> : B extends BytesBody ? Uint8Array : undefined;

export interface RouteInput<P, Q, B> {
  readonly params: Parsed<P>;
  readonly query: Parsed<Q>;
  readonly body: ParsedBody<B>;
}

export type RouteHandler<P extends z.ZodObject, Q extends z.ZodObject, B extends JsonBody | BytesBody | undefined> = (
  input: RouteInput<P, Q, B>,
  context: RequestContext,
) => Promise<Answer> | Answer;

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
  app: App,
  deps: HttpDeps,
  definition: RouteDefinition<P, Q, B>,
  handler: RouteHandler<P, Q, B>,
): void {
  const path = definition.path.replaceAll(/\{(\w+)\}/g, ":$1");
  const method = definition.method.toUpperCase();
  const { access, operationId } = definition;
  app.on(method, path, async (c) => {
    const request = c.req.raw;
    const { headers } = request;
    const requestId = requestIdOf(headers);
    const traceparent = traceparentOf(headers);
    const waitUntil = (promise: Promise<unknown>): void => c.executionCtx.waitUntil(promise);
    const now = deps.now();
    let answer: Response | JsonAnswer;
    try {
      const admitted = admit(deps, access, headers, now);
      const allowed = admitted instanceof Promise ? await admitted : admitted;
      if (allowed.ok) {
        const identity = allowed.value;
        const context = { requestId, traceparent, identity, now, metrics: deps.metrics, request, waitUntil };
        const given = await handle(definition, handler, () => c.req.param(), context);
        answer = given instanceof Failure ? rendered(given, context, operationId) : given;
      } else {
        answer = rendered(allowed.error, { requestId }, operationId);
      }
    } catch (error) {
      logError("unhandled error", error, { requestId, operation: operationId });
      answer = problemResponse(new Failure("internal"), requestId);
    }
    const common = commonHeaders(requestId, traceparent, access !== "open");
    const status = answer instanceof JsonAnswer ? 200 : answer.status;
    deps.metrics.count("http_requests_total", { operation: operationId, status: String(status) });
    deps.afterResponse(waitUntil);
    return responseOf(answer, common);
  });
}

function commonHeaders(requestId: string, traceparent: string, isLimited: boolean): Record<string, string> {
  return isLimited
    ? { "x-request-id": requestId, traceparent, "ratelimit-policy": RATE_LIMIT_POLICY }
    : { "x-request-id": requestId, traceparent };
}

/** Each header set on a response is a call into the runtime, so those of a JSON answer are handed over together. */
function responseOf(answer: Response | JsonAnswer, headers: Record<string, string>): Response {
  if (answer instanceof JsonAnswer) {
    headers["content-type"] = "application/json";
    for (const name in answer.headers) headers[name] = answer.headers[name] ?? "";
    return new Response(JSON.stringify(answer.value), { headers });
  }
  for (const name in headers) answer.headers.set(name, headers[name] ?? "");
  return answer;
}

function rendered(failure: Failure, context: { requestId: string }, operation: string): Response {
  if (failure.reason !== undefined) {
    logWarning(failure.code, { requestId: context.requestId, operation, reason: failure.reason });
  }
  return problemResponse(failure, context.requestId);
}

type Admission = Result<Identity, Failure>;

/** At once for a credential that this isolate knows: nothing is awaited that is not there already. */
function admit(
  deps: HttpDeps,
  access: RouteDefinition["access"],
  headers: Headers,
  now: number,
): Admission | Promise<Admission> {
  if (access === "open") return ok(ANONYMOUS);
  const credential = credentialOf(headers);
  if (credential === null) return err(new Failure("unauthenticated"));
  const identity = deps.authenticator.remembered(credential, now);
  return identity === null ? admitUnknown(deps, access, credential, now) : admitKnown(deps, access, identity);
}

async function admitUnknown(
  deps: HttpDeps,
  access: readonly string[],
  credential: string,
  now: number,
): Promise<Admission> {
  const verified = await deps.authenticator.verify(credential, now);
  if (verified.ok) return await admitKnown(deps, access, verified.value);
  const { reason, unavailable } = verified.error;
  return err(new Failure(unavailable === true ? "unavailable" : "unauthenticated", { reason }));
}

function admitKnown(deps: HttpDeps, access: readonly string[], identity: Identity): Admission | Promise<Admission> {
  if (!permits(access, identity)) {
    return err(new Failure("forbidden", { detail: `Needs one of the roles ${access.join(", ")}.` }));
  }
  const verdict = (isWithin: boolean): Admission =>
    isWithin ? ok(identity) : err(new Failure("rate-limited", { retryAfterSeconds: 10 }));
  const within = deps.withinRateLimit(`${identity.tenant}:${identity.subject}`);
  return typeof within === "boolean" ? verdict(within) : within.then(verdict);
}

function permits(access: readonly string[], identity: Identity): boolean {
  return identity.roles.some((role) => role === "admin" || access.includes(role));
}

async function handle<P extends z.ZodObject, Q extends z.ZodObject, B extends JsonBody | BytesBody | undefined>(
  definition: RouteDefinition<P, Q, B>,
  handler: RouteHandler<P, Q, B>,
  pathParams: () => PathParams,
  context: RequestContext,
): Promise<Answer> {
  let params: unknown;
  let query: unknown;
  let body: unknown;
  if (definition.params) {
    const parsed = parseQuickly<z.ZodObject>(definition.params, pathParams());
    if (!parsed.success) return new Failure("invalid-request", { issues: issuesOf(parsed.error) });
    params = parsed.data;
  }
  if (definition.query) {
    const search = queryOf(context.request.url);
    if (search instanceof Failure) return search;
    const parsed = parseQuickly<z.ZodObject>(definition.query, search);
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
      return new Failure("invalid-request", { issues: [{ path: `/${name}`, message: "given more than once" }] });
    }
    search[name] = value;
  }
  return search;
}

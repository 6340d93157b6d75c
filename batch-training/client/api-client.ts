import type { ResponseDefinition, RouteDefinition } from "../../models/contract/api/define.ts";
import { Problem } from "../../models/contract/errors.ts";
import { ApiError, describeProblem, retryAfterMs } from "./api-error.ts";
import type { ApiArguments, ApiCallOptions, ApiResponse } from "./api-types.ts";

/** 30 s: the slowest operation, publishing a model, proves it on its golden vectors within seconds. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** 64 MiB: twice the largest model file; an object of the event log is far smaller. */
const DEFAULT_MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

export interface ApiClientOptions {
  /** Where the Worker answers, such as `http://127.0.0.1:8787`; a path is kept as a prefix. */
  readonly baseUrl: string;
  /** JWT or API key, sent as a bearer token. */
  readonly token?: string;
  readonly fetch?: typeof globalThis.fetch;
  /** Epoch milliseconds; read for `Retry-After` dates only. */
  readonly now?: () => number;
  readonly timeoutMs?: number;
  readonly maxResponseBytes?: number;
}

export interface ApiClient {
  readonly baseUrl: string;
  /**
   * Calls one operation of the contract. The request is typed by the route; the answer is parsed by the schema of its status.
   * Makes one attempt: who may repeat a call, and when, is the caller's knowledge (`ApiError.retryable`).
   * @throws {ApiError} for every answer that the route does not describe as a success
   */
  call<R extends RouteDefinition>(route: R, ...request: ApiArguments<R>): Promise<ApiResponse<R>>;
}

interface AnyRequest extends ApiCallOptions {
  readonly params?: Readonly<Record<string, unknown>> | undefined;
  readonly query?: Readonly<Record<string, unknown>> | undefined;
  readonly body?: unknown;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

/** A thin client of the HTTP API, derived from the contract's routes. */
export function createApiClient(options: ApiClientOptions): ApiClient {
  const baseUrl = checkBaseUrl(options.baseUrl);
  const fetch = options.fetch ?? globalThis.fetch;
  const now = options.now ?? Date.now;
  const maxBytes = options.maxResponseBytes ?? DEFAULT_MAX_RESPONSE_BYTES;
  const defaultTimeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;

  async function exchange(route: RouteDefinition, request: AnyRequest): Promise<Answer> {
    const url = baseUrl + pathOf(route, request.params) + queryOf(request.query);
    const headers = new Headers(request.headers);
    headers.set("accept", "application/json, application/problem+json, */*");
    if (options.token !== undefined) headers.set("authorization", `Bearer ${options.token}`);
    const body = bodyOf(route, request.body);
    if (body !== undefined && !headers.has("content-type"))
      headers.set("content-type", route.body?.contentTypes.at(-1) ?? "application/octet-stream");

    const timeoutMs = request.timeoutMs ?? defaultTimeoutMs;
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([request.signal, timeout]);
    try {
      const response = await fetch(url, {
        method: route.method.toUpperCase(),
        headers,
        signal,
        redirect: "error",
        ...(body === undefined ? {} : { body }),
      });
      return { status: response.status, headers: response.headers, bytes: await readBounded(response, maxBytes) };
    } catch (cause) {
      if (cause instanceof ApiError) throw cause;
      if (request.signal?.aborted === true) throw cause;
      if (timeout.aborted)
        throw new ApiError(`${route.operationId}: no answer from ${baseUrl} within ${timeoutMs} ms.`, {
          kind: "timeout",
          cause,
        });
      throw new ApiError(
        `${route.operationId}: ${baseUrl} cannot be reached (${reasonOf(cause)}). Is the server running there?`,
        { kind: "unreachable", cause },
      );
    }
  }

  return {
    baseUrl,
    async call(route, ...[request]) {
      const answer = await exchange(route, request ?? {});
      return read(route, answer, now()) as ApiResponse<typeof route>;
    },
  };
}

function checkBaseUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "" || url.hash !== "")
    throw new TypeError(
      `"${text}" is not a base URL. Give the scheme, host and port of the Worker, such as http://127.0.0.1:8787.`,
    );
  return url.href.replace(/\/+$/, "");
}

function pathOf(route: RouteDefinition, params: AnyRequest["params"] = {}): string {
  return route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    if (typeof value !== "string" || value === "")
      throw new TypeError(`${route.operationId} needs the path parameter "${name}".`);
    return encodeURIComponent(value);
  });
}

function queryOf(query: AnyRequest["query"] = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean")
      throw new TypeError(`The query parameter "${name}" must be text, a number or a boolean.`);
    search.set(name, String(value));
  }
  return search.size === 0 ? "" : `?${search.toString()}`;
}

function bodyOf(route: RouteDefinition, body: unknown): Uint8Array<ArrayBuffer> | undefined {
  if (route.body === undefined) return undefined;
  const bytes = new Uint8Array(
    body instanceof Uint8Array ? body : new TextEncoder().encode(JSON.stringify(body) ?? "null"),
  );
  if (bytes.byteLength > route.body.maxBytes)
    throw new TypeError(
      `The body for ${route.operationId} has ${bytes.byteLength} bytes; the route accepts ${route.body.maxBytes}.`,
    );
  return bytes;
}

async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  if (response.body !== null)
    for await (const chunk of response.body) {
      total += chunk.byteLength;
      if (total > maxBytes)
        throw new ApiError(`The answer is larger than ${maxBytes} bytes.`, {
          kind: "unexpected-answer",
          status: response.status,
        });
      chunks.push(chunk);
    }
  return Buffer.concat(chunks, total);
}

function read(route: RouteDefinition, answer: Answer, now: number): unknown {
  const { status, headers } = answer;
  const contentType = headers.get("content-type") ?? "";
  const definition = route.responses[status];
  if (definition === undefined || contentType.startsWith("application/problem+json")) throw errorOf(route, answer, now);
  return { status, headers, body: readBody(route, definition, answer) };
}

function readBody(route: RouteDefinition, definition: ResponseDefinition, answer: Answer): unknown {
  if (definition.schema === undefined)
    return definition.contentType?.startsWith("text/") === true ? textOf(answer) : answer.bytes;
  const json = jsonOf(answer);
  const parsed = definition.schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = issue === undefined ? "" : ` at /${issue.path.map(String).join("/")}: ${issue.message}`;
  throw new ApiError(
    `${route.operationId}: the answer (status ${answer.status}) does not match the contract${where}. ` +
      "Do the server and this program have the same version?",
    { kind: "unexpected-answer", status: answer.status },
  );
}

function errorOf(route: RouteDefinition, answer: Answer, now: number): ApiError {
  const wait = retryAfterMs(answer.headers.get("retry-after"), now);
  const details = { status: answer.status, ...(wait === null ? {} : { retryAfterMs: wait }) };
  const problem = Problem.safeParse(jsonOf(answer));
  if (problem.success)
    return new ApiError(`${route.operationId}: ${describeProblem(problem.data)}`, {
      kind: "problem",
      problem: problem.data,
      ...details,
    });
  const excerpt = textOf(answer).slice(0, 200).replaceAll(/\s+/g, " ").trim();
  return new ApiError(
    `${route.operationId}: unexpected answer, status ${answer.status}${excerpt === "" ? "" : `: ${excerpt}`}. ` +
      "Is an Edgewise Worker answering at this address?",
    { kind: "unexpected-answer", ...details },
  );
}

function textOf(answer: Answer): string {
  return new TextDecoder().decode(answer.bytes);
}

/** The parsed body; undefined, which no schema takes, when it is not JSON. */
function jsonOf(answer: Answer): unknown {
  try {
    return JSON.parse(textOf(answer));
  } catch {
    return undefined;
  }
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const inner = cause.cause;
  const code = inner instanceof Error && "code" in inner ? String(inner.code) : "";
  return code === "" ? cause.message : code;
}

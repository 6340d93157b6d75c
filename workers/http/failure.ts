import { ERROR_DEFINITIONS, type ErrorCode, type Issue, type Problem } from "../../models/contract/errors.ts";

/** An expected failure on its way to the one renderer. `reason` is for the log only. */
export class Failure {
  readonly code: ErrorCode;
  readonly detail: string | undefined;
  readonly issues: readonly Issue[] | undefined;
  readonly reason: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    more: { detail?: string; issues?: readonly Issue[]; reason?: string; retryAfterSeconds?: number } = {},
  ) {
    this.code = code;
    this.detail = more.detail;
    this.issues = more.issues;
    this.reason = more.reason;
    this.retryAfterSeconds = more.retryAfterSeconds;
  }
}

/** How many issues one problem document lists: enough to fix a request, not to flood a log. */
const MAX_ISSUES = 50;

/** The only place where an error becomes a response: RFC 9457 problem details. */
export function problemResponse(failure: Failure, requestId: string): Response {
  const { status, title } = ERROR_DEFINITIONS[failure.code];
  const problem: Problem = {
    type: `/docs/errors#${failure.code}`,
    title,
    status,
    code: failure.code,
    requestId,
    ...(failure.detail !== undefined && { detail: failure.detail }),
    ...(failure.issues !== undefined && { issues: failure.issues.slice(0, MAX_ISSUES) }),
  };
  const headers = new Headers({ "content-type": "application/problem+json" });
  if (failure.code === "unauthenticated") headers.set("www-authenticate", 'Bearer realm="edgewise"');
  if (failure.code === "rate-limited" || failure.code === "unavailable") {
    headers.set("retry-after", String(failure.retryAfterSeconds ?? 1));
  }
  return new Response(JSON.stringify(problem), { status, headers });
}

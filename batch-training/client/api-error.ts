import type { ErrorCode, Problem } from "../../models/contract/errors.ts";

/**
 * How a call failed.
 * - `problem`: the server answered with a problem document (RFC 9457).
 * - `unreachable`: no connection, or it broke before the answer was complete; the server may have acted.
 * - `timeout`: no complete answer in time; the server may have acted.
 * - `unexpected-answer`: an answer that the contract does not describe; usually a proxy, or another version of the server.
 */
export type ApiErrorKind = "problem" | "unreachable" | "timeout" | "unexpected-answer";

export interface ApiErrorDetails {
  readonly kind: ApiErrorKind;
  readonly status?: number;
  readonly problem?: Problem;
  /** Milliseconds that the server asks to wait (Retry-After, RFC 9110 section 10.2.3). */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** A call of the HTTP API that did not give one of the route's described answers. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly kind: ApiErrorKind;
  readonly status: number | null;
  readonly problem: Problem | null;
  readonly code: ErrorCode | null;
  readonly retryAfterMs: number | null;

  constructor(message: string, details: ApiErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = details.kind;
    this.status = details.status ?? null;
    this.problem = details.problem ?? null;
    this.code = details.problem?.code ?? null;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }

  /** True when the same call may succeed later: no connection, no answer in time, overload, or a fault of the server. */
  get retryable(): boolean {
    if (this.kind === "unreachable" || this.kind === "timeout") return true;
    return this.status !== null && (this.status === 429 || this.status >= 500);
  }
}

/**
 * Milliseconds named by a `Retry-After` value: seconds, or an HTTP date read against `now`. Null when absent or unreadable.
 */
export function retryAfterMs(value: string | null, now: number): number | null {
  if (value === null) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** What a person needs to know about a problem document: what, where, and the id to ask about. */
export function describeProblem(problem: Problem): string {
  const issues = (problem.issues ?? []).slice(0, 5).map((issue) => `${issue.path}: ${issue.message}`);
  const parts = [problem.title, problem.detail, ...issues].filter((part) => part !== undefined);
  return `${parts.join(" ")} (${problem.code}, status ${problem.status}, request ${problem.requestId})`;
}

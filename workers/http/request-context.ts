import type { Identity } from "../../models/contract/auth.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";

/** What every handler gets beside its parsed input. */
export interface RequestContext {
  readonly requestId: string;
  readonly traceparent: string;
  /** Null on open routes. */
  readonly identity: Identity;
  /** Epoch milliseconds at the start of the request. */
  readonly now: number;
  readonly metrics: MetricRegistry;
  readonly request: Request;
  waitUntil(promise: Promise<unknown>): void;
}

/** The identity of a caller on an open route: may do nothing that needs a role. */
export const ANONYMOUS: Identity = { tenant: "default", subject: "anonymous", roles: [] };

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
/** W3C Trace Context, version 00 (https://www.w3.org/TR/trace-context/). */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The caller's request id when it is one, else a new one. */
export function requestIdOf(headers: Headers): string {
  const given = headers.get("x-request-id");
  return given !== null && REQUEST_ID.test(given) ? given : crypto.randomUUID();
}

/** A child of the caller's trace, or a new trace. */
export function traceparentOf(headers: Headers): string {
  const header = headers.get("traceparent");
  const span = randomHex(8);
  const given = header === null ? null : TRACEPARENT.exec(header);
  return given ? `00-${given[1]}-${span}-${given[3]}` : `00-${randomHex(16)}-${span}-00`;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Random bytes are drawn in blocks: one call for a hundred requests. */
const random = new Uint8Array(2_048);
let drawn = random.length;

function randomHex(bytes: number): string {
  if (drawn + bytes > random.length) {
    crypto.getRandomValues(random);
    drawn = 0;
  }
  let text = "";
  for (const end = drawn + bytes; drawn < end; drawn++) text += HEX[random[drawn] as number];
  return text;
}

import { retryAfterMs } from "../client/api-error.ts";

export interface BucketErrorDetails {
  /** S3's own (`AccessDenied`, `NoSuchBucket`), or ours: `unreachable`, `conflict`, `lost`. */
  readonly code: string;
  readonly status?: number;
  readonly retryAfterMs?: number | null;
  readonly cause?: unknown;
}

/** An object that could not be stored or read; the message says what to do where that is known. */
export class BucketError extends Error {
  override readonly name = "BucketError";
  readonly code: string;
  readonly status: number | null;
  readonly retryAfterMs: number | null;

  constructor(message: string, details: BucketErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.status = details.status ?? null;
    this.retryAfterMs = details.retryAfterMs ?? null;
  }

  /** True when the same request may succeed later: no connection, overload, a fault of the server, or another writer at the same moment. */
  get retryable(): boolean {
    if (this.code === "unreachable" || this.code === "ConditionalRequestConflict") return true;
    return (
      this.status !== null && (this.status === 408 || this.status === 429 || this.status >= 500) && this.status !== 501
    );
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  AccessDenied: "The key may not write to this bucket: an R2 API token needs Object Read & Write.",
  InvalidAccessKeyId: "The endpoint does not know this access key. Is the endpoint that of its account?",
  SignatureDoesNotMatch: "The secret access key is not the access key's.",
  RequestTimeTooSkewed: "This machine's clock is wrong.",
  NoSuchBucket: "There is no such bucket at this endpoint.",
  BadDigest: "The bytes changed on the way.",
};

/** Longest part of a server's message that is repeated, in characters. */
const MAX_MESSAGE_CHARACTERS = 300;

/** An error document of S3 (`<Error><Code>…</Code><Message>…</Message></Error>`), or whatever came in its place. */
export function readBucketError(what: string, response: Response, body: Uint8Array): BucketError {
  const text = new TextDecoder().decode(body.subarray(0, 8_192));
  const code = /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(text)?.[1] ?? `status ${response.status}`;
  const message = /<Message>([^<]*)<\/Message>/.exec(text)?.[1]?.slice(0, MAX_MESSAGE_CHARACTERS);
  const parts = [`${what}: ${code}`, message, ADVICE[code]].filter((part) => part !== undefined && part !== "");
  return new BucketError(parts.join(". "), {
    code,
    status: response.status,
    retryAfterMs: retryAfterMs(response.headers.get("retry-after"), Date.now()),
  });
}

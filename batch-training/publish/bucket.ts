/** A bucket behind the S3 protocol, as R2 offers it: objects are created once, with their SHA-256 checked, and never replaced. */
import { AwsClient } from "aws4fetch";
import { BucketError, readBucketError } from "./bucket-error.ts";
import { sha256Of } from "./publish-model.ts";

export interface BucketOptions {
  /** Such as `https://ACCOUNT.r2.cloudflarestorage.com`, without the bucket. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** R2's only one is `auto`. */
  readonly region?: string | undefined;
  readonly fetch?: typeof globalThis.fetch;
  readonly sleep?: (milliseconds: number) => Promise<void>;
  /** [0, 1): spreads the retries of several machines. */
  readonly random?: () => number;
  readonly signal?: AbortSignal | undefined;
}

/** What a put found: nothing (`created`), or the same bytes (`same`). Other bytes are an error. */
export type PutOutcome = "created" | "same";

/** Six attempts over about 15 s: a server that restarts is back by then, a wrong configuration is not waited for. */
const MAX_ATTEMPTS = 6;
const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 8_000;
/** 32 MiB, the largest model file, at 300 kB/s. */
const TIMEOUT_MS = 120_000;
/** Twice the largest model file: what is read back is one of ours. */
const MAX_OBJECT_BYTES = 64 * 1024 * 1024;

export class Bucket {
  readonly #client: AwsClient;
  readonly #options: BucketOptions;
  readonly #base: string;

  constructor(options: BucketOptions) {
    this.#options = options;
    this.#base = `${checkEndpoint(options.endpoint)}/${options.bucket}`;
    this.#client = new AwsClient({
      accessKeyId: options.accessKeyId,
      secretAccessKey: options.secretAccessKey,
      ...(options.sessionToken !== undefined && { sessionToken: options.sessionToken }),
      service: "s3",
      region: options.region ?? "auto",
    });
  }

  /** For people: where the bucket is. */
  get address(): string {
    return this.#base;
  }

  /**
   * Creates an object, or finds the same one there: what an interrupted publication left is not sent again. The server verifies the
   * signed SHA-256 on the way in; afterwards it is asked, or the object is read back.
   * @throws {BucketError} `conflict` where other bytes have the name
   */
  async putOnce(key: string, bytes: Uint8Array, contentType: string): Promise<PutOutcome> {
    const sha256 = sha256Of(bytes);
    const before = await this.sha256Of(key);
    if (before !== null) return sameOrConflict(key, before, sha256);
    const created = await this.#create(key, bytes, { sha256, contentType });
    const after = await this.sha256Of(key);
    if (after === null) throw new BucketError(`${key} is not there although it was stored`, { code: "lost" });
    sameOrConflict(key, after, sha256);
    return created ? "created" : "same";
  }

  /** SHA-256 of a stored object in hexadecimal, by its recorded checksum or its bytes; null: there is none. */
  async sha256Of(key: string): Promise<string | null> {
    const head = await this.#request("HEAD", key, {
      headers: { "x-amz-checksum-mode": "ENABLED" },
      expect: [200, 400, 403, 404],
    });
    if (head.status === 404) return null;
    // An answer to HEAD has no body that could say what is wrong; the answer to GET has.
    const isRefused = head.status !== 200;
    const checksum = head.headers.get("x-amz-checksum-sha256");
    if (!isRefused && checksum !== null && head.headers.get("x-amz-checksum-type") !== "COMPOSITE")
      return Buffer.from(checksum, "base64").toString("hex");
    const bytes = await this.get(key);
    return bytes === null ? null : sha256Of(bytes);
  }

  /** The bytes of an object; null: there is none. */
  async get(key: string): Promise<Uint8Array | null> {
    const response = await this.#request("GET", key, { expect: [200, 404] });
    if (response.status === 404) return null;
    return response.body;
  }

  /** False where an object has the name by now: this attempt's own, whose answer was lost, or another's. */
  async #create(key: string, bytes: Uint8Array, about: { sha256: string; contentType: string }): Promise<boolean> {
    const { status } = await this.#request("PUT", key, {
      body: bytes,
      sha256: about.sha256,
      headers: {
        "content-type": about.contentType,
        "if-none-match": "*",
        "x-amz-checksum-sha256": Buffer.from(about.sha256, "hex").toString("base64"),
      },
      expect: [200, 412],
    });
    return status === 200;
  }

  async #request(method: string, key: string, request: BucketRequest): Promise<BucketAnswer> {
    const { sleep = wait, random = Math.random, signal } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const failure = await this.#attempt(method, key, request);
      if (!(failure instanceof BucketError)) return failure;
      if (!failure.retryable || attempt === MAX_ATTEMPTS) throw failure;
      signal?.throwIfAborted();
      const delay = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt - 1));
      await sleep(failure.retryAfterMs ?? delay * (0.5 + random() / 2));
    }
  }

  /** Signed anew at each attempt: a signature is good for fifteen minutes. */
  async #attempt(method: string, key: string, request: BucketRequest): Promise<BucketAnswer | BucketError> {
    const { fetch = globalThis.fetch, signal } = this.#options;
    const url = `${this.#base}/${key.split("/").map(encodeURIComponent).join("/")}`;
    const body = request.body && new Uint8Array(request.body);
    const signed = await this.#client.sign(url, {
      method,
      headers: { ...request.headers, "x-amz-content-sha256": request.sha256 ?? sha256Of("") },
      ...(body && { body }),
      aws: { allHeaders: true },
    });
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    try {
      const response = await fetch(url, {
        method,
        headers: signed.headers,
        redirect: "error",
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        ...(body && { body }),
      });
      const bytes = await readBounded(response, key);
      if (request.expect.includes(response.status))
        return { status: response.status, headers: response.headers, body: bytes };
      return readBucketError(`${method} ${key}`, response, bytes);
    } catch (cause) {
      if (cause instanceof BucketError) return cause;
      signal?.throwIfAborted();
      const why = timeout.aborted ? `no answer within ${TIMEOUT_MS / 1_000} s` : reasonOf(cause);
      return new BucketError(`${method} ${key}: ${this.#base} cannot be reached (${why})`, {
        code: "unreachable",
        cause,
      });
    }
  }
}

interface BucketRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Of the body. */
  readonly sha256?: string;
  readonly expect: readonly number[];
}

interface BucketAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

function sameOrConflict(key: string, found: string, wanted: string): "same" {
  if (found === wanted) return "same";
  throw new BucketError(`${key} exists with other content (SHA-256 ${found}, not ${wanted}); objects never change`, {
    code: "conflict",
  });
}

async function readBounded(response: Response, key: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.byteLength;
    if (total > MAX_OBJECT_BYTES)
      throw new BucketError(`${key} is larger than ${MAX_OBJECT_BYTES} bytes; it is no file of a model`, {
        code: "conflict",
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total);
}

function checkEndpoint(text: string): string {
  const url = URL.parse(text);
  if (
    url === null ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== "" ||
    url.search !== "" ||
    url.pathname !== "/"
  )
    throw new TypeError(
      `"${text}" is no S3 endpoint. Give scheme and host alone, such as https://ACCOUNT.r2.cloudflarestorage.com; the bucket is named separately.`,
    );
  return url.origin;
}

function reasonOf(cause: unknown): string {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  return inner instanceof Error ? inner.message : String(inner);
}

const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

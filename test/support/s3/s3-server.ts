/**
 * A strict little S3: one bucket, path style, PUT, GET and HEAD of objects. It takes only requests with a correct SigV4 signature that
 * covers every header it acts on, verifies checksums, creates conditionally, and can be told to fail.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { readAuthorization, sha256, signatureOf } from "./signature-v4.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** What becomes of a request: an error status, its connection cut before it is done (`cut`) or after (`lost`), or nothing special. */
export type Fault = number | "cut" | "lost" | null;

export interface Received {
  readonly method: string;
  readonly key: string;
  readonly status: number | "cut" | "lost";
}

/** Signatures are good for this long, as at Amazon. */
const MAX_SKEW_MS = 15 * 60_000;

export class S3Server {
  readonly objects = new Map<string, Uint8Array>();
  readonly received: Received[] = [];
  /** Asked before each request is served. */
  fault: (method: string, key: string) => Fault = () => null;
  /** Whether HEAD tells the stored checksum; some servers only keep it. */
  tellsChecksum = true;
  now: () => number = Date.now;
  /** Told of every object that was created, before the answer. */
  onCreated: (key: string, bytes: Uint8Array) => Promise<void> = async () => {};
  readonly #credentials: S3Credentials;
  readonly #bucket: string;
  readonly #server: Server;

  constructor(bucket: string, credentials: S3Credentials) {
    this.#bucket = bucket;
    this.#credentials = credentials;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, "127.0.0.1", resolve);
    });
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    const key = decodeURIComponent((url.split("?")[0] ?? "").slice(this.#bucket.length + 2));
    const body = await buffer(request);
    const fault = this.fault(method, key);
    const log = (status: Received["status"]): void => void this.received.push({ method, key, status });
    if (fault === "cut") {
      log("cut");
      request.socket.destroy();
      return;
    }
    const answer = typeof fault === "number" ? error(fault, "InternalError") : this.#answer(request, key, body);
    if (method === "PUT" && answer.status === 200) await this.onCreated(key, body);
    log(fault === "lost" ? "lost" : answer.status);
    if (fault === "lost") request.socket.destroy();
    else response.writeHead(answer.status, answer.headers).end(method === "HEAD" ? undefined : answer.body);
  }

  #answer(request: IncomingMessage, key: string, body: Uint8Array): Answer {
    const refusal = this.#refusal(request, body);
    if (refusal) return refusal;
    const stored = this.objects.get(key);
    const { headers, method } = request;
    if (method === "PUT") {
      const condition = headers["if-none-match"];
      if (condition !== undefined && condition !== "*") return error(501, "NotImplemented");
      if (condition === "*" && stored) return error(412, "PreconditionFailed");
      this.objects.set(key, Uint8Array.from(body));
      return { status: 200, headers: { etag: `"${sha256(body).slice(0, 32)}"` } };
    }
    if (!stored) return error(404, "NoSuchKey");
    const asked = headers["x-amz-checksum-mode"] === "ENABLED" && this.tellsChecksum;
    const checksum = asked ? { "x-amz-checksum-sha256": Buffer.from(sha256(stored), "hex").toString("base64") } : {};
    return { status: 200, headers: { "content-length": String(stored.byteLength), ...checksum }, body: stored };
  }

  /** Why the request is not one of the key's holder, or not what was sent. */
  #refusal(request: IncomingMessage, body: Uint8Array): Answer | null {
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, [value].flat().join(",")]),
    );
    const authorization = readAuthorization(headers["authorization"] ?? "");
    const { accessKeyId, secretAccessKey, sessionToken } = this.#credentials;
    if (!authorization) return error(400, "AuthorizationHeaderMalformed");
    if (authorization.accessKeyId !== accessKeyId) return error(403, "InvalidAccessKeyId");
    if (headers["x-amz-security-token"] !== sessionToken) return error(403, "InvalidToken");
    const covered = new Set(authorization.signedHeaders);
    const acted = Object.keys(headers).filter(
      (name) => name.startsWith("x-amz-") || ["host", "content-type", "if-none-match"].includes(name),
    );
    if (acted.some((name) => !covered.has(name))) return error(403, "AccessDenied");
    const { method = "", url = "" } = request;
    if (signatureOf({ method, target: url, headers }, authorization, secretAccessKey) !== authorization.signature)
      return error(403, "SignatureDoesNotMatch");
    const signedAt = Date.parse(
      (headers["x-amz-date"] ?? "").replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"),
    );
    if (!(Math.abs(signedAt - this.now()) <= MAX_SKEW_MS)) return error(403, "RequestTimeTooSkewed");
    if (headers["x-amz-content-sha256"] !== sha256(body)) return error(400, "XAmzContentSHA256Mismatch");
    const checksum = headers["x-amz-checksum-sha256"];
    if (checksum !== undefined && Buffer.from(checksum, "base64").toString("hex") !== sha256(body))
      return error(400, "BadDigest");
    return url.startsWith(`/${this.#bucket}/`) ? null : error(404, "NoSuchBucket");
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body?: Uint8Array;
}

function error(status: number, code: string): Answer {
  const body = new TextEncoder().encode(
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>said the test</Message></Error>`,
  );
  return { status, headers: { "content-type": "application/xml", "content-length": String(body.length) }, body };
}

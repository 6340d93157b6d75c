/**
 * AWS Signature Version 4 for header authentication, written from the specification ("Authenticating Requests: Using the Authorization
 * Header (AWS Signature Version 4)", Amazon S3 API reference) and sharing nothing with the client under test.
 */
import { createHash, createHmac } from "node:crypto";

export interface SignedRequest {
  readonly method: string;
  /** As on the request line: percent-encoded, with its query. */
  readonly target: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface Authorization {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

export function readAuthorization(header: string): Authorization | null {
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/(\d{8})\/([^/,]+)\/([^/,]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  if (!found) return null;
  const [, accessKeyId = "", date = "", region = "", service = "", signedHeaders = "", signature = ""] = found;
  return { accessKeyId, date, region, service, signedHeaders: signedHeaders.split(";"), signature };
}

/** The signature that the request must carry. */
export function signatureOf(request: SignedRequest, authorization: Authorization, secretAccessKey: string): string {
  const { date, region, service } = authorization;
  const scope = `${date}/${region}/${service}/aws4_request`;
  const canonical = sha256(canonicalRequest(request, authorization.signedHeaders));
  const text = ["AWS4-HMAC-SHA256", request.headers["x-amz-date"] ?? "", scope, canonical].join("\n");
  const key = [date, region, service, "aws4_request"].reduce<Buffer>(
    (last, part) => hmac(last, part),
    Buffer.from(`AWS4${secretAccessKey}`),
  );
  return hmac(key, text).toString("hex");
}

function canonicalRequest({ method, target, headers }: SignedRequest, signedHeaders: readonly string[]): string {
  const [path = "", query = ""] = target.split("?", 2);
  const parameters = query
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const [name = "", value = ""] = part.split("=", 2);
      return [encode(decodeURIComponent(name)), encode(decodeURIComponent(value))] as const;
    })
    .toSorted(([one, first], [other, second]) => order(one, other) || order(first, second));
  return [
    method,
    path
      .split("/")
      .map((segment) => encode(decodeURIComponent(segment)))
      .join("/"),
    parameters.map(([name, value]) => `${name}=${value}`).join("&"),
    ...signedHeaders.map((name) => `${name}:${(headers[name] ?? "").trim().replaceAll(/\s+/g, " ")}`),
    "",
    signedHeaders.join(";"),
    headers["x-amz-content-sha256"] ?? "",
  ].join("\n");
}

/** Every byte but the unreserved characters of RFC 3986. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const order = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);
const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
export const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

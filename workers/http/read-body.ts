import type { BytesBody, JsonBody } from "../../models/contract/api/define.ts";
import { parseQuickly } from "../../models/contract/accepts.ts";
import { err, ok, type Result } from "../../models/result.ts";
import { Failure } from "./failure.ts";
import { issuesOf } from "./issues.ts";

/** Reads at most `maxBytes` of the body; stops reading, and never holds more, once it is longer. */
export async function readBytes(request: Request, maxBytes: number): Promise<Result<Uint8Array, Failure>> {
  const tooLarge = err(new Failure("body-too-large", { detail: `At most ${maxBytes} bytes are read here.` }));
  const declared = Number(request.headers.get("content-length") ?? Number.NaN);
  if (declared > maxBytes) return tooLarge;
  // With a declared length the runtime enforces it, so the whole body can be taken at once.
  if (Number.isFinite(declared)) return ok(new Uint8Array(await request.arrayBuffer()));
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  for (;;) {
    const chunk = await reader?.read();
    if (!chunk || chunk.done) break;
    const { value } = chunk;
    length += value.byteLength;
    if (length > maxBytes) {
      await reader?.cancel();
      return tooLarge;
    }
    chunks.push(value);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return ok(bytes);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
const encoder = new TextEncoder();

/** What a decoder that does not give up puts in the place of bytes that are no UTF-8. */
const REPLACEMENT = "\uFFFD";

/** A body of declared length is decoded by the runtime as it is read, without an array of its bytes in between. */
async function readText(request: Request, maxBytes: number): Promise<Result<string, Failure>> {
  const notUtf8 = (): Result<string, Failure> =>
    err(new Failure("invalid-json", { detail: "The body is not UTF-8 text." }));
  const declared = Number(request.headers.get("content-length") ?? Number.NaN);
  if (declared <= maxBytes) {
    const text = await request.text();
    return text.includes(REPLACEMENT) && !isEncodedIn(declared, text) ? notUtf8() : ok(text);
  }
  const bytes = await readBytes(request, maxBytes);
  if (!bytes.ok) return bytes;
  try {
    return ok(decoder.decode(bytes.value));
  } catch {
    return notUtf8();
  }
}

/**
 * Whether a text with U+FFFD in it was sent with it: what stands for bytes that are no UTF-8 is three bytes long, and they are one or
 * two. (The first three bytes of a sequence of four count as U+FFFD.) A byte order mark is not part of the text.
 */
function isEncodedIn(bytes: number, text: string): boolean {
  const { length } = encoder.encode(text);
  return length === bytes || length + 3 === bytes;
}

function contentTypeOf(request: Request): string {
  const given = request.headers.get("content-type") ?? "";
  return given === "application/json" ? given : (given.split(";")[0]?.trim().toLowerCase() ?? "");
}

/** The body of a route as its definition says: checked media type, bounded, parsed and validated once. */
export async function readBody(request: Request, definition: JsonBody | BytesBody): Promise<Result<unknown, Failure>> {
  const contentType = contentTypeOf(request);
  if (!definition.contentTypes.includes(contentType)) {
    return err(new Failure("unsupported-media-type", { detail: `Send ${definition.contentTypes.join(" or ")}.` }));
  }
  if (definition.kind === "bytes") return await readBytes(request, definition.maxBytes);
  const text = await readText(request, definition.maxBytes);
  if (!text.ok) return text;
  let value: unknown;
  try {
    value = JSON.parse(text.value);
  } catch (error) {
    return err(new Failure("invalid-json", { detail: error instanceof Error ? error.message : "not JSON" }));
  }
  if (definition.validation === "each") return ok(value);
  const parsed = parseQuickly(definition.schema, value);
  return parsed.success ? ok(parsed.data) : err(new Failure("invalid-request", { issues: issuesOf(parsed.error) }));
}

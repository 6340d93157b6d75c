import type { BytesBody, JsonBody } from "../../models/contract/api/define.ts";
import { err, ok, type Result } from "../../models/result.ts";
import { Failure } from "./failure.ts";
import { issuesOf } from "./issues.ts";

function contentTypeOf(request: Request): string {
  return (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

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

async function readText(request: Request, maxBytes: number): Promise<Result<string, Failure>> {
  const bytes = await readBytes(request, maxBytes);
  if (!bytes.ok) return bytes;
  try {
    return ok(decoder.decode(bytes.value));
  } catch {
    return err(new Failure("invalid-json", { detail: "The body is not UTF-8 text." }));
  }
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
  const parsed = definition.schema.safeParse(value);
  return parsed.success ? ok(parsed.data) : err(new Failure("invalid-request", { issues: issuesOf(parsed.error) }));
}

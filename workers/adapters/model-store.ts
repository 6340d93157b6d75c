import { createHash } from "node:crypto";
import { canonicalJson } from "../../models/contract/canonical-json.ts";
import { Manifest, manifestContent } from "../../models/contract/manifest.ts";
import { err, ok, type Result } from "../../models/result.ts";
import type { ManifestTrust } from "./manifest-trust.ts";

const MANIFEST = "manifest.json";

/** Why a stored version cannot be used; the text is for logs and operators. */
export interface ArtefactError {
  readonly kind: "missing" | "corrupt" | "untrusted";
  readonly reason: string;
}

/**
 * Model artefacts in R2: `{tenant}/models/{name}/{version}/…`. Files never change; the manifest is written last, so a version
 * without one does not exist yet.
 */
export class ModelStore {
  readonly #bucket: R2Bucket;
  readonly #trust: ManifestTrust;

  constructor(bucket: R2Bucket, trust: ManifestTrust) {
    this.#bucket = bucket;
    this.#trust = trust;
  }

  /**
   * Stores a file once. The same bytes again are fine (`created: false`), other bytes under the same name are a conflict.
   * R2 verifies the checksum on the way in.
   */
  async putFile(
    place: ArtefactPlace,
    path: string,
    bytes: Uint8Array,
    sha256: string,
  ): Promise<"created" | "same" | "conflict"> {
    const key = keyOf(place, path);
    const created = await this.#bucket.put(key, bytes, { sha256, onlyIf: { etagDoesNotMatch: "*" } });
    if (created !== null) return "created";
    const stored = await this.#bucket.head(key);
    return stored !== null && hexOf(stored.checksums.sha256) === sha256 ? "same" : "conflict";
  }

  /** The bytes of a file with their SHA-256 checked against `sha256`. */
  async readFile(place: ArtefactPlace, path: string, sha256: string): Promise<Result<Uint8Array, ArtefactError>> {
    return verified(path, await this.bytes(place, path), sha256);
  }

  /** The bytes of a file, not verified; null: there is none. */
  async bytes(place: ArtefactPlace, path: string): Promise<Uint8Array | null> {
    const object = await this.#bucket.get(keyOf(place, path));
    return object ? new Uint8Array(await object.arrayBuffer()) : null;
  }

  async stream(place: ArtefactPlace, path: string): Promise<ReadableStream | null> {
    return (await this.#bucket.get(keyOf(place, path)))?.body ?? null;
  }

  /** The manifest of a version, parsed, with its version checked against its content, and its signature. */
  async manifest(place: ArtefactPlace): Promise<Result<Manifest, ArtefactError>> {
    const object = await this.#bucket.get(keyOf(place, MANIFEST));
    if (!object) return err({ kind: "missing", reason: "there is no manifest" });
    return await this.#checked(place, await object.text());
  }

  /** Why nobody should believe the manifest; null: its signature is good, or none is asked for. */
  async distrust(manifest: Manifest): Promise<string | null> {
    return await this.#trust.objection(manifest);
  }

  /**
   * Written last: from here on the version exists. A stored manifest that may be believed stays, whichever trusted key signed it. One that
   * may not (damaged, unsigned, or of a key that was withdrawn) is replaced: the content is the same, because the version is its hash.
   */
  async putManifest(tenant: string, manifest: Manifest): Promise<"created" | "same" | "conflict"> {
    const place = { tenant, name: manifest.name, version: manifest.version };
    const bytes = new TextEncoder().encode(canonicalJson(manifest));
    const sha256 = sha256Of(bytes);
    const written = await this.putFile(place, MANIFEST, bytes, sha256);
    if (written !== "conflict") return written;
    const stored = await this.#bucket.get(keyOf(place, MANIFEST));
    if (stored && (await this.#checked(place, await stored.text())).ok) return "same";
    const onlyIf = stored ? { etagMatches: stored.etag } : { etagDoesNotMatch: "*" };
    return (await this.#bucket.put(keyOf(place, MANIFEST), bytes, { sha256, onlyIf })) ? "created" : "conflict";
  }

  async #checked(place: ArtefactPlace, text: string): Promise<Result<Manifest, ArtefactError>> {
    const corrupt = (reason: string): Result<never, ArtefactError> => err({ kind: "corrupt", reason });
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return corrupt("the manifest is not JSON");
    }
    const manifest = Manifest.safeParse(json);
    if (!manifest.success) return corrupt(`the manifest is not valid: ${manifest.error.issues[0]?.message}`);
    const version = versionOf(manifest.data);
    if (version !== place.version || manifest.data.name !== place.name)
      return corrupt(`the manifest's content is version ${version} of ${manifest.data.name}`);
    const objection = await this.#trust.objection(manifest.data);
    return objection === null ? ok(manifest.data) : err({ kind: "untrusted", reason: objection });
  }

  /** Places of all versions that have a manifest, over all models of a tenant. */
  async *versions(tenant: string): AsyncGenerator<ArtefactPlace> {
    const prefix = `${tenant}/models/`;
    let cursor: string | undefined;
    do {
      const page = await this.#bucket.list({ prefix, ...(cursor !== undefined && { cursor }) });
      for (const object of page.objects) {
        const [name, version, file, ...rest] = object.key.slice(prefix.length).split("/");
        if (name !== undefined && version !== undefined && file === MANIFEST && rest.length === 0)
          yield { tenant, name, version };
      }
      cursor = page.truncated ? page.cursor : undefined;
    } while (cursor !== undefined);
  }
}

export interface ArtefactPlace {
  readonly tenant: string;
  readonly name: string;
  readonly version: string;
}

export function keyOf(place: ArtefactPlace, path: string): string {
  return `${place.tenant}/models/${place.name}/${place.version}/${path}`;
}

/** Bytes whose SHA-256 is the expected one. */
export function verified(path: string, bytes: Uint8Array | null, sha256: string): Result<Uint8Array, ArtefactError> {
  if (!bytes) return err({ kind: "missing", reason: `${path} is missing` });
  const found = sha256Of(bytes);
  return found === sha256
    ? ok(bytes)
    : err({ kind: "corrupt", reason: `${path} hashes to ${found}, the manifest says ${sha256}` });
}

/** The content hash that names a version. */
export function versionOf(manifest: Manifest): string {
  return createHash("sha256")
    .update(canonicalJson(manifestContent(manifest)))
    .digest("hex");
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function hexOf(buffer: ArrayBuffer | undefined): string | null {
  return buffer ? Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("") : null;
}

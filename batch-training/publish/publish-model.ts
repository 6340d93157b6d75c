import { createHash } from "node:crypto";
import { publishVersion, putModelFile } from "../../models/contract/api/models.ts";
import { canonicalJson } from "../../models/contract/canonical-json.ts";
import { type Manifest, manifestContent, ManifestContent } from "../../models/contract/manifest.ts";
import type { ApiClient } from "../client/api-client.ts";
import { type HeldLease, leaseQuery } from "./held-lease.ts";
import type { ManifestSigner } from "./signing.ts";

export interface ModelFileContent {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export const sha256Of = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

/** The manifest of a content: its version is the SHA-256 of the content's canonical JSON. @throws {ZodError} when the content is invalid */
export function manifestOf(content: ManifestContent): Manifest {
  const checked = ManifestContent.parse(content);
  return { ...checked, version: sha256Of(canonicalJson(checked)), signature: null };
}

/** The version that the content of a manifest has, whatever the manifest says. */
export function versionOfContent(manifest: Manifest): string {
  return sha256Of(canonicalJson(manifestContent(manifest)));
}

export function describeFile(file: ModelFileContent): Manifest["files"][number] {
  return { path: file.path, sha256: sha256Of(file.bytes), bytes: file.bytes.byteLength };
}

/**
 * Publishes a version through the Worker's API: files first, each create-only, the manifest last. Until the manifest is accepted the
 * version does not exist, so an interrupted publication is simply repeated. With a signer the manifest is signed first.
 * @throws {ApiError} with the Worker's reason when it refuses
 */
export async function publishModel(
  client: Pick<ApiClient, "call">,
  manifest: Manifest,
  files: readonly ModelFileContent[],
  { signer = null, lease = null }: { signer?: ManifestSigner | null; lease?: HeldLease | null } = {},
): Promise<void> {
  for (const file of files) {
    await client.call(putModelFile, {
      params: { name: manifest.name, version: manifest.version, path: file.path },
      query: { sha256: sha256Of(file.bytes) },
      body: file.bytes,
    });
  }
  await client.call(publishVersion, {
    params: { name: manifest.name },
    ...leaseQuery(lease),
    body: signer?.sign(manifest) ?? manifest,
  });
}

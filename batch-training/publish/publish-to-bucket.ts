import { canonicalJson } from "../../models/contract/canonical-json.ts";
import { Manifest, manifestContent, type ModelFile } from "../../models/contract/manifest.ts";
import type { z } from "zod";
import type { Bucket, PutOutcome } from "./bucket.ts";
import { BucketError } from "./bucket-error.ts";
import { type ModelFileContent, sha256Of } from "./publish-model.ts";

export interface BucketPublication {
  /** Of every file and then the manifest, what was found. */
  readonly outcomes: readonly { readonly key: string; readonly outcome: PutOutcome }[];
}

export const MANIFEST_FILE = "manifest.json";

/**
 * Publishes a version straight into the bucket: every file once, with its SHA-256 checked, the manifest last. Without the manifest the
 * version does not exist, so an interrupted publication leaves nothing visible and is simply repeated; what it stored is not sent again.
 * @throws {TypeError} when files and manifest do not belong together; nothing was sent then
 * @throws {BucketError} with the server's reason
 */
export async function publishToBucket(
  bucket: Bucket,
  tenant: string,
  manifest: Manifest,
  files: readonly ModelFileContent[],
): Promise<BucketPublication> {
  checkFiles(manifest, files);
  const folder = `${tenant}/models/${manifest.name}/${manifest.version}`;
  const outcomes: { key: string; outcome: PutOutcome }[] = [];
  for (const file of files) {
    const key = `${folder}/${file.path}`;
    outcomes.push({ key, outcome: await bucket.putOnce(key, file.bytes, "application/octet-stream") });
  }
  const key = `${folder}/${MANIFEST_FILE}`;
  outcomes.push({ key, outcome: await putManifest(bucket, key, manifest) });
  return { outcomes };
}

/** A manifest of the same content that another key signed, or none, is the same version: whether it may serve is the Worker's to say. */
async function putManifest(bucket: Bucket, key: string, manifest: Manifest): Promise<PutOutcome> {
  try {
    return await bucket.putOnce(key, new TextEncoder().encode(canonicalJson(manifest)), "application/json");
  } catch (error) {
    if (!(error instanceof BucketError) || error.code !== "conflict") throw error;
    const stored = parsed(await bucket.get(key));
    if (stored === null || canonicalJson(manifestContent(stored)) !== canonicalJson(manifestContent(manifest)))
      throw error;
    if (stored.signature?.keyId === manifest.signature?.keyId) return "same";
    const by = stored.signature === null ? "is not signed" : `is signed with key ${stored.signature.keyId}`;
    throw new BucketError(
      `${key} exists and ${by}. Publish it through the Worker (--to worker), which replaces a manifest that it does not trust.`,
      { code: "conflict", cause: error },
    );
  }
}

function parsed(bytes: Uint8Array | null): Manifest | null {
  if (bytes === null) return null;
  try {
    return Manifest.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return null;
  }
}

/** @throws {TypeError} that names the file which is missing, surplus or not what the manifest says */
export function checkFiles(manifest: Manifest, files: readonly ModelFileContent[]): void {
  const given = new Map(files.map((file) => [file.path, file]));
  for (const described of manifest.files) {
    const file = given.get(described.path);
    if (!file) throw new TypeError(`${described.path} is missing: the manifest lists it`);
    if (!isDescribed(described, file))
      throw new TypeError(`${described.path} is not the file that the manifest describes`);
  }
  const surplus = files.find((file) => !manifest.files.some(({ path }) => path === file.path));
  if (surplus) throw new TypeError(`${surplus.path} is not among the manifest's files`);
}

function isDescribed(described: z.infer<typeof ModelFile>, file: ModelFileContent): boolean {
  return described.bytes === file.bytes.byteLength && described.sha256 === sha256Of(file.bytes);
}

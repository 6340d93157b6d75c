import { type Manifest } from "../../models/contract/manifest.ts";
import type { ErrorCode } from "../../models/contract/errors.ts";
import { BUNDLE_FILES } from "../../models/recommend/bundle.ts";
import { err, ok, type Result } from "../../models/result.ts";
import { type ModelStore, versionOf } from "../adapters/model-store.ts";

export interface PublishDeps {
  readonly store: ModelStore;
  /** Whether this deployment has the feature service the model is pinned to; null service hashes never match. */
  readonly knowsFeatureService: (name: string, hash: string) => boolean;
  /** Loads the model and scores its golden vectors; the reason when it must not serve. */
  readonly prove: (
    tenant: string,
    manifest: Manifest,
    files: ReadonlyMap<string, Uint8Array>,
  ) => Promise<Result<null, string>>;
  readonly register: (tenant: string, manifest: Manifest, by: string) => Promise<void>;
}

export interface PublishError {
  readonly code: Extract<
    ErrorCode,
    "manifest-refused" | "signature-refused" | "model-refused" | "artifact-exists" | "feature-set-unknown"
  >;
  readonly detail: string;
}

/** The file that a scoring model is loaded from. */
const MODEL_FILE = "model.onnx";

/** Files that a version of a kind is opened from: those that must be there, then those that may. */
export function filesToProve(manifest: Manifest): { readonly required: string[]; readonly optional: string[] } {
  if (manifest.kind !== "retrieval") return { required: [MODEL_FILE], optional: [] };
  return { required: [BUNDLE_FILES.items, BUNDLE_FILES.retrieval], optional: [BUNDLE_FILES.ranker] };
}

/**
 * Publishes a version whose files are stored already: the manifest must be signed by a trusted key, be what its version says, describe the files that are
 * there byte for byte, be pinned to a known feature service, and the model must reproduce its golden vectors. Then, and only
 * then, the manifest is written and the version registered. Repeating it after a crash at any point gives the same result.
 */
export async function publishVersion(
  deps: PublishDeps,
  request: { tenant: string; name: string; manifest: Manifest; by: string },
): Promise<Result<{ created: boolean }, PublishError>> {
  const { tenant, manifest } = request;
  const refuse = (code: PublishError["code"], detail: string): Result<never, PublishError> => err({ code, detail });
  if (manifest.name !== request.name) return refuse("manifest-refused", `the manifest is of model ${manifest.name}`);
  const version = versionOf(manifest);
  const objection = await deps.store.distrust(manifest);
  if (objection !== null) return refuse("signature-refused", objection);
  if (version !== manifest.version) return refuse("manifest-refused", `the content hashes to ${version}`);
  if (!deps.knowsFeatureService(manifest.featureService.name, manifest.featureService.hash)) {
    return refuse("feature-set-unknown", `${manifest.featureService.name} with hash ${manifest.featureService.hash}`);
  }
  const place = { tenant, name: manifest.name, version };
  const { required, optional } = filesToProve(manifest);
  const files = new Map<string, Uint8Array>();
  for (const file of manifest.files) {
    const bytes = await deps.store.readFile(place, file.path, file.sha256);
    if (!bytes.ok) return refuse("manifest-refused", bytes.error.reason);
    if (bytes.value.byteLength !== file.bytes)
      return refuse("manifest-refused", `${file.path} has ${bytes.value.byteLength} bytes`);
    if (required.includes(file.path) || optional.includes(file.path)) files.set(file.path, bytes.value);
  }
  const missing = required.find((path) => !files.has(path));
  if (missing !== undefined) return refuse("manifest-refused", `${missing} is not among the files`);
  const proven = await deps.prove(tenant, manifest, files);
  if (!proven.ok) return refuse("model-refused", proven.error);
  const written = await deps.store.putManifest(tenant, manifest);
  if (written === "conflict") return refuse("artifact-exists", "another manifest is stored for this version");
  await deps.register(tenant, manifest, request.by);
  return ok({ created: written === "created" });
}

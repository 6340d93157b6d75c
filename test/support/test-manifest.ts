/** What the manifests of all models that tests publish have in common. */
import { canonicalJson } from "../../models/contract/canonical-json.ts";
import type { Manifest, ManifestContent } from "../../models/contract/manifest.ts";
import { hex, sha256 } from "../../models/contract/sha256.ts";

/** A lineage that says nothing. */
export const TEST_LINEAGE: ManifestContent["lineage"] = {
  runId: "run-1",
  dataHash: "0".repeat(64),
  codeVersion: "test",
  parent: null,
  trainedFrom: 0,
  trainedTo: 1,
  rows: 100,
  parameters: {},
};

/** Content with the version that follows from it, unsigned. */
export function manifestOf(content: ManifestContent): Manifest {
  const version = hex(sha256(new TextEncoder().encode(canonicalJson(content))));
  return { ...content, version, signature: null };
}

export function describeFiles(files: ReadonlyMap<string, Uint8Array>): Manifest["files"] {
  return Array.from(files, ([path, bytes]) => ({ path, sha256: hex(sha256(bytes)), bytes: bytes.byteLength }));
}

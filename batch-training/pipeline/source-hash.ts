import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What a stage may execute: everything but tests, commands and documents. */
const FOLDERS = ["batch-training", "models"];
const CODE = /\.(ts|wasm)$/;
/** Folders whose code makes nothing that a stage stores. */
const APART = /^batch-training\/(commands|client|local|simulator)\//;

/** SHA-256 over the sources: a stage output is kept by it, so that changed code never meets outputs of other code. */
export function sourceHash(root: string): string {
  const hash = createHash("sha256");
  for (const folder of FOLDERS) {
    const names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
    for (const name of names.map((path) => `${folder}/${path}`).toSorted()) {
      if (!CODE.test(name) || APART.test(name)) continue;
      hash.update(`${name}\n`).update(
        createHash("sha256")
          .update(readFileSync(join(root, name)))
          .digest(),
      );
    }
  }
  return hash.digest("hex");
}

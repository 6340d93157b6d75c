import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_ROOT } from "./build-workers.ts";

/** What made an artefact: the name and version of this package. No commit, so that the same release gives the same artefact anywhere. */
export function codeVersion(): string {
  const { name, version } = JSON.parse(readFileSync(join(PROJECT_ROOT, "package.json"), "utf8")) as {
    name: string;
    version: string;
  };
  return `${name}-${version}`;
}

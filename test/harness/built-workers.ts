/** Builds both Workers once for all tests of this project, as a deployment would. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { type BuiltWorker, buildWorkers } from "../../batch-training/local/build-workers.ts";

declare module "vitest" {
  interface ProvidedContext {
    workers: BuiltWorker[];
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "edgewise-build-"));
  project.provide("workers", await buildWorkers(folder));
  return () => rm(folder, { recursive: true, force: true });
}

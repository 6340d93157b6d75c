/**
 * `edgewise train` over a log in files, with a search and a champion: the program that a test kills. Prints every beginning and end of a
 * stage as a line of JSON; the versions it hands over land in a folder.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Publisher } from "../../batch-training/pipeline/deps.ts";
import { DEFAULT_MATURITY_MS, fraudModel } from "../../batch-training/pipeline/fraud/fraud-model.ts";
import { nodeFiles } from "../../batch-training/pipeline/file-system.ts";
import { nodeDeps } from "../../batch-training/pipeline/node-deps.ts";
import { runPipeline } from "../../batch-training/pipeline/run-pipeline.ts";
import { RunRecords } from "../../batch-training/pipeline/run-record.ts";
import { fileLog, type ModelRegistry } from "../../batch-training/pipeline/sources.ts";
import { Manifest } from "../../models/contract/manifest.ts";
import { PROJECT_ROOT } from "../../batch-training/local/build-workers.ts";

export interface SmallTraining {
  /** Of the log. */
  readonly log: string;
  readonly home: string;
  /** Where versions are handed over to. */
  readonly out: string;
  /** A version made before, in a folder: the champion. */
  readonly champion: string | null;
  readonly seed: number;
  readonly trials: number;
}

const options = JSON.parse(process.argv[2] ?? "") as SmallTraining;
const { log, home, out, champion, seed, trials } = options;
const tell = (stage: string, status: string): void => console.log(JSON.stringify({ stage, status, at: Date.now() }));

/** As a bucket: files under their names, the manifest last. */
const publisher: Publisher = {
  target: out,
  publish: async (manifest, files) => {
    const folder = join(out, manifest.version);
    mkdirSync(folder, { recursive: true });
    for (const { path, bytes } of files) writeFileSync(join(folder, path), bytes);
    writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  },
  register: async (manifest) => writeFileSync(join(out, "serving"), manifest.version),
};

const registry: ModelRegistry = {
  serving: async () => (champion === null ? null : championManifest().version),
  manifest: async () => championManifest(),
  file: async (_model, _version, path) => readFileSync(join(champion ?? "", path)),
};

function championManifest(): Manifest {
  return Manifest.parse(JSON.parse(readFileSync(join(champion ?? "", "manifest.json"), "utf8")));
}

const [stopped] = await new RunRecords(nodeFiles, home).list();
// Killed between its last word and its end: there is nothing to go on with.
if (stopped?.state === "published") process.exit(0);
const deps = nodeDeps({
  home,
  codeVersion: "harness",
  root: PROJECT_ROOT,
  publisher,
  report: (event) => {
    if (event.type === "stage") tell(event.stage, event.status);
  },
});
const definition = fraudModel({ log: fileLog([log]), registry, maturityMs: DEFAULT_MATURITY_MS });
const { record } = await runPipeline(definition, deps, {
  seed,
  trials,
  parameters: champion === null ? { trees: 40, leaves: 2 } : { trees: 150 },
  ...(stopped?.state === "running" && { resume: stopped }),
});
if (record.state !== "published") throw new Error(`${record.state}: ${record.reasons.join("; ")}`);
tell("finished", record.version ?? "");

/**
 * `edgewise train` over a log in files, with a search and a champion: the program that a test kills, or that kills itself before a given
 * step. A step is a change of what outlives the process: a file written, a file renamed, a part of a version handed over. Prints every
 * beginning and end of a stage as a line of JSON, with the steps made so far; the versions it hands over land in a folder.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Publisher } from "../../batch-training/pipeline/deps.ts";
import { DEFAULT_MATURITY_MS, fraudModel } from "../../batch-training/pipeline/fraud/fraud-model.ts";
import { type FileSystem, nodeFiles } from "../../batch-training/pipeline/file-system.ts";
import { nodeDeps } from "../../batch-training/pipeline/node-deps.ts";
import { runPipeline } from "../../batch-training/pipeline/run-pipeline.ts";
import { RunRecords, STAGES, type StageName } from "../../batch-training/pipeline/run-record.ts";
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
  /** The process dies by SIGKILL before this step of this stage, or before the first step of a later one. */
  readonly dies: { readonly stage: StageName; readonly step: number } | null;
}

const options = JSON.parse(process.argv[2] ?? "") as SmallTraining;
const { log, home, out, champion, seed, trials, dies } = options;
let steps = 0;
let stepsBefore = 0;
let stageNow = -1;

function tell(stage: string, status: string): void {
  console.log(JSON.stringify({ stage, status, at: Date.now(), steps }));
}

function step(): void {
  const last = dies === null ? Number.POSITIVE_INFINITY : STAGES.indexOf(dies.stage);
  if (dies !== null && (stageNow > last || (stageNow === last && steps - stepsBefore >= dies.step)))
    process.kill(process.pid, "SIGKILL");
  steps++;
}

const files: FileSystem = {
  ...nodeFiles,
  create: (path, parts) => {
    step();
    return nodeFiles.create(path, parts);
  },
  rename: (from, to) => {
    step();
    return nodeFiles.rename(from, to);
  },
};

/** As a bucket: files under their names, the manifest last. */
const publisher: Publisher = {
  target: out,
  publish: async (manifest, files) => {
    const folder = join(out, manifest.version);
    mkdirSync(folder, { recursive: true });
    for (const { path, bytes } of files) {
      step();
      writeFileSync(join(folder, path), bytes);
    }
    step();
    writeFileSync(join(folder, "manifest.json"), JSON.stringify(manifest));
  },
  register: async (manifest) => {
    step();
    writeFileSync(join(out, "serving"), manifest.version);
  },
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
const onThisMachine = nodeDeps({
  home,
  codeVersion: "harness",
  root: PROJECT_ROOT,
  publisher,
  report: (event) => {
    if (event.type !== "stage") return;
    if (event.status === "begins") {
      stageNow = STAGES.indexOf(event.stage);
      stepsBefore = steps;
    }
    tell(event.stage, event.status);
  },
});
const deps = { ...onThisMachine, files };
const definition = fraudModel({ log: fileLog([log]), registry, maturityMs: DEFAULT_MATURITY_MS });
const { record } = await runPipeline(definition, deps, {
  seed,
  trials,
  parameters: champion === null ? { trees: 40, leaves: 2 } : { trees: 150 },
  ...(stopped?.state === "running" && { resume: stopped }),
});
if (record.state !== "published") throw new Error(`${record.state}: ${record.reasons.join("; ")}`);
tell("finished", record.version ?? "");

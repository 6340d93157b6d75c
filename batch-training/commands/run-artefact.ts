import { join } from "node:path";
import type { ApiClient } from "../client/api-client.ts";
import { PROJECT_ROOT } from "../local/build-workers.ts";
import { codeVersion } from "../local/code-version.ts";
import type { Publisher } from "../pipeline/deps.ts";
import { type FileSystem, nodeFiles } from "../pipeline/file-system.ts";
import { DEFAULT_MATURITY_MS } from "../pipeline/fraud/fraud-model.ts";
import { modelNamed } from "../pipeline/models.ts";
import { nodeDeps } from "../pipeline/node-deps.ts";
import { runPipeline } from "../pipeline/run-pipeline.ts";
import { RunRecords } from "../pipeline/run-record.ts";
import { emptyRegistry, fileLog, type LogSource, workerLog, workerRegistry } from "../pipeline/sources.ts";
import { connectOrExplain } from "./connection.ts";
import type { Artefact } from "./publish.ts";
import { asUserErrors } from "./train.ts";
import { UserError } from "./user-error.ts";

export interface ArtefactOfRun {
  readonly home: string;
  /** Id, a part of it, its version, or `latest`. */
  readonly run: string;
  readonly args: { readonly url?: string | undefined; readonly token?: string | undefined };
}

/** Stops a run where its version would be handed over: what was made is taken from here. */
class Made extends Error {
  readonly artefact: Artefact;

  constructor(artefact: Artefact) {
    super("made");
    this.artefact = artefact;
  }
}

/**
 * Manifest and files of an earlier run, from its stored outputs; what is no longer stored is made again, and must be what it was. Nothing of
 * the run's record changes.
 * @throws {UserError} when the run made no version, or its version can no longer be made
 */
export async function artefactOfRun({ home, run, args }: ArtefactOfRun): Promise<Artefact> {
  const record = await asUserErrors(() => new RunRecords(nodeFiles, home).find(run));
  const { version } = record;
  if (version === null) {
    const why = record.reasons.length === 0 ? "" : `: ${record.reasons.join("; ")}`;
    throw new UserError(`run ${record.id} made no version (${record.state}${why})`);
  }
  const definition = modelNamed(record.model, {
    log: logOf(() => connectOrExplain(args)),
    registry: record.pin?.champion === null ? emptyRegistry : workerRegistry(connectOrExplain(args)),
    maturityMs: DEFAULT_MATURITY_MS,
  });
  if (definition === null) throw new UserError(`this program knows no model called ${record.model}`);
  const stopHere: Publisher = {
    target: "here",
    publish: (manifest, files) => Promise.reject(new Made({ manifest, files })),
    register: async () => {},
  };
  const deps = nodeDeps({
    home,
    codeVersion: codeVersion(),
    root: PROJECT_ROOT,
    publisher: stopHere,
    report: () => {},
  });
  const made = await asUserErrors(() =>
    runPipeline(
      definition,
      { ...deps, files: withoutRecords(home) },
      { seed: record.seed, resume: { ...record, options: { ...record.options, publish: true } } },
    ).then(
      ({ record: { reasons } }) => reasons.join("; "),
      (error: unknown) => {
        if (error instanceof Made) return error.artefact;
        throw error;
      },
    ),
  );
  if (typeof made === "string")
    throw new UserError(`run ${record.id} does not make version ${version} any more: ${made}`);
  if (made.manifest.version === version) return made;
  throw new UserError(
    `run ${record.id} made version ${version}, and by what is stored and this code it would be ${made.manifest.version}: train again`,
  );
}

/** The disk, but for records of runs: looking at a run is none. */
function withoutRecords(home: string): FileSystem {
  const isRecord = (path: string): boolean => path.startsWith(join(home, "runs"));
  return {
    ...nodeFiles,
    create: async (path, parts) => (isRecord(path) ? undefined : await nodeFiles.create(path, parts)),
    rename: async (from, to) => (isRecord(to) ? undefined : await nodeFiles.rename(from, to)),
  };
}

/** Files that the run named are read again; everything else is asked of the Worker, where an output is no longer stored. */
function logOf(client: () => Pick<ApiClient, "call">): LogSource {
  return {
    list: (signal) => workerLog(client()).list(signal),
    read: (name, signal) =>
      /#[0-9a-f]{64}$/.test(name) ? fileLog([]).read(name, signal) : workerLog(client()).read(name, signal),
  };
}

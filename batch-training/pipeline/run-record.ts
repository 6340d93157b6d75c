/** One record per run: what went in, what came out, why. Written whole after every stage, so a killed run says where it was. */
import { join } from "node:path";
import * as z from "zod";
import { Metric } from "../../models/contract/manifest.ts";
import { type FileSystem, writeWhole } from "./file-system.ts";
import { PipelineError } from "./pipeline-error.ts";

/** In the order of a run; `search` only where trials were asked for. */
export const STAGES = [
  "extract",
  "validate",
  "features",
  "split",
  "search",
  "train",
  "calibrate",
  "evaluate",
  "fairness",
  "compare",
  "export",
  "parity",
  "golden",
  "card",
  "publish",
  "register",
] as const;
export const StageName = z.enum(STAGES);
export type StageName = z.infer<typeof StageName>;

const GateResult = z.object({
  id: z.string(),
  against: z.string().nullable(),
  passed: z.boolean(),
  reason: z.string(),
  value: z.number().nullable(),
  low: z.number().nullable(),
  high: z.number().nullable(),
});

const json = z.record(z.string(), z.unknown());

const RunEnvironmentSchema = z.object({
  /** Name and version of the package: part of the artefact. */
  codeVersion: z.string(),
  /** SHA-256 over the sources: what stage outputs are kept by. */
  sourceHash: z.string(),
  node: z.string(),
  platform: z.string(),
  cpu: z.string(),
  cores: z.int(),
  memoryBytes: z.int(),
});
export type RunEnvironment = z.infer<typeof RunEnvironmentSchema>;

const CardTableSchema = z.object({
  title: z.string(),
  columns: z.array(z.string()),
  rows: z.array(z.array(z.string())),
});

export const RunRecord = z.object({
  v: z.literal(1),
  id: z.string(),
  model: z.string(),
  kind: z.string(),
  /**
   * `running` is also what a killed run says. `published`: versions were handed over; `trained`: passed, but nothing was to be published;
   * `refused`: a gate or check did not pass.
   */
  state: z.enum(["running", "published", "trained", "refused", "failed", "cancelled"]),
  /** The stage under way, or the last one. */
  stage: StageName,
  reasons: z.array(z.string()),
  startedAt: z.int(),
  updatedAt: z.int(),
  /** How often the run was taken up again. */
  resumed: z.int(),
  seed: z.int(),
  /** Parameters as asked for, then as trained with, after the search. */
  requested: json,
  parameters: json,
  options: z.object({ trials: z.int(), publish: z.boolean(), promote: z.boolean() }),
  environment: RunEnvironmentSchema,
  pin: z.object({ data: json, champion: z.string().nullable() }).nullable(),
  featureService: z.object({ name: z.string(), hash: z.string() }),
  /** SHA-256 over the training rows; null until they are built. */
  dataHash: z.string().nullable(),
  /** The same inputs, parameters, seed and code version give the same one; `runId` of the manifest's lineage. */
  fingerprint: z.string().nullable(),
  rows: z.object({ train: z.int(), test: z.int(), trainedFrom: z.number(), trainedTo: z.number() }).nullable(),
  trials: z.array(z.object({ parameters: json, loss: z.number().nullable(), note: z.string() })),
  gates: z.array(GateResult),
  metrics: z.array(Metric),
  tables: z.array(CardTableSchema),
  notes: z.array(z.object({ stage: StageName, text: z.string() })),
  stages: z.array(
    z.object({
      stage: StageName,
      key: z.string(),
      hash: z.string(),
      seconds: z.number(),
      reused: z.boolean(),
    }),
  ),
  engine: z.string().nullable(),
  version: z.string().nullable(),
  files: z.array(z.object({ path: z.string(), sha256: z.string(), bytes: z.int() })),
});
export type RunRecord = z.infer<typeof RunRecord>;

/** Records of one home, by id; ids sort by the time of the beginning. */
export class RunRecords {
  readonly #files: FileSystem;
  readonly #folder: string;

  constructor(files: FileSystem, home: string) {
    this.#files = files;
    this.#folder = join(home, "runs");
  }

  async write(record: RunRecord): Promise<void> {
    const text = `${JSON.stringify(record, null, 2)}\n`;
    await writeWhole(this.#files, join(this.#folder, `${record.id}.json`), [new TextEncoder().encode(text)]);
  }

  /** Newest first. */
  async list(): Promise<RunRecord[]> {
    const names = (await this.#files.list(this.#folder)).flatMap(({ name }) =>
      name.endsWith(".json") ? [name.slice(0, -".json".length)] : [],
    );
    const records: RunRecord[] = [];
    for (const id of names.toSorted().toReversed()) records.push(await this.#read(id));
    return records;
  }

  /** By id, a part of it that only one has, `latest`, or the version it made. @throws PipelineError `no_such_run` */
  async find(text: string): Promise<RunRecord> {
    const all = await this.list();
    if (text === "latest" && all[0]) return all[0];
    const found = all.filter(
      ({ id, version, fingerprint }) =>
        id === text || id.includes(text) || version?.startsWith(text) === true || fingerprint === text,
    );
    const exact = found.find(({ id }) => id === text);
    const [only, ...others] = exact ? [exact] : found;
    if (only === undefined)
      throw new PipelineError("no_such_run", `no run is called ${text}; see \`edgewise runs list\``);
    if (others.length > 0) {
      const names = found.slice(0, 5).map(({ id }) => id);
      throw new PipelineError("no_such_run", `${found.length} runs are called ${text}: ${names.join(", ")}`);
    }
    return only;
  }

  async #read(id: string): Promise<RunRecord> {
    const bytes = await this.#files.read(join(this.#folder, `${id}.json`));
    try {
      return RunRecord.parse(JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array())));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new PipelineError("invalid_run", `the record of run ${id} cannot be read: ${why}`);
    }
  }
}

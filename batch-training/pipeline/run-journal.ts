/** The record of a run while it is under way: every change is on the disk before the run goes on. */
import type { Manifest } from "../../models/contract/manifest.ts";
import type { PipelineDeps } from "./deps.ts";
import type { AnyModelDefinition, Parameters, Pin, Proof, SplitPlan, Verdict } from "./model-definition.ts";
import { PipelineError } from "./pipeline-error.ts";
import type { RunOptions } from "./run-pipeline.ts";
import { type RunRecord, RunRecords, type StageName, STAGES } from "./run-record.ts";
import type { SearchResult } from "./search.ts";
import type { Stored } from "./stage-store.ts";

export class RunJournal {
  record: RunRecord;
  readonly #deps: PipelineDeps;
  readonly #records: RunRecords;

  private constructor(deps: PipelineDeps, record: RunRecord) {
    this.#deps = deps;
    this.#records = new RunRecords(deps.files, deps.home);
    this.record = record;
  }

  /** A new record, or the one to go on with, emptied of what its stages will say again. */
  static async open(definition: AnyModelDefinition, deps: PipelineDeps, options: RunOptions): Promise<RunJournal> {
    const record = options.resume ? resumed(definition, deps, options.resume) : begun(definition, deps, options);
    const journal = new RunJournal(deps, record);
    await journal.#change({});
    deps.report({ type: "run", record: journal.record });
    return journal;
  }

  async pin(look: () => Promise<Pin>): Promise<Pin> {
    if (this.record.pin !== null) return this.record.pin;
    const { data, champion } = await look();
    const pin = { data: { ...data }, champion };
    await this.#change({ pin });
    return pin;
  }

  async begin(stage: StageName, detail: string): Promise<void> {
    this.#deps.report({ type: "stage", stage, status: "begins", detail });
    await this.#change({ stage });
  }

  async done(stage: StageName, { key, hash, reused }: Stored<unknown>, seconds: number): Promise<void> {
    await this.#change({ stages: [...this.record.stages, { stage, key, hash, seconds, reused }] });
    const detail = reused ? "known already" : `${seconds.toFixed(1)} s`;
    this.#deps.report({ type: "stage", stage, status: reused ? "reused" : "done", detail });
  }

  async skip(stage: StageName, why: string): Promise<void> {
    this.#deps.report({ type: "stage", stage, status: "skipped", detail: why });
    await this.notes(stage, [why]);
  }

  async notes(stage: StageName, texts: readonly string[]): Promise<void> {
    await this.#change({ notes: [...this.record.notes, ...texts.map((text) => ({ stage, text }))] });
  }

  async split(dataHash: string, split: SplitPlan): Promise<void> {
    const { trainRows: train, testRows: test, trainedFrom, trainedTo } = split;
    await this.#change({ dataHash, rows: { train, test, trainedFrom, trainedTo } });
    await this.notes("split", split.notes);
  }

  async trials(trials: SearchResult["trials"]): Promise<void> {
    await this.#change({ trials: trials.map((trial) => ({ ...trial, parameters: { ...trial.parameters } })) });
  }

  async parameters(parameters: Parameters): Promise<void> {
    await this.#change({ parameters: { ...parameters } });
  }

  async verdict(stage: StageName, { gates, metrics, notes, tables }: Verdict): Promise<void> {
    await this.#change({
      gates: [...this.record.gates, ...gates],
      metrics: [...this.record.metrics, ...metrics],
      tables: [
        ...this.record.tables,
        ...tables.map(({ title, columns, rows }) => ({
          title,
          columns: [...columns],
          rows: rows.map((row) => [...row]),
        })),
      ],
    });
    await this.notes(stage, notes);
  }

  async proof({ engine, notes }: Proof): Promise<void> {
    await this.#change({ engine });
    await this.notes("parity", notes);
  }

  async fingerprint(fingerprint: string): Promise<void> {
    await this.#change({ fingerprint });
  }

  async made({ version, files }: Manifest): Promise<void> {
    await this.#change({ version, files });
  }

  async end(state: RunRecord["state"], reasons: readonly string[]): Promise<void> {
    await this.#change({ state, reasons: [...reasons] });
    this.#deps.report({ type: "run", record: this.record });
  }

  async #change(part: Partial<RunRecord>): Promise<void> {
    this.record = { ...this.record, ...part, updatedAt: this.#deps.now() };
    await this.#records.write(this.record);
  }
}

const EMPTY = {
  state: "running",
  stage: STAGES[0],
  reasons: [],
  dataHash: null,
  fingerprint: null,
  rows: null,
  trials: [],
  gates: [],
  metrics: [],
  tables: [],
  notes: [],
  stages: [],
  engine: null,
  version: null,
  files: [],
} satisfies Partial<RunRecord>;

function empty(): Omit<
  RunRecord,
  | "v"
  | "id"
  | "model"
  | "kind"
  | "startedAt"
  | "updatedAt"
  | "resumed"
  | "seed"
  | "requested"
  | "parameters"
  | "options"
  | "environment"
  | "pin"
  | "featureService"
> {
  return structuredClone(EMPTY);
}

function begun(definition: AnyModelDefinition, deps: PipelineDeps, options: RunOptions): RunRecord {
  const now = deps.now();
  const stamp = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const requested = { ...definition.parameters, ...options.parameters };
  return {
    v: 1,
    id: `${stamp.toLowerCase()}-${definition.name}-${deps.randomName()}`,
    model: definition.name,
    kind: definition.kind,
    ...empty(),
    startedAt: now,
    updatedAt: now,
    resumed: 0,
    seed: options.seed,
    requested,
    parameters: requested,
    options: { trials: options.trials ?? 0, publish: options.publish ?? true, promote: options.promote ?? true },
    environment: deps.environment,
    pin: null,
    featureService: { ...definition.featureService },
  };
}

function resumed(definition: AnyModelDefinition, deps: PipelineDeps, record: RunRecord): RunRecord {
  if (record.model !== definition.name) {
    throw new PipelineError("invalid_input", `run ${record.id} is about ${record.model}, not ${definition.name}`);
  }
  if (record.featureService.hash !== definition.featureService.hash) {
    const why = "its features are defined otherwise now; begin a new run";
    throw new PipelineError("invalid_input", `run ${record.id} cannot go on: ${why}`);
  }
  if (
    record.environment.codeVersion !== deps.environment.codeVersion ||
    record.environment.sourceHash !== deps.environment.sourceHash
  ) {
    deps.report({
      type: "warning",
      text: `the code has changed since run ${record.id} began: its stages are made again`,
    });
  }
  return {
    ...record,
    ...empty(),
    resumed: record.resumed + 1,
    environment: deps.environment,
    parameters: record.requested,
  };
}

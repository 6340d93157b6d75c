/**
 * One run, from the log to a registered version. Each stage is made from the outputs of others and stored under what it was made from,
 * so a run that was killed at any instant goes on from its last whole output to the same artefact, and a run over known data costs what
 * is new in it. The order is that of the stages in `run-record.ts`.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { canonicalJson } from "../../models/contract/canonical-json.ts";
import type { Manifest } from "../../models/contract/manifest.ts";
import { describeFile, manifestOf, type ModelFileContent } from "../publish/publish-model.ts";
import type { PipelineDeps } from "./deps.ts";
import { modelCard } from "./model-card.ts";
import type {
  ManifestParts,
  ModelDefinition,
  Parameters,
  Proof,
  SplitPlan,
  StageContext,
  Verdict,
} from "./model-definition.ts";
import { PipelineError, StageRefusal } from "./pipeline-error.ts";
import { RunJournal } from "./run-journal.ts";
import type { RunRecord, StageName } from "./run-record.ts";
import { MAX_TRIALS, searchParameters } from "./search.ts";
import { StageStore, type Stored } from "./stage-store.ts";

export interface RunOptions {
  readonly seed: number;
  /** Laid over the definition's. */
  readonly parameters?: Parameters;
  /** Budget of the search; 0: none. */
  readonly trials?: number;
  readonly publish?: boolean;
  readonly promote?: boolean;
  /** The run to go on with: its own seed, parameters and options hold, and the things it was pinned to. */
  readonly resume?: RunRecord;
}

export interface RunResult {
  readonly record: RunRecord;
  /** null unless every gate passed. */
  readonly manifest: Manifest | null;
  readonly files: readonly ModelFileContent[];
}

/** Outputs of earlier runs are kept up to this size, the longest unused go first. */
export const MAX_STORED_BYTES = 20e9;
export const CARD_FILE = "model-card.md";

/**
 * @returns also when the model is refused: the record says why
 * @throws PipelineError `cancelled` or `disk_full`, and whatever a stage failed with; the record says so then, and the run can be resumed
 */
export async function runPipeline<Data, Rows, Split extends SplitPlan, Model>(
  definition: ModelDefinition<Data, Rows, Split, Model>,
  deps: PipelineDeps,
  options: RunOptions,
): Promise<RunResult> {
  const journal = await RunJournal.open(definition, deps, options);
  try {
    const run = new Run(definition, deps, journal);
    const artefact = await run.artefact();
    await run.handOver(artefact);
    await run.prune();
    return { record: journal.record, ...artefact };
  } catch (error) {
    if (error instanceof StageRefusal) {
      await journal.end("refused", error.reasons);
      return { record: journal.record, manifest: null, files: [] };
    }
    const cancelled = deps.signal?.aborted === true;
    const reason = error instanceof Error ? error.message : String(error);
    // The disk may be what is broken: the cause matters more than its record.
    await journal.end(cancelled ? "cancelled" : "failed", [cancelled ? "cancelled" : reason]).catch(() => {});
    throw cancelled
      ? new PipelineError(
          "cancelled",
          `run ${journal.record.id} was cancelled; go on with --resume ${journal.record.id}`,
        )
      : error;
  }
}

interface Artefact {
  readonly manifest: Manifest;
  readonly files: readonly ModelFileContent[];
}

class Run<Data, Rows, Split extends SplitPlan, Model> {
  readonly #definition: ModelDefinition<Data, Rows, Split, Model>;
  readonly #deps: PipelineDeps;
  readonly #journal: RunJournal;
  readonly #store: StageStore;

  constructor(definition: ModelDefinition<Data, Rows, Split, Model>, deps: PipelineDeps, journal: RunJournal) {
    this.#definition = definition;
    this.#deps = deps;
    this.#journal = journal;
    this.#store = new StageStore(deps.files, join(deps.home, "stages"), (text) =>
      deps.report({ type: "warning", text }),
    );
  }

  async artefact(): Promise<Artefact> {
    const model = this.#definition;
    const pin = await this.#journal.pin(() => model.pin(this.#deps.signal));
    const { rows, split } = await this.#prepare(pin);
    const requested = this.#journal.record.requested;
    const parameters = await this.#search(rows, split, requested);
    await this.#journal.parameters(parameters);
    const learnt = { rows: rows.hash, split: split.hash, parameters };
    const input = { rows: rows.value, split: split.value, parameters };
    const trained = await this.#stage("train", learnt, (context) => model.train(input, context));
    const calibrated = await this.#stage("calibrate", { ...learnt, model: trained.hash }, (context) =>
      model.calibrate({ ...input, model: trained.value }, context),
    );
    const known = { ...learnt, model: calibrated.hash };
    const fitted = { ...input, model: calibrated.value };
    await this.#verdict("evaluate", known, (context) => model.evaluate(fitted, context));
    await this.#verdict("fairness", known, (context) => model.fairness(fitted, context));
    const { champion } = pin;
    if (champion === null) await this.#journal.skip("compare", whyUncompared(pin.data["incomparable"]));
    else {
      await this.#verdict("compare", { ...known, champion }, (context) =>
        model.compare({ ...fitted, champion }, context),
      );
    }
    const failed = this.#journal.record.gates.filter(({ passed }) => !passed);
    if (failed.length > 0) throw new StageRefusal(failed.map(({ reason }) => reason));
    const files = await this.#stage("export", known, (context) => model.export(fitted, context));
    const proven = { ...known, files: files.hash };
    const exported = { ...fitted, files: files.value };
    const proof = await this.#stage("parity", proven, (context) => model.parity(exported, context));
    await this.#journal.proof(proof.value);
    const parts = await this.#stage("golden", proven, (context) => model.golden(exported, context));
    await this.#journal.fingerprint(fingerprintOf(this.#journal.record));
    const card = await this.#card(files.value);
    const all = [...files.value, card];
    const manifest = this.#manifest(all, { proof: proof.value, parts: parts.value });
    await this.#journal.made(manifest);
    return { manifest, files: all };
  }

  /** Publishes and registers, where that is wanted. Repeated after a kill: neither does anything a second time. */
  async handOver({ manifest, files }: Artefact): Promise<void> {
    const { publisher } = this.#deps;
    const { publish, promote } = this.#journal.record.options;
    if (publisher === null || !publish) {
      await this.#journal.end("trained", []);
      return;
    }
    await this.#journal.begin("publish", `version ${manifest.version.slice(0, 12)} to ${publisher.target}`);
    await publisher.publish(manifest, files);
    await this.#journal.begin("register", promote ? "and promote" : "without promotion");
    await publisher.register(manifest, { promote });
    await this.#journal.end("published", []);
  }

  async prune(): Promise<void> {
    await this.#store.prune(MAX_STORED_BYTES, this.#deps.now());
  }

  async #prepare(pin: NonNullable<RunRecord["pin"]>) {
    const model = this.#definition;
    const data = await this.#stage("extract", { pin: pin.data }, (context) => model.extract({ pin }, context));
    const checked = await this.#stage("validate", { data: data.hash }, (context) =>
      model.validate({ data: data.value }, context),
    );
    await this.#journal.notes("validate", checked.value);
    const identity = { data: data.hash, pin: pin.data, service: model.featureService };
    const rows = await this.#stage("features", identity, (context) =>
      model.features({ data: data.value, pin }, context),
    );
    const split = await this.#stage("split", { rows: rows.hash }, (context) =>
      model.split({ rows: rows.value }, context),
    );
    await this.#journal.split(rows.hash, split.value);
    return { rows, split };
  }

  async #search(rows: Stored<Rows>, split: Stored<Split>, base: Parameters): Promise<Parameters> {
    const { trials } = this.#journal.record.options;
    const model = this.#definition;
    const { space } = model;
    const trial = model.trial?.bind(model);
    if (trials === 0) return base;
    if (space === null || trial === undefined || trials > MAX_TRIALS) {
      const why =
        space === null || trial === undefined
          ? "this model has nothing to search for"
          : `at most ${MAX_TRIALS} are made`;
      throw new PipelineError("invalid_input", `a search of ${trials} trials: ${why}`);
    }
    const inputs = { rows: rows.hash, split: split.hash, base, trials, space };
    const found = await this.#stage("search", inputs, (context) =>
      searchParameters({
        space,
        base,
        trials,
        seed: context.seed,
        run: async (parameters, index) => {
          const identity = { rows: rows.hash, split: split.hash, parameters };
          const result = await context.piece("trial", identity, () =>
            trial({ rows: rows.value, split: split.value, parameters }, context),
          );
          context.progress(index + 1, trials, result.note);
          return result;
        },
      }),
    );
    await this.#journal.trials(found.value.trials);
    return found.value.parameters;
  }

  async #verdict(
    stage: "evaluate" | "fairness" | "compare",
    inputs: Readonly<Record<string, unknown>>,
    work: (context: StageContext) => Promise<Verdict>,
  ): Promise<void> {
    const { value } = await this.#stage(stage, inputs, work);
    await this.#journal.verdict(stage, value);
  }

  /** Written from the record; nothing in it depends on when, where or how often the run was made. */
  async #card(files: readonly ModelFileContent[]): Promise<ModelFileContent> {
    const { about } = this.#definition;
    const { record } = this.#journal;
    const inputs = { about, facts: cardFacts(record), files: files.map(describeFile) };
    const card = await this.#stage("card", inputs, async () =>
      new TextEncoder().encode(modelCard(about, record, files.map(describeFile))),
    );
    return { path: CARD_FILE, bytes: card.value };
  }

  #manifest(
    files: readonly ModelFileContent[],
    { proof, parts }: { readonly proof: Proof; readonly parts: ManifestParts },
  ): Manifest {
    const { record } = this.#journal;
    const { name, kind, featureService } = this.#definition;
    return manifestOf({
      v: 1,
      name,
      kind,
      engine: proof.engine,
      engineReason: proof.engineReason,
      ...parts,
      fitted: { ...parts.fitted },
      featureService: { ...featureService },
      explanation: proof.explanation,
      metrics: record.metrics,
      costs: { residentBytes: proof.residentBytes },
      lineage: {
        runId: record.fingerprint ?? "",
        dataHash: record.dataHash ?? "",
        codeVersion: record.environment.codeVersion,
        parent: record.pin?.champion ?? null,
        trainedFrom: record.rows?.trainedFrom ?? 0,
        trainedTo: record.rows?.trainedTo ?? 0,
        rows: (record.rows?.train ?? 0) + (record.rows?.test ?? 0),
        parameters: { ...flatParameters(record.parameters), seed: record.seed },
      },
      files: files.map(describeFile),
    });
  }

  async #stage<T>(
    stage: StageName,
    inputs: Readonly<Record<string, unknown>>,
    work: (context: StageContext) => Promise<T>,
  ): Promise<Stored<T>> {
    this.#deps.signal?.throwIfAborted();
    const { environment } = this.#journal.record;
    const code = `${environment.sourceHash} ${environment.node}`;
    const { name } = this.#definition;
    const identity = { stage, code, inputs: { ...inputs, name, seed: this.#journal.record.seed } };
    await this.#journal.begin(stage, "");
    const startedAt = this.#deps.now();
    const stored = await this.#store.get(identity, () => work(this.#context(stage, code)));
    await this.#journal.done(stage, stored, (this.#deps.now() - startedAt) / 1_000);
    return stored;
  }

  #context(stage: StageName, code: string): StageContext {
    const { signal, report } = this.#deps;
    const { seed } = this.#journal.record;
    return {
      seed,
      signal,
      progress: (done, total, note) => report({ type: "progress", stage, done, total, note }),
      piece: async (name, inputs, work) => {
        signal?.throwIfAborted();
        const identity = { stage: `${stage}-${name}`, code, inputs: { ...inputs, name: this.#definition.name, seed } };
        return (await this.#store.get(identity, work)).value;
      },
    };
  }
}

function whyUncompared(incomparable: unknown): string {
  if (typeof incomparable !== "string") return "nothing serves yet";
  return `version ${incomparable.slice(0, 12)} serves and takes other features: it could not be compared with`;
}

/** What the card is about: everything that is the same in every run over the same things. */
function cardFacts(record: RunRecord) {
  const { parameters, seed, dataHash, featureService, rows, gates, metrics, tables, notes, trials, engine } = record;
  const { pin, environment } = record;
  const made = { parameters, seed, dataHash, featureService, rows, code: environment.codeVersion };
  return { ...made, gates, metrics, tables, notes, trials, engine, champion: pin?.champion ?? null };
}

function fingerprintOf({ dataHash, featureService, parameters, seed, environment, pin }: RunRecord): string {
  const code = environment.codeVersion;
  const identity = { dataHash, featureService, parameters, seed, code, champion: pin?.champion ?? null };
  return createHash("sha256").update(canonicalJson(identity)).digest("hex").slice(0, 32);
}

/** The manifest holds texts, numbers and truth values; anything else as JSON. */
function flatParameters(parameters: Parameters): Record<string, string | number | boolean> {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [
      name,
      typeof value === "string" || typeof value === "number" || typeof value === "boolean"
        ? value
        : canonicalJson(value),
    ]),
  );
}

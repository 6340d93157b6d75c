/**
 * The seam between the pipeline and a kind of model. A definition says what each stage does; the pipeline decides whether it has to be
 * done, stores and verifies what it gives, records the run, writes the card, publishes and registers.
 *
 * Every function is deterministic: all it may use is its input, the seed and the parameters. What it returns is plain data and typed
 * arrays (`stored-value.ts`). It throws `StageRefusal` where the data or the model must not go further.
 */
import type {
  FraudPolicy,
  GoldenVectors,
  Metric,
  ModelKind,
  RecommenderFacts,
} from "../../models/contract/manifest.ts";
import type { Gate } from "../evaluate/gates/gate.ts";
import type { ModelFileContent } from "../publish/publish-model.ts";
import type { SearchSpace, TrialResult } from "./search.ts";

/** Training parameters by name; what a person may lay over the defaults with `--set`. */
export type Parameters = Readonly<Record<string, unknown>>;

export interface StageContext {
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  readonly progress: (done: number, total: number, note: string) => void;
  /** A part of a stage that is kept by itself and not repeated when the stage is; `inputs` is JSON that names what it is made from. */
  readonly piece: <T>(name: string, inputs: Readonly<Record<string, unknown>>, work: () => Promise<T>) => Promise<T>;
}

/** What a run is about, fixed when it begins and kept in its record: names of things that never change. JSON. */
export interface Pin {
  /**
   * Such as names of log objects, hashes of files, and options that shape the rows. `incomparable`: a version that serves and cannot score
   * these rows, where there is one.
   */
  readonly data: Readonly<Record<string, unknown>>;
  /** Version that serves, to be compared with; null before the first. */
  readonly champion: string | null;
}

/** What a check found out: gates decide, metrics go into the manifest, notes are for people. */
export interface Verdict {
  readonly gates: readonly Gate[];
  readonly metrics: readonly Metric[];
  readonly notes: readonly string[];
  /** Tables of the model card, such as slices and groups. */
  readonly tables: readonly CardTable[];
}

export interface CardTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface SplitPlan {
  /** Rows the model may learn from in any way: the trees, early stopping, calibration, search. */
  readonly trainRows: number;
  readonly testRows: number;
  /** Epoch milliseconds of the first and the last row that was learnt from. */
  readonly trainedFrom: number;
  readonly trainedTo: number;
  readonly notes: readonly string[];
}

export interface Proof {
  readonly engine: "compact" | "ort";
  readonly engineReason: string;
  readonly residentBytes: number;
  readonly explanation: "exact" | "none";
  readonly notes: readonly string[];
}

/** Parts of the manifest that only the kind of model knows. */
export interface ManifestParts {
  readonly input: { readonly name: string; readonly width: number };
  readonly output: { readonly name: string; readonly width: number };
  readonly fitted: Readonly<Record<string, unknown>>;
  readonly policy: FraudPolicy | null;
  readonly golden: GoldenVectors;
  readonly recommender?: RecommenderFacts;
}

/** Prose of the model card. */
export interface CardText {
  readonly purpose: string;
  readonly intendedUse: string;
  readonly limits: readonly string[];
  readonly owner: string;
}

export interface ModelDefinition<Data, Rows, Split extends SplitPlan, Model> {
  /** As in the registry. */
  readonly name: string;
  readonly kind: ModelKind;
  readonly about: CardText;
  readonly featureService: { readonly name: string; readonly hash: string };
  readonly parameters: Parameters;
  /** null: nothing to search for. */
  readonly space: SearchSpace | null;

  /** Looks at the world once, at the beginning of a run. */
  pin(signal: AbortSignal | undefined): Promise<Pin>;
  extract(input: { readonly pin: Pin }, context: StageContext): Promise<Data>;
  /** Whether the raw data may be learnt from. @throws StageRefusal */
  validate(input: { readonly data: Data }, context: StageContext): Promise<readonly string[]>;
  /** The hash of what it returns is the data hash of the run. */
  features(input: { readonly data: Data; readonly pin: Pin }, context: StageContext): Promise<Rows>;
  split(input: { readonly rows: Rows }, context: StageContext): Promise<Split>;
  /** One trial of the search, on the part that may be learnt from alone. Absent where `space` is null. */
  trial?(input: TrainInput<Rows, Split>, context: StageContext): Promise<TrialResult>;
  train(input: TrainInput<Rows, Split>, context: StageContext): Promise<Model>;
  calibrate(input: ModelInput<Rows, Split, Model>, context: StageContext): Promise<Model>;
  /** Against trivial and strong baselines on the latest slice: enough data, probabilities, calibration, slices. */
  evaluate(input: ModelInput<Rows, Split, Model>, context: StageContext): Promise<Verdict>;
  fairness(input: ModelInput<Rows, Split, Model>, context: StageContext): Promise<Verdict>;
  /** Against `champion`, which is never null here. */
  compare(
    input: ModelInput<Rows, Split, Model> & { readonly champion: string },
    context: StageContext,
  ): Promise<Verdict>;
  export(input: ModelInput<Rows, Split, Model>, context: StageContext): Promise<readonly ModelFileContent[]>;
  /** Whether the files say what the model says, on the engine that will serve them. @throws StageRefusal */
  parity(input: ExportedInput<Rows, Split, Model>, context: StageContext): Promise<Proof>;
  golden(input: ExportedInput<Rows, Split, Model>, context: StageContext): Promise<ManifestParts>;
}

export interface TrainInput<Rows, Split> {
  readonly rows: Rows;
  readonly split: Split;
  readonly parameters: Parameters;
}

export interface ModelInput<Rows, Split, Model> extends TrainInput<Rows, Split> {
  readonly model: Model;
}

export interface ExportedInput<Rows, Split, Model> extends ModelInput<Rows, Split, Model> {
  readonly files: readonly ModelFileContent[];
}

/** A definition whose types are its own business. */
// oxlint-disable-next-line typescript/no-explicit-any -- stages are contravariant in their inputs, so no narrower type takes them all
export type AnyModelDefinition = ModelDefinition<any, any, any, any>;

import { FRAUD_FEATURES } from "../../models/catalog/feature-catalog.ts";
import { gate } from "../../batch-training/evaluate/gates/gate.ts";
import type { PipelineDeps, PipelineEvent, Publisher } from "../../batch-training/pipeline/deps.ts";
import type { FileSystem } from "../../batch-training/pipeline/file-system.ts";
import type { ModelDefinition, SplitPlan, Verdict } from "../../batch-training/pipeline/model-definition.ts";

/** A model that costs nothing: the mean of some numbers, so that a test is about the pipeline and not about training. */
export interface TinyWorld {
  numbers: readonly number[];
  champion: string | null;
  /** Stages whose work was really done, in order. */
  readonly worked: string[];
  /** What the evaluation says; passes by default. */
  passes: boolean;
}

export const tinyWorld = (): TinyWorld => ({ numbers: [3, 1, 2], champion: null, worked: [], passes: true });

type Numbers = { readonly values: Float64Array };
type Mean = { readonly mean: number; readonly offset: number };

const nothing: Verdict = { gates: [], metrics: [], notes: [], tables: [] };

export function tinyModel(world: TinyWorld): ModelDefinition<Numbers, Numbers, SplitPlan, Mean> {
  const worked = <T>(stage: string, value: T): Promise<T> => {
    world.worked.push(stage);
    return Promise.resolve(value);
  };
  return {
    name: "tiny-mean",
    kind: "anomaly",
    about: { purpose: "A mean.", intendedUse: "Tests.", limits: ["It is only a mean."], owner: "tests" },
    featureService: { name: FRAUD_FEATURES.name, hash: FRAUD_FEATURES.hash },
    parameters: { scale: 1 },
    space: { scale: { kind: "real", low: 0.5, high: 2, scale: "log" } },
    pin: () => Promise.resolve({ data: { numbers: [...world.numbers] }, champion: world.champion }),
    extract: ({ pin }) => worked("extract", { values: Float64Array.from(pin.data["numbers"] as number[]) }),
    validate: ({ data }) => worked("validate", [`${data.values.length} numbers`]),
    features: ({ data }) => worked("features", { values: data.values.map((value) => value * 2) }),
    split: ({ rows }) =>
      worked("split", { trainRows: rows.values.length, testRows: 1, trainedFrom: 0, trainedTo: 1, notes: [] }),
    trial: ({ parameters }) =>
      worked("trial", { loss: Math.abs((parameters["scale"] as number) - 1.5), found: {}, note: "" }),
    train: ({ rows, parameters }) => {
      const sum = rows.values.reduce((total, value) => total + value, 0);
      return worked("train", { mean: ((parameters["scale"] as number) * sum) / rows.values.length, offset: 0 });
    },
    calibrate: ({ model }) => worked("calibrate", { ...model, offset: 0.5 }),
    evaluate: () =>
      worked("evaluate", {
        ...nothing,
        gates: [gate("mean_is_fine", null, world.passes, null, world.passes ? "it is" : "the mean is not fine")],
        metrics: [{ name: "mean", slice: "test", value: 1, low: null, high: null }],
      }),
    fairness: () => worked("fairness", nothing),
    compare: ({ champion }) => worked("compare", { ...nothing, notes: [`against ${champion}`] }),
    export: ({ model }) =>
      worked("export", [{ path: "mean.json", bytes: new TextEncoder().encode(JSON.stringify(model)) }]),
    parity: () =>
      worked("parity", {
        engine: "compact",
        engineReason: "it is a number",
        residentBytes: 8,
        explanation: "none",
        notes: [],
      }),
    golden: ({ model }) =>
      worked("golden", {
        input: { name: "x", width: 1 },
        output: { name: "score", width: 1 },
        fitted: {},
        policy: null,
        golden: { tolerance: 1e-6, rows: [{ vector: [1], score: [model.mean] }] },
      }),
  };
}

/** What a publisher was handed, by version; repeats are counted. */
export class RecordingPublisher implements Publisher {
  readonly target = "a test";
  readonly published: string[] = [];
  readonly promoted: string[] = [];

  async publish(...[manifest]: Parameters<Publisher["publish"]>): Promise<void> {
    this.published.push(manifest.version);
  }

  async register(...[manifest, { promote }]: Parameters<Publisher["register"]>): Promise<void> {
    if (promote) this.promoted.push(manifest.version);
  }
}

export function tinyDeps(
  files: FileSystem,
  options: {
    readonly publisher?: Publisher;
    readonly events?: PipelineEvent[];
    readonly signal?: AbortSignal;
    readonly sourceHash?: string;
  } = {},
): PipelineDeps {
  // A clock that moves, so that what depends on it shows.
  let now = Date.UTC(2026, 0, 1) + clock++ * 1_000;
  return {
    files,
    home: "/home",
    now: () => (now += 7),
    randomName: () => `run${String(clock++).padStart(5, "0")}`,
    publisher: options.publisher ?? new RecordingPublisher(),
    environment: {
      codeVersion: "test-1",
      sourceHash: options.sourceHash ?? "a".repeat(64),
      node: "v24",
      platform: "test",
      cpu: "test",
      cores: 1,
      memoryBytes: 1,
    },
    report: (event) => options.events?.push(event),
    ...(options.signal ? { signal: options.signal } : {}),
  };
}

let clock = 0;

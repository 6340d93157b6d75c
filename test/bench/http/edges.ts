import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApiClient, type ApiClient } from "../../../batch-training/client/api-client.ts";
import { type BuiltWorker, buildWorker, buildWorkers } from "../../../batch-training/local/build-workers.ts";
import { developmentToken } from "../../../batch-training/local/development-token.ts";
import { type Edge, startEdge } from "../../../batch-training/local/edge-runtime.ts";
import { processorMs, workerdProcesses } from "./process-time.ts";

const SECRETS = {
  JWT_SECRET: "bench-secret-bench-secret-bench-secret",
  PSEUDONYM_KEY: "bench-pseudonym-key-bench-pseudonym-key",
};
const MAIN_CONFIG = "wrangler.toml";

/** What can be run: the product, the product with its calls answered from memory, and nothing. */
export type Variant = "product" | "cpu-path" | "empty";

export interface RunningEdge extends Edge {
  readonly client: ApiClient;
  /** Processor time of the runtime so far, milliseconds; NaN where the machine does not tell. */
  readonly processorMs: () => number;
}

/** Builds the three Workers and starts them, each in a runtime process of its own, over copies of one state. */
export class BenchEdges {
  readonly token: string;
  readonly #folder: string;
  readonly #workers: Readonly<Record<Variant, readonly BuiltWorker[]>>;
  readonly #problems: string[] = [];

  private constructor(folder: string, token: string, workers: Readonly<Record<Variant, readonly BuiltWorker[]>>) {
    this.#folder = folder;
    this.token = token;
    this.#workers = workers;
  }

  static async build(): Promise<BenchEdges> {
    const folder = await mkdtemp(join(tmpdir(), "edgewise-bench-"));
    const token = await developmentToken(SECRETS.JWT_SECRET, "bench", ["admin"]);
    const variant = (name: string): Promise<BuiltWorker> =>
      buildWorker({ config: MAIN_CONFIG, entry: `test/bench/workers/${name}.ts` }, join(folder, name));
    const [product, cpuPath, empty] = await Promise.all([
      buildWorkers(join(folder, "product")),
      variant("cpu-path"),
      variant("empty"),
    ]);
    const [, ort] = product;
    if (!ort) throw new Error("the second Worker was not built");
    return new BenchEdges(folder, token, { product, "cpu-path": [cpuPath, ort], empty: [empty, ort] });
  }

  /** Starts a variant over the state of that name, made when it is not there. */
  async start(variant: Variant, state: string): Promise<RunningEdge> {
    const before = new Set(workerdProcesses());
    const edge = await startEdge({
      workers: this.#workers[variant],
      stateFolder: this.#stateFolder(state),
      port: 0,
      bindings: SECRETS,
      assets: false,
      onLog: (line, level) => {
        if (level === "error" || level === "warn") this.#problems.push(line);
      },
    });
    const own = workerdProcesses().filter((pid) => !before.has(pid));
    const client = createApiClient({ baseUrl: edge.url, token: this.token });
    return {
      ...edge,
      client,
      processorMs: () => own.reduce((sum, pid) => sum + (processorMs(pid) ?? 0), 0) || Number.NaN,
    };
  }

  async copyState(from: string, to: string): Promise<void> {
    await cp(this.#stateFolder(from), this.#stateFolder(to), { recursive: true });
  }

  /** What the Workers complained about. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  #stateFolder(name: string): string {
    return join(this.#folder, `state-${name}`);
  }
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ApiClient, createApiClient } from "../../batch-training/client/api-client.ts";
import type { BuiltWorker } from "../../batch-training/local/build-workers.ts";
import { developmentToken } from "../../batch-training/local/development-token.ts";
import { type Edge, startEdge } from "../../batch-training/local/edge-runtime.ts";
import { type SendReport, sendEvents } from "../../batch-training/sources/send-events.ts";
import { scoreFraud } from "../../models/contract/api/fraud.ts";
import type { FraudDecision } from "../../models/contract/decision-record.ts";
import type { InboundEvent } from "../../models/contract/events.ts";
import type { Order } from "../../models/contract/events/orders.ts";

const SECRETS = {
  JWT_SECRET: "harness-secret-harness-secret-harness-1",
  PSEUDONYM_KEY: "harness-pseudonym-harness-pseudonym-1",
};

/** How long a change of what serves may take to reach the Worker. */
export const SERVED_WITHIN_MS = 15_000;
const POLL_MS = 200;

export interface Answer {
  readonly status: number;
  /** Of the header. */
  readonly modelVersion: string | null;
  readonly decision: FraudDecision;
}

export interface Place {
  readonly storage: string;
  /** Beside the two secrets, variables that override those of wrangler.toml. */
  readonly secrets: Readonly<Record<"JWT_SECRET" | "PSEUDONYM_KEY", string> & Record<string, string>>;
}

/** Both Workers in workerd over storage that stays, started and stopped at will. */
export class RunningSystem {
  readonly #place: Place;
  readonly #workers: readonly BuiltWorker[];
  #edge: Edge | null = null;
  #token = "";
  /** What the Workers logged as errors: nothing should be here that a test did not provoke. */
  readonly errors: string[] = [];

  /** Without a place: over a new folder of its own. */
  constructor(workers: readonly BuiltWorker[], place?: Place) {
    this.#workers = workers;
    this.#place = place ?? { storage: mkdtempSync(join(tmpdir(), "edgewise-harness-")), secrets: SECRETS };
  }

  async start(): Promise<void> {
    this.#token = await developmentToken(this.#place.secrets.JWT_SECRET, "harness", ["admin"]);
    this.#edge = await startEdge({
      workers: this.#workers,
      stateFolder: this.#place.storage,
      port: 0,
      bindings: this.#place.secrets,
      onLog: (line, level) => {
        if (level === "error") this.errors.push(line);
      },
    });
  }

  async stop(): Promise<void> {
    await this.#edge?.stop();
    this.#edge = null;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async dispose(): Promise<void> {
    await this.stop();
    rmSync(this.#place.storage, { recursive: true, force: true });
  }

  get edge(): Edge {
    if (!this.#edge) throw new Error("the system is not running");
    return this.#edge;
  }

  get token(): string {
    return this.#token;
  }

  get client(): ApiClient {
    return createApiClient({ baseUrl: this.edge.url, token: this.#token });
  }

  async send(events: Iterable<InboundEvent>): Promise<SendReport> {
    return await sendEvents(events, {
      client: this.client,
      now: () => Date.now(),
      random: () => 0.5,
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    });
  }

  /** Scores an order as a shop would. */
  async score(order: Order, explain = false): Promise<Answer> {
    const response = await fetch(`${this.edge.url}${scoreFraud.path}${explain ? "?explain=1" : ""}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
      body: JSON.stringify({ order }),
    });
    return {
      status: response.status,
      modelVersion: response.headers.get("x-model-version"),
      decision: (await response.json()) as FraudDecision,
    };
  }

  /** Scores fresh orders until a version answers; every answer on the way must be a decision. @returns milliseconds it took */
  async untilServed(version: string, order: () => Order): Promise<number> {
    const started = performance.now();
    for (;;) {
      const answer = await this.score(order());
      if (answer.status !== 200) throw new Error(`a decision was answered with ${answer.status}`);
      const elapsed = performance.now() - started;
      if (answer.modelVersion === version) return elapsed;
      if (elapsed > SERVED_WITHIN_MS)
        throw new Error(`after ${Math.round(elapsed)} ms ${answer.modelVersion} answers, not ${version}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

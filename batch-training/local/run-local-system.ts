import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { getModel } from "../../models/contract/api/models.ts";
import type { InboundEvent } from "../../models/contract/events.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import { type ApiClient, createApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import type { RunRecord } from "../pipeline/run-record.ts";
import { type SendReport, sendEvents } from "../sources/send-events.ts";
import { fileLedger } from "../sources/send/ledger.ts";
import { type BuiltWorker, buildWorkers } from "./build-workers.ts";
import { type ScoredOrder, scoreInline, waitUntilServed } from "./demonstrate.ts";
import { developmentToken } from "./development-token.ts";
import { type Edge, startEdge } from "./edge-runtime.ts";
import { trainThroughService } from "./train-through-service.ts";
import { type LocalState, type RunParameters, writeAtomically } from "./local-state.ts";

/** Where the history comes from: the simulated shop, or an import. */
export interface History {
  /** The same events in the same order at each start. */
  events(): AsyncIterable<InboundEvent> | Iterable<InboundEvent>;
  /** An unremarkable and a suspicious order of this history, to be scored now; available once the events were iterated. */
  demonstration(placedAt: number, name: string): { plain: Order; suspicious: Order };
  /** What an import accepted and refused; null for the simulation. */
  report(): unknown;
}

export interface LocalRun {
  readonly state: LocalState;
  /** Where commands find the running server. */
  readonly serverFile: string;
  readonly parameters: RunParameters;
  readonly history: History;
  readonly port: number;
  readonly codeVersion: string;
  /** Built already, by a program that starts several systems; otherwise they are built. */
  readonly workers?: readonly BuiltWorker[];
  readonly onStage: (stage: StageName, detail: string) => void;
  readonly onLog: (line: string, level: string) => void;
}

export type StageName = "workers" | "events" | "training" | "serving" | "decisions";

export interface LocalSummary {
  readonly url: string;
  readonly parameters: RunParameters;
  readonly import: unknown;
  readonly events: SendReport;
  /** Null when a version served already. */
  readonly training: RunRecord | null;
  readonly servedAfterMs: number | null;
  readonly modelVersion: string | null;
  readonly plain: ScoredOrder;
  readonly suspicious: ScoredOrder;
  readonly stageMs: Record<StageName, number>;
}

export interface LocalSystem {
  readonly edge: Edge;
  readonly token: string;
  readonly summary: LocalSummary;
}

/** The loop, from an empty folder or from what an earlier start left: every stage finds what is done already and does the rest. */
export async function runLocalSystem(run: LocalRun): Promise<LocalSystem> {
  const stageMs: Record<StageName, number> = { workers: 0, events: 0, training: 0, serving: 0, decisions: 0 };
  const timed = async <T>(stage: StageName, work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const value = await work();
    stageMs[stage] = Math.round(performance.now() - started);
    return value;
  };
  const secrets = run.state.secrets();
  const signer = run.state.signer();
  const edge = await timed("workers", async () => {
    run.onStage("workers", "building");
    const workers = run.workers ?? (await buildWorkers(run.state.buildFolder));
    run.onStage("workers", "starting");
    return await startEdge({
      workers,
      stateFolder: run.state.storageFolder,
      port: run.port,
      bindings: { ...secrets, MODEL_PUBLIC_KEYS: signer?.publicKey ?? "" },
      onLog: run.onLog,
    });
  });
  try {
    const token = await developmentToken(secrets.JWT_SECRET, "local", ["admin"]);
    writeAtomically(
      run.serverFile,
      JSON.stringify({
        url: edge.url,
        token,
        pid: process.pid,
        signingKeyFile: signer === null ? null : run.state.signingKeyFile,
      }),
    );
    const client = createApiClient({ baseUrl: edge.url, token });
    run.onStage("workers", edge.url);
    const events = await timed("events", () => send(run, client));
    const trained = await timed("training", () => trainUnlessServing(run, client, { url: edge.url, token }));
    const probe = (): Order => run.history.demonstration(Date.now(), randomBytes(4).toString("hex")).plain;
    const servedAfterMs = await timed("serving", async () => {
      run.onStage("serving", `waiting for ${trained.version.slice(0, 12)}`);
      return await waitUntilServed(client, probe, trained.version);
    });
    run.onStage("serving", `${trained.version.slice(0, 12)} answers after ${(servedAfterMs / 1_000).toFixed(1)} s`);
    const shown = await timed("decisions", () => demonstrate(run, client));
    const summary: LocalSummary = {
      url: edge.url,
      parameters: run.parameters,
      import: run.history.report(),
      events,
      training: trained.result,
      servedAfterMs: trained.result === null ? null : Math.round(servedAfterMs),
      modelVersion: trained.version,
      ...shown,
      stageMs,
    };
    return { edge, token, summary };
  } catch (error) {
    await edge.stop();
    throw error;
  }
}

async function send(run: LocalRun, client: ApiClient): Promise<SendReport> {
  const { seed, scale, end, source, folder, days } = run.parameters;
  const report = await sendEvents(
    run.history.events(),
    {
      client,
      now: () => Date.now(),
      random: () => Math.random(),
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(resolve, ms);
          signal?.addEventListener("abort", () => {
            clearTimeout(timer);
            reject(signal.reason as Error);
          });
        }),
    },
    {
      ledger: fileLedger(run.state.ledgerFile, JSON.stringify({ source, seed, scale, end, folder, days })),
      onProgress: ({ applied, refused, elapsedMs }) =>
        run.onStage(
          "events",
          `${applied + refused} settled, ${Math.round((applied / Math.max(1, elapsedMs)) * 1_000)} a second`,
        ),
    },
  );
  if (report.unapplied > 0)
    throw new Error(
      `${report.unapplied} events were accepted and never applied, such as ${report.unappliedEvents[0]}.`,
    );
  run.onStage(
    "events",
    `${report.applied} applied, ${report.refused} refused${report.resumed > 0 ? `, ${report.resumed} of them by an earlier start` : ""}`,
  );
  return report;
}

async function trainUnlessServing(
  run: LocalRun,
  client: ApiClient,
  { url, token }: { url: string; token: string },
): Promise<{ version: string; result: RunRecord | null }> {
  const serving = await servingVersion(client);
  if (serving !== null) {
    run.onStage("training", `${serving.slice(0, 12)} serves already; "npm run edgewise -- train" trains a challenger`);
    return { version: serving, result: null };
  }
  const record = await trainThroughService({
    client,
    url,
    token,
    home: run.state.trainingFolder,
    signingKeyFile: run.state.signer() === null ? null : run.state.signingKeyFile,
    codeVersion: run.codeVersion,
    seed: run.parameters.seed,
    onStage: (stage) => run.onStage("training", stage),
    onLog: run.onLog,
  });
  const figure = (name: string): string =>
    record.metrics.find((metric) => metric.name === name && metric.slice === "test")?.value.toFixed(3) ?? "unknown";
  run.onStage(
    "training",
    `${(record.rows?.train ?? 0) + (record.rows?.test ?? 0)} orders; AUC ${figure("roc_auc")}, average precision ${figure("average_precision")} on the latest`,
  );
  return { version: record.version ?? "", result: record };
}

async function servingVersion(client: ApiClient): Promise<string | null> {
  try {
    const { body } = await client.call(getModel, { params: { name: FRAUD_MODEL } });
    return body.routing?.serving ?? null;
  } catch (error) {
    if (error instanceof ApiError && error.code === "model-not-found") return null;
    throw error;
  }
}

async function demonstrate(run: LocalRun, client: ApiClient): Promise<Pick<LocalSummary, "plain" | "suspicious">> {
  const name = randomBytes(4).toString("hex");
  const { plain, suspicious } = run.history.demonstration(Date.now(), name);
  const shown = { plain: await scoreInline(client, plain), suspicious: await scoreInline(client, suspicious) };
  run.onStage("decisions", `${shown.plain.decision.decision} and ${shown.suspicious.decision.decision}`);
  return shown;
}

export function writeSummary(file: string, summary: LocalSummary): void {
  writeFileSync(file, `${JSON.stringify(summary, null, 2)}\n`);
}

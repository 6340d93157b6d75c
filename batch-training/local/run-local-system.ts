import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import type { InboundEvent } from "../../models/contract/events.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import { RECOMMENDER_MODEL } from "../../models/catalog/product-recommendations/model.ts";
import { type ApiClient, createApiClient } from "../client/api-client.ts";
import type { RunRecord } from "../pipeline/run-record.ts";
import { type SendReport, sendEvents } from "../sources/send-events.ts";
import { LIVE_SEND_DEPS } from "../sources/send/live-deps.ts";
import { fileLedger } from "../sources/send/ledger.ts";
import type { Shoppers } from "../simulator/shoppers.ts";
import { type BuiltWorker, buildWorkers } from "./build-workers.ts";
import {
  recommendNow,
  type ScoredOrder,
  scoreInline,
  type ShownRecommendations,
  waitUntilServed,
} from "./demonstrate.ts";
import { developmentToken } from "./development-token.ts";
import { type Edge, startEdge } from "./edge-runtime.ts";
import { type LocalState, type RunParameters, writeAtomically } from "./local-state.ts";
import { TrainingRefused } from "./train-through-service.ts";
import { CONTROL_SHARE, playVisits, type ShopVisits } from "./visit-shop.ts";
import { type LocalTraining, testFigure, trainUnlessServing } from "./train-locally.ts";

/** Where the history comes from: the simulated shop, or an import. */
export interface History {
  /** The same events in the same order at each start. */
  events(): AsyncIterable<InboundEvent> | Iterable<InboundEvent>;
  /**
   * An unremarkable and a suspicious order of this history, to be scored now; available once the events were iterated. Null where there is nothing
   * to learn fraud from.
   */
  readonly demonstration: ((placedAt: number, name: string) => { plain: Order; suspicious: Order }) | null;
  /**
   * Customers with a past, to be recommended something: one of them may be in the control arm. Available once the events were iterated. Null where
   * there is nothing to recommend.
   */
  readonly visitors: (() => readonly string[]) | null;
  /** Customers who use what is recommended; available once the events were iterated. Null where nobody knows what they like. */
  readonly shoppers: (() => Shoppers) | null;
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

export type StageName = "workers" | "events" | "training" | "recommender" | "serving" | "visits" | "decisions";

export interface LocalSummary {
  readonly url: string;
  readonly parameters: RunParameters;
  readonly import: unknown;
  readonly events: SendReport;
  /** Fraud: null when a version served already, or where there is none to learn. */
  readonly training: RunRecord | null;
  readonly servedAfterMs: number | null;
  readonly modelVersion: string | null;
  readonly plain: ScoredOrder | null;
  readonly suspicious: ScoredOrder | null;
  /** Null where there is nothing to recommend. */
  readonly recommender: {
    /** Null when a version served already. */
    readonly training: RunRecord | null;
    /** Null when none was published; `refused` says why. */
    readonly modelVersion: string | null;
    readonly refused: string | null;
    readonly shown: ShownRecommendations;
  } | null;
  /** What became of lists; null where nobody uses them. */
  readonly visits: ShopVisits | null;
  readonly stageMs: Record<StageName, number>;
}

export interface LocalSystem {
  readonly edge: Edge;
  readonly token: string;
  readonly summary: LocalSummary;
}

/** The loop, from an empty folder or from what an earlier start left: every stage finds what is done already and does the rest. */
export async function runLocalSystem(run: LocalRun): Promise<LocalSystem> {
  const stageMs: Record<StageName, number> = {
    workers: 0,
    events: 0,
    training: 0,
    recommender: 0,
    serving: 0,
    visits: 0,
    decisions: 0,
  };
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
      bindings: {
        ...secrets,
        MODEL_PUBLIC_KEYS: signer?.publicKey ?? "",
        ...(run.history.shoppers !== null && { RECOMMENDATION_CONTROL_SHARE: CONTROL_SHARE }),
      },
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
    const trained = await timed("training", () => trainFraud(run, { client, url: edge.url, token }));
    const recommender = await timed("recommender", () => trainRecommender(run, { client, url: edge.url, token }));
    const served = await timed("serving", () => waitForBoth(run, client, { trained, recommender }));
    const visits = await timed("visits", () => useLists(run, client, recommender?.version ?? null));
    const shown = await timed("decisions", () => demonstrate(run, client));
    const summary: LocalSummary = {
      url: edge.url,
      parameters: run.parameters,
      import: run.history.report(),
      events,
      training: trained?.record ?? null,
      servedAfterMs: trained?.record ? served.fraudMs : null,
      modelVersion: trained?.version ?? null,
      ...shown,
      recommender:
        recommender === null || served.shown === null
          ? null
          : {
              training: recommender.record,
              modelVersion: recommender.version,
              refused: "refused" in recommender ? recommender.refused : null,
              shown: served.shown,
            },
      visits,
      stageMs,
    };
    return { edge, token, summary };
  } catch (error) {
    await edge.stop();
    throw error;
  }
}

async function useLists(run: LocalRun, client: ApiClient, version: string | null): Promise<ShopVisits | null> {
  const { shoppers } = run.history;
  if (shoppers === null || version === null) return null;
  return await playVisits(client, shoppers, (detail) => run.onStage("visits", detail));
}

async function send(run: LocalRun, client: ApiClient): Promise<SendReport> {
  const { seed, scale, end, source, folder, days } = run.parameters;
  const report = await sendEvents(
    run.history.events(),
    { ...LIVE_SEND_DEPS, client },
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

interface Server {
  readonly client: ApiClient;
  readonly url: string;
  readonly token: string;
}

async function trainFraud(run: LocalRun, server: Server): Promise<LocalTraining | null> {
  if (run.history.demonstration === null) return null;
  const onDetail = (detail: string): void => run.onStage("training", detail);
  const trained = await trainUnlessServing(run, server, FRAUD_MODEL, onDetail);
  const { record } = trained;
  if (record !== null)
    onDetail(
      `${(record.rows?.train ?? 0) + (record.rows?.test ?? 0)} orders; AUC ${testFigure(record, "roc_auc")}, average precision ${testFigure(record, "average_precision")} on the latest`,
    );
  return trained;
}

/** A recommender, or why there is none. */
type RecommenderTraining = LocalTraining | { readonly version: null; readonly record: null; readonly refused: string };

/** A refusal ends the run only where recommendations are all there is: a small shop has too little past, and popularity serves then. */
async function trainRecommender(run: LocalRun, server: Server): Promise<RecommenderTraining | null> {
  if (run.history.visitors === null) return null;
  const onDetail = (detail: string): void => run.onStage("recommender", detail);
  try {
    const trained = await trainUnlessServing(run, server, RECOMMENDER_MODEL, onDetail);
    const { record } = trained;
    if (record !== null)
      onDetail(
        `NDCG@10 ${testFigure(record, "ndcg_at_10")} on the latest visits, popularity ${testFigure(record, "ndcg_at_10", "test/popularity")}`,
      );
    return trained;
  } catch (error) {
    if (!(error instanceof TrainingRefused) || run.history.demonstration === null) throw error;
    onDetail(error.message);
    return { version: null, record: null, refused: error.message };
  }
}

/** Both versions are promoted by now, so that one wait covers both. */
async function waitForBoth(
  run: LocalRun,
  client: ApiClient,
  {
    trained,
    recommender,
  }: { readonly trained: LocalTraining | null; readonly recommender: RecommenderTraining | null },
): Promise<{ readonly fraudMs: number; readonly shown: ShownRecommendations | null }> {
  const { demonstration, visitors } = run.history;
  let fraudMs = 0;
  if (demonstration !== null && trained !== null) {
    const { version } = trained;
    run.onStage("serving", `waiting for ${version.slice(0, 12)}`);
    const probe = (): Order => demonstration(Date.now(), randomBytes(4).toString("hex")).plain;
    fraudMs = Math.round(await waitUntilServed(client, probe, version));
    run.onStage("serving", `${version.slice(0, 12)} answers after ${(fraudMs / 1_000).toFixed(1)} s`);
  }
  if (visitors === null || recommender === null) return { fraudMs, shown: null };
  const shown = await recommendNow(client, visitors(), recommender.version);
  run.onStage(
    "serving",
    `${recommender.version?.slice(0, 12) ?? "popularity"} recommends ${shown.answer.items.length} products`,
  );
  return { fraudMs, shown };
}

async function demonstrate(run: LocalRun, client: ApiClient): Promise<Pick<LocalSummary, "plain" | "suspicious">> {
  if (run.history.demonstration === null) return { plain: null, suspicious: null };
  const name = randomBytes(4).toString("hex");
  const { plain, suspicious } = run.history.demonstration(Date.now(), name);
  const shown = { plain: await scoreInline(client, plain), suspicious: await scoreInline(client, suspicious) };
  run.onStage("decisions", `${shown.plain.decision.decision} and ${shown.suspicious.decision.decision}`);
  return shown;
}

export function writeSummary(file: string, summary: LocalSummary): void {
  writeFileSync(file, `${JSON.stringify(summary, null, 2)}\n`);
}

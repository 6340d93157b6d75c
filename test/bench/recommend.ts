import { setTimeout as sleep } from "node:timers/promises";
import { cpus } from "node:os";
import { behavior } from "./recommend/visits.ts";
import { recommend } from "../../models/contract/api/recommendations.ts";
import type { Report, ReportRow } from "../../models/contract/report.ts";
import { codeVersion } from "../../batch-training/local/code-version.ts";
import { publishModel } from "../../batch-training/publish/publish-model.ts";
import { promoteVersion } from "../../batch-training/publish/promote-version.ts";
import { generatedBundle } from "../support/recommender-bundle.ts";
import { publishableRecommender } from "../support/published-recommender.ts";
import { BenchEdges, type RunningEdge } from "./http/edges.ts";
import { ingest } from "./http/ingestion.ts";
import { type LoadResult, quantile, runLoad, wireRequest } from "./http/load.ts";
import { runOpenLoad } from "./http/open-loop.ts";
import type { BenchOptions } from "./main.ts";
import { growthRows } from "./recommend/growth.ts";
import { benchRanker } from "./recommend/ranker.ts";
import { makeReport, rowOf } from "./report.ts";

const DIMENSIONS = 64;
/** Short rounds in turn: what disturbs the machine disturbs all that is compared. */
const ROUND_MS = 1_000;
const WARM_UP_ROUNDS = 1;
/** Visitors whose histories stay in isolate memory, and those who come once each, so that each answer reads an object. */
const WARM_VISITORS = 200;

/** Connections that each ask again as soon as they are answered. */
const CLOSED_LOOPS = [1, 2, 4];
/** Their requests of a round, each of a visitor of its own. */
const CLOSED_REQUESTS = 300;
/** Arrivals a second, answered or not. */
const RATES = [100, 200, 300, 400];
/** Long enough that lists leave, a second after they were answered, while others are asked for. */
const OPEN_ROUND_MS = 3_000;
/** By then what a round leaves behind has left: its processor time is its own, and the next round meets none of it. */
const SETTLE_MS = 1_500;
/** Visitors of one round who come once: more than arrive by chance. */
const COLD_PER_ROUND =
  CLOSED_LOOPS.length * CLOSED_REQUESTS + Math.ceil((1.2 * RATES.reduce((a, b) => a + b) * OPEN_ROUND_MS) / 1_000);

const FULL = { rounds: 3 };
const QUICK = { rounds: 1 };
type Size = typeof FULL;

/**
 * Lists over HTTP from a published two-stage recommender, beside an empty Worker on the same runtime in turn, and the same code in this process by
 * the size of the catalogue.
 */
export async function benchRecommend({ onStage, quick }: BenchOptions): Promise<Report> {
  const size = quick ? QUICK : FULL;
  onStage("lists in process, by size of the catalogue");
  const growth = growthRows(quick ? 40 : 200);
  onStage("building the Workers");
  const edges = await BenchEdges.build();
  try {
    const served = [
      ...(await serveRows(edges, size, { items: 10_000, full: true, onStage })),
      ...(await serveRows(edges, size, { items: 100_000, full: false, onStage })),
    ];
    if (edges.problems.length > 0)
      onStage(`the Workers complained ${edges.problems.length} times: ${edges.problems[0]}`);
    const parameters = { dimensions: DIMENSIONS, roundMs: ROUND_MS, cores: cpus().length, ...size };
    return makeReport("recommend", codeVersion(), { parameters, rows: [...growth, ...served] });
  } finally {
    await edges.remove();
  }
}

interface Contender {
  readonly id: string;
  readonly edge: RunningEdge;
  readonly next: () => Buffer;
  readonly load: ClosedLoop | OpenLoop;
  readonly results: (LoadResult & { readonly processorUs: number })[];
}

interface ClosedLoop {
  readonly connections: number;
  /** Of a round, which ends with them even if its time is not over. */
  readonly requests?: number;
}

interface OpenLoop {
  readonly perSecond: number;
}

async function serveRows(
  edges: BenchEdges,
  size: Size,
  {
    items,
    full,
    onStage,
  }: { readonly items: number; readonly full: boolean; readonly onStage: (text: string) => void },
): Promise<ReportRow[]> {
  const state = `recommend-${items}`;
  const product = await edges.start("product", state);
  const empty = await edges.start("empty", `${state}-empty`);
  const coldVisitors = full ? COLD_PER_ROUND * (WARM_UP_ROUNDS + size.rounds) : 0;
  try {
    onStage(`publishing ${items} products, sending the visits of ${WARM_VISITORS + coldVisitors} visitors`);
    // As a trainer publishes them: embeddings in 8 bits.
    const retrieval = items > 20_000 ? "embeddings" : "blend";
    const bundle = generatedBundle({
      items,
      seed: 1,
      dimensions: DIMENSIONS,
      neighbours: 10,
      retrieval,
      precision: "bytes",
    });
    const { bytes, golden } = benchRanker();
    const { manifest, files } = publishableRecommender({ ...bundle, ranker: bytes }, { ranking: golden });
    await publishModel(
      product.client,
      manifest,
      Array.from(files, ([path, content]) => ({ path, bytes: content })),
    );
    await promoteVersion(product.client, manifest.name, manifest.version);
    await ingest(product.client, behavior({ visitors: WARM_VISITORS + coldVisitors, items }));
    await assertServed(product, manifest.version);
    const requests = requestsOf(edges.token, coldVisitors);
    const memory = { edge: product, next: requests.warm };
    const cold = { edge: product, next: requests.cold };
    const contenders: Contender[] = [
      { id: "empty", edge: empty, next: requests.warm, load: { connections: 8 }, results: [] },
      { id: "memory", ...memory, load: { connections: 1 }, results: [] },
      { id: "memory-eight", ...memory, load: { connections: 8 }, results: [] },
    ];
    if (full) {
      for (const connections of CLOSED_LOOPS)
        contenders.push({
          id: `full-${connections}`,
          ...cold,
          load: { connections, requests: CLOSED_REQUESTS },
          results: [],
        });
      for (const perSecond of RATES)
        contenders.push({ id: `full-rate-${perSecond}`, ...cold, load: { perSecond }, results: [] });
    }
    onStage(`${size.rounds} rounds over ${items} products`);
    for (let round = -WARM_UP_ROUNDS; round < size.rounds; round++) {
      for (const contender of contenders) await runRound(contender, round);
    }
    return contenders.flatMap((contender) => rowsOf(contender, items));
  } finally {
    await Promise.all([product.stop(), empty.stop()]);
  }
}

/** @param round below 0: not counted */
async function runRound({ id, edge, load, next, results }: Contender, round: number): Promise<void> {
  const busyBefore = edge.processorMs();
  const result =
    "perSecond" in load
      ? await runOpenLoad({
          url: edge.url,
          next,
          durationMs: OPEN_ROUND_MS,
          seed: load.perSecond * 100 + round,
          ...load,
        })
      : await runLoad({ url: edge.url, next, durationMs: ROUND_MS, ...load });
  await sleep(SETTLE_MS);
  const processorUs = ((edge.processorMs() - busyBefore) * 1_000) / result.latenciesMs.length;
  const [failure] = result.failures;
  if (failure) throw new Error(`${id} answered ${failure[0]}: ${failure[1]}`);
  if (round >= 0) results.push({ ...result, processorUs });
}

/** Lists of ten for the home page; warm visitors in turn, cold ones once each. */
function requestsOf(token: string, coldVisitors: number): { warm: () => Buffer; cold: () => Buffer } {
  const request = (visitor: number): Buffer => {
    return wireRequest({
      path: "/api/v1/recommendations",
      token,
      body: JSON.stringify({ userId: `v-${visitor}`, limit: 10 }),
    });
  };
  let [warm, cold] = [0, 0];
  return {
    warm: () => request(warm++ % WARM_VISITORS),
    // A visitor who comes again is in memory, and has a list made for KV: neither is the full path.
    cold: () => {
      if (cold === coldVisitors) throw new Error(`all ${coldVisitors} visitors have come`);
      return request(WARM_VISITORS + cold++);
    },
  };
}

function rowsOf({ id, load, results }: Contender, items: number): ReportRow[] {
  const name = `recommend.${items}.${id}`;
  const isFull = id.startsWith("full");
  const isCpu = id === "memory" && items === 100_000;
  const note =
    "perSecond" in load ? `${load.perSecond} arrivals/s, answered or not` : `${load.connections} connections`;
  const rounds = (valueOf: (result: Contender["results"][number]) => number): number[] => results.map(valueOf);
  // Few requests arrive in a round of an open loop: its percentiles are those of all rounds together.
  const all = Float64Array.from(results.flatMap(({ latenciesMs }) => [...latenciesMs])).sort();
  const latency = (q: number): number[] =>
    "perSecond" in load ? [quantile(all, q)] : rounds(({ latenciesMs }) => quantile(latenciesMs, q));
  return [
    rowOf(
      `${name}.rate`,
      "requests/s",
      rounds(({ requestsPerSecond }) => requestsPerSecond),
      { better: "higher", note },
    ),
    rowOf(
      `${name}.processor`,
      "µs/request",
      rounds(({ processorUs }) => processorUs),
      { better: "lower" },
    ),
    rowOf(`${name}.p50`, "ms", latency(0.5), { better: "lower", ...(isCpu && { floor: 12, aim: 4 }) }),
    rowOf(`${name}.p95`, "ms", latency(0.95), { better: "lower", ...(isFull && { floor: 10, aim: 4 }) }),
    rowOf(`${name}.p99`, "ms", latency(0.99), { better: "lower", ...(isFull && { floor: 20, aim: 8 }) }),
  ];
}

/** Says what is measured: the published version answers, a visitor's history matters, and nothing is degraded. */
async function assertServed({ client }: RunningEdge, version: string): Promise<void> {
  const ask = async (userId: string) => (await client.call(recommend, { body: { userId, limit: 10 } })).body;
  const [known, unknown] = [await ask("v-0"), await ask("nobody")];
  const scores = ({ items }: typeof known): string => items.map(({ score }) => score).join();
  if (known.modelVersion !== version || known.degraded.length > 0 || scores(known) === scores(unknown)) {
    throw new Error(`a list came from ${known.modelVersion ?? "popularity"}, degraded: ${known.degraded.join(", ")}`);
  }
}

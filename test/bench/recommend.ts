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
import type { BenchOptions } from "./main.ts";
import { growthRows } from "./recommend/growth.ts";
import { benchRanker } from "./recommend/ranker.ts";
import { makeReport, rowOf } from "./report.ts";

const DIMENSIONS = 64;
/** Short rounds in turn: what disturbs the machine disturbs all that is compared. */
const ROUND_MS = 1_000;
const WARM_UP_ROUNDS = 2;
/** Visitors whose histories stay in isolate memory, and those who come once each, so that each answer reads an object. */
const WARM_VISITORS = 200;

/** Contenders that take a visitor per request. */
const COLD_CONTENDERS = 2;

/** Visitors who come once: enough for every second of every round, and each round ends early rather than let one come twice. */
const FULL = { rounds: 7, coldVisitors: 14_400 };
const QUICK = { rounds: 2, coldVisitors: 6_400 };
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
      ...(await serveRows(edges, size, { items: 10_000, onStage })),
      ...(await serveRows(edges, { ...size, coldVisitors: 0 }, { items: 100_000, onStage })),
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
  readonly connections: number;
  readonly next: () => Buffer;
  /** Most requests of a round. */
  readonly requests?: number;
  readonly results: (LoadResult & { readonly processorUs: number })[];
}

async function serveRows(
  edges: BenchEdges,
  size: Size,
  { items, onStage }: { readonly items: number; readonly onStage: (text: string) => void },
): Promise<ReportRow[]> {
  const state = `recommend-${items}`;
  const product = await edges.start("product", state);
  const empty = await edges.start("empty", `${state}-empty`);
  try {
    onStage(`publishing ${items} products, sending the visits of ${WARM_VISITORS + size.coldVisitors} visitors`);
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
    await ingest(product.client, behavior({ visitors: WARM_VISITORS + size.coldVisitors, items }));
    await assertServed(product, manifest.version);
    const requests = requestsOf(edges.token, size.coldVisitors);
    const perRound = Math.floor(size.coldVisitors / COLD_CONTENDERS / (WARM_UP_ROUNDS + size.rounds));
    const cold = { edge: product, next: requests.cold, requests: perRound };
    const contenders: Contender[] = [
      { id: "empty", edge: empty, connections: 8, next: requests.warm, results: [] },
      { id: "memory", edge: product, connections: 1, next: requests.warm, results: [] },
      { id: "memory-eight", edge: product, connections: 8, next: requests.warm, results: [] },
      ...(size.coldVisitors > 0
        ? [
            { ...cold, id: "full", connections: 4, results: [] },
            { ...cold, id: "full-one", connections: 1, results: [] },
          ]
        : []),
    ];
    onStage(`${size.rounds} rounds over ${items} products`);
    for (let round = -WARM_UP_ROUNDS; round < size.rounds; round++) {
      for (const contender of contenders) await runRound(contender, round >= 0);
    }
    return contenders.flatMap((contender) => rowsOf(contender, items));
  } finally {
    await Promise.all([product.stop(), empty.stop()]);
  }
}

async function runRound(contender: Contender, counted: boolean): Promise<void> {
  const { id, edge, connections, next, requests, results } = contender;
  const busyBefore = edge.processorMs();
  const load = { url: edge.url, connections, next, durationMs: ROUND_MS };
  const result = await runLoad(requests === undefined ? load : { ...load, requests });
  const processorUs = ((edge.processorMs() - busyBefore) * 1_000) / result.latenciesMs.length;
  const [failure] = result.failures;
  if (failure) throw new Error(`${id} answered ${failure[0]}: ${failure[1]}`);
  if (counted) results.push({ ...result, processorUs });
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

function rowsOf({ id, results, connections }: Contender, items: number): ReportRow[] {
  const name = `recommend.${items}.${id}`;
  const latency = (q: number): number[] => results.map((result) => quantile(result.latenciesMs, q));
  const isFull = id.startsWith("full") && items === 10_000;
  const isCpu = id === "memory" && items === 100_000;
  const note = `${connections} connections`;
  return [
    rowOf(
      `${name}.rate`,
      "requests/s",
      results.map((result) => result.requestsPerSecond),
      { better: "higher", note },
    ),
    rowOf(
      `${name}.processor`,
      "µs/request",
      results.map((result) => result.processorUs),
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

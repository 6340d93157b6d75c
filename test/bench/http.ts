import type { Report, ReportRow } from "../../models/contract/report.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import { scoreFraud } from "../../models/contract/api/fraud.ts";
import { metrics } from "../../models/contract/api/system.ts";
import type { ApiClient } from "../../batch-training/client/api-client.ts";
import { codeVersion } from "../../batch-training/local/code-version.ts";
import { publishModel } from "../../batch-training/publish/publish-model.ts";
import { promoteVersion } from "../../batch-training/publish/promote-version.ts";
import { BenchEdges, type RunningEdge } from "./http/edges.ts";
import { freshStarts } from "./http/fresh-starts.ts";
import { ingest } from "./http/ingestion.ts";
import { type LoadResult, quantile, runLoad, wireRequest } from "./http/load.ts";
import { BENCH_TREES, trainBenchModel } from "./http/model.ts";
import { makeWorkload, OrderRequests, orderIdRequests, type Workload } from "./http/workload.ts";
import type { BenchOptions } from "./main.ts";
import { makeReport, rowOf } from "./report.ts";

const CONNECTIONS = 8;
/** Short rounds in turn: what disturbs the machine disturbs all that is compared. */
const ROUND_MS = 1_200;
/** Rounds that are not counted: memory fills, and code that runs often is compiled well. */
const WARM_UP_ROUNDS = 2;
/** Orders over which the share of entity states found in memory is measured. */
const CACHE_ORDERS = 4_000;
/** Orders over which the share of plain approvals is taken. */
const OUTCOME_ORDERS = 1_000;

/** `scale` 0.4 is a shop with a thousand customers and 45,000 events. */
const FULL = { rounds: 7, freshStarts: 5, scale: 0.4 };
const QUICK = { rounds: 3, freshStarts: 2, scale: 0.1 };
type Size = typeof FULL;

/**
 * The decision over HTTP and the events behind it, as multiples of an empty Worker on the same runtime in the same run. Requests go
 * straight to the runtime's socket, without the development server's proxy.
 */
export async function benchHttp({ onStage, quick }: BenchOptions): Promise<Report> {
  const size = quick ? QUICK : FULL;
  const workload = makeWorkload({ seed: "bench", scale: size.scale, end: Date.now() });
  onStage(`building the Workers; training ${BENCH_TREES} trees`);
  const edges = await BenchEdges.build();
  try {
    const model = await trainBenchModel();
    onStage(`ingesting ${workload.events.length} events`);
    const first = await edges.start("product", "product");
    await publishModel(first.client, model.manifest, model.files);
    await promoteVersion(first.client, model.manifest.name, model.manifest.version);
    const busyBefore = first.processorMs();
    const ingested = await ingest(first.client, workload.events);
    const processorUs = ((first.processorMs() - busyBefore) * 1_000) / ingested.events;
    await first.stop();
    await edges.copyState("product", "cpu-path");
    onStage(
      `${Math.round((ingested.events / ingested.settledMs) * 1_000)} events a second; decisions, ${size.rounds} rounds`,
    );
    const decisions = await measureDecisions(edges, { workload, version: model.manifest.version, size });
    onStage(`${size.freshStarts} fresh starts`);
    const starts = await freshStarts(edges, workload, size.freshStarts);
    const rows = [
      ...decisions,
      ...starts,
      rowOf("http.events.settled", "events/s", [(ingested.events / ingested.settledMs) * 1_000], {
        floor: 3_000,
        aim: 10_000,
        better: "higher",
        note: "POST of 500, queue, entity shards, orders, log, paid orders scored, settled",
      }),
      rowOf("http.events.processor", "µs/event", [processorUs], { better: "lower" }),
      rowOf("http.events.accepted", "events/s", [(ingested.events / ingested.acceptedMs) * 1_000], {
        better: "higher",
        note: "handed to the queue, while the consumer works beside",
      }),
    ];
    if (edges.problems.length > 0)
      onStage(`the Workers complained ${edges.problems.length} times: ${edges.problems[0]}`);
    const parameters = { connections: CONNECTIONS, roundMs: ROUND_MS, trees: BENCH_TREES, ...size };
    return makeReport("http", codeVersion(), { parameters, rows });
  } finally {
    await edges.remove();
  }
}

interface Contender {
  readonly id: string;
  readonly edge: RunningEdge;
  readonly next: () => Buffer;
  readonly results: (LoadResult & { readonly processorUs: number })[];
  /** Eight unless said otherwise: enough to keep both cores busy. Half of them leaves room, as a service that is not overloaded has it. */
  readonly connections?: number;
}

async function measureDecisions(
  edges: BenchEdges,
  { workload, version, size }: { workload: Workload; version: string; size: Size },
): Promise<ReportRow[]> {
  const empty = await edges.start("empty", "empty");
  const cpuPath = await edges.start("cpu-path", "cpu-path");
  const product = await edges.start("product", "product");
  const { token } = edges;
  const { templates } = workload;
  const get = wireRequest({ path: "/" });
  const post = wireRequest({ path: "/api/v1/fraud/score", token, body: JSON.stringify({ order: templates[0] }) });
  try {
    const plain = async (edge: RunningEdge, name: string): Promise<OrderRequests> => {
      const approved = await approvedCustomers(edge, templates, token);
      return new OrderRequests({ templates: approved, token, name, draw: "uniform" });
    };
    const inline = await plain(product, "full");
    const fromMemory = await plain(cpuPath, "cpu");
    await assertServed(product.client, workload, version);
    await assertServed(cpuPath.client, workload, version);
    const contenders: Contender[] = [
      { id: "empty", edge: empty, next: () => post, results: [] },
      { id: "empty-get", edge: empty, next: () => get, results: [] },
      { id: "cpu", edge: cpuPath, next: () => fromMemory.next(), results: [] },
      { id: "full", edge: product, next: () => inline.next(), results: [] },
      { id: "full-half", edge: product, connections: CONNECTIONS / 2, next: () => inline.next(), results: [] },
      { id: "by-id", edge: product, next: orderIdRequests(workload.orderIds.slice(-2_000), token), results: [] },
    ];
    for (let round = -WARM_UP_ROUNDS; round < size.rounds; round++) {
      for (const { id, edge, next, results, connections = CONNECTIONS } of contenders) {
        const busyBefore = edge.processorMs();
        const result = await runLoad({ url: edge.url, connections, next, durationMs: ROUND_MS });
        const processorUs = ((edge.processorMs() - busyBefore) * 1_000) / result.latenciesMs.length;
        const [failure] = result.failures;
        if (failure) throw new Error(`${id} answered ${failure[0]}: ${failure[1]}`);
        if (round >= 0) results.push({ ...result, processorUs });
      }
    }
    const shares: ReportRow[] = [];
    for (const one of contenders.filter(({ id }) => id === "cpu" || id === "full"))
      shares.push(await approvedShare(one));
    return [...decisionRows(contenders), ...shares, await hitRatio(product, templates, token)];
  } finally {
    await Promise.all([empty.stop(), cpuPath.stop(), product.stop()]);
  }
}

function decisionRows(contenders: readonly Contender[]): ReportRow[] {
  const empty = contenders.find(({ id }) => id === "empty")?.results ?? [];
  return contenders.flatMap(({ id, results }) => {
    const rate = results.map((result) => result.requestsPerSecond);
    const share = results.map(
      (result, round) => (100 * result.requestsPerSecond) / (empty[round]?.requestsPerSecond ?? Number.NaN),
    );
    const latency = (q: number) => results.map((result) => quantile(result.latenciesMs, q));
    return [
      rowOf(`http.${id}.rate`, "requests/s", rate, { better: "higher" }),
      ...(id === "empty"
        ? []
        : [
            rowOf(`http.${id}.share`, "% of empty", share, {
              better: "higher",
              ...(id === "cpu" && { floor: 70, aim: 85 }),
            }),
          ]),
      rowOf(
        `http.${id}.processor`,
        "µs/request",
        results.map((result) => result.processorUs),
        { better: "lower" },
      ),
      rowOf(`http.${id}.p50`, "ms", latency(0.5), { better: "lower" }),
      rowOf(`http.${id}.p95`, "ms", latency(0.95), {
        better: "lower",
        ...(id.startsWith("full") && { floor: 10, aim: 3 }),
      }),
      rowOf(`http.${id}.p99`, "ms", latency(0.99), { better: "lower" }),
    ];
  });
}

/** Says what is measured: the published model decides, and nothing is degraded. */
async function assertServed(client: ApiClient, { templates }: Workload, version: string): Promise<void> {
  const [order] = templates;
  if (!order) throw new Error("the workload has no orders");
  const placedAt = new Date().toISOString();
  const { body } = await client.call(scoreFraud, {
    query: {},
    body: { order: { ...order, orderId: `ord-check-${Date.now()}`, placedAt } },
  });
  if (body.modelVersion !== version || body.degraded.length > 0) {
    throw new Error(`a decision came from ${body.modelVersion ?? "the rules"}, degraded: ${body.degraded.join(", ")}`);
  }
}

async function cacheReads(client: ApiClient): Promise<{ memory: number; shard: number }> {
  const { body: text } = await client.call(metrics, {});
  const value = (from: string): number =>
    Number(new RegExp(`^feature_cache_reads_total\\{from="${from}"\\} (\\S+)$`, "m").exec(text)?.[1] ?? 0);
  return { memory: value("memory"), shard: value("shard") };
}

/** Entity states found current in memory while orders come from customers by Zipf's law, eight at a time. */
async function hitRatio(product: RunningEdge, templates: readonly Order[], token: string): Promise<ReportRow> {
  const orders = new OrderRequests({ templates, token, name: "zipf", draw: "zipf" });
  const next = (): Buffer => orders.next();
  await runLoad({ url: product.url, connections: CONNECTIONS, next, requests: orders.warmUp });
  const before = await cacheReads(product.client);
  await runLoad({ url: product.url, connections: CONNECTIONS, next, requests: CACHE_ORDERS });
  const after = await cacheReads(product.client);
  const memory = after.memory - before.memory;
  const wanted = memory + after.shard - before.shard;
  return rowOf("http.cache.hit-ratio", "%", [(100 * memory) / wanted], {
    floor: 80,
    aim: 95,
    better: "higher",
    note: `of ${wanted} entity states; customers by Zipf's law, after one order of each`,
  });
}

/**
 * Customers whose order is plainly approved, as nearly all are: a decision that is not takes an explanation, which has its own figure.
 * Asked twice: the first order is an attempt that the second one counts.
 */
async function approvedCustomers(edge: RunningEdge, templates: readonly Order[], token: string): Promise<Order[]> {
  let approved = [...templates];
  for (const name of ["first", "second"]) {
    const orders = new OrderRequests({ templates: approved, token, name, draw: "uniform" });
    const answers = await outcomesOf(edge, () => orders.next(), orders.warmUp);
    approved = approved.filter((_, index) => answers.get(index) === "approve");
  }
  return approved;
}

/** The last outcome by the number that ends the order's id. */
async function outcomesOf(edge: RunningEdge, next: () => Buffer, requests: number): Promise<Map<number, string>> {
  const outcomes = new Map<number, string>();
  await runLoad({
    url: edge.url,
    connections: CONNECTIONS,
    next,
    requests,
    onAnswer: (text) => {
      const [, index, outcome] = /"orderId":"[^"]*-(\d+)".*"decision":"(\w+)"/.exec(text) ?? [];
      outcomes.set(Number(index), outcome ?? "");
    },
  });
  return outcomes;
}

/** Share of plain approvals among what was measured, asked at the end: every order makes a customer look a little busier. */
async function approvedShare({ id, edge, next }: Contender): Promise<ReportRow> {
  const outcomes = [...(await outcomesOf(edge, next, OUTCOME_ORDERS)).values()];
  const approved = outcomes.filter((outcome) => outcome === "approve").length;
  return rowOf(`http.${id}.approved`, "%", [(100 * approved) / outcomes.length], { better: "higher" });
}

/** `npm run bench -- features`: cost of reading, updating and building features, and their parity with the Handbook's. */
import { ReplayState } from "../../batch-training/features/replay-state.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../models/catalog/feature-catalog.ts";
import type { Report, ReportRow } from "../../models/contract/report.ts";
import { encodeEntity, entityBytes } from "../../models/features/entity-state.ts";
import { finishVector } from "../../models/features/finish-vector.ts";
import { behaviourLog } from "../support/behaviour-log.ts";
import { handbookFolder } from "../support/handbook-cards.ts";
import { type BenchEdge, startBenchEdge } from "./features/bench-edge.ts";
import { offlineParity, shardParity } from "./features/handbook-parity.ts";
import { growth } from "./features/growth.ts";
import { offline } from "./features/offline.ts";
import { Workload } from "./features/workload.ts";
import type { BenchOptions } from "./main.ts";
import { makeReport, quantile, rowOf } from "./report.ts";

const ONE_OBJECT = { objects: 1, batch: 1_000 } as const;
const lower = (floor: number, aim: number) => ({ floor, aim, better: "lower" as const });
const higher = (floor: number, aim: number) => ({ floor, aim, better: "higher" as const });

export async function benchFeatures({ onStage, quick }: BenchOptions): Promise<Report> {
  const rows: ReportRow[] = [];
  onStage("vectors in process");
  rows.push(...inProcess());
  const edge = await startBenchEdge();
  try {
    onStage("updates and reads in workerd");
    rows.push(...(await updates(edge, quick)));
    rows.push(...(await reads(edge, quick)));
    rows.push(await hitRatio(edge, quick));
  } finally {
    await edge.stop();
  }
  onStage("growth of the number of entities");
  rows.push(...(await growth(quick, onStage)));
  onStage("offline");
  rows.push(...(await offline(quick, onStage)));
  if (!quick) rows.push(...(await parity(onStage)));
  return makeReport("bench-features", "1", {
    parameters: { quick, features: FRAUD_FEATURES.width, service: FRAUD_FEATURES.name },
    rows,
  });
}

/** A vector of all 58 features from states in memory: a customer, a device and a card with 90 orders each in 30 days. */
function inProcess(): ReportRow[] {
  const workload = new Workload();
  const replay = new ReplayState(FEATURE_CATALOG);
  for (const event of workload.events(1_800, 20)) replay.apply(event);
  const ids = [
    ["customer", "c1"],
    ["device", "d1"],
    ["card", "k1"],
  ] as const;
  const states = [...ids.map(([type, id]) => replay.entity({ type, id }) ?? null), undefined];
  const { order, asOf } = workload.request("c1", 20);
  const times: number[] = [];
  for (let block = 0; block < 300; block++) {
    const started = performance.now();
    for (let i = 0; i < 20; i++) finishVector(FRAUD_FEATURES, states, { payload: order, asOf });
    times.push((performance.now() - started) / 20);
  }
  const [customer] = states;
  const layouts = FEATURE_CATALOG.layouts("customer");
  const stored = customer ? encodeEntity(customer, layouts).length : 0;
  const facts = customer?.groups[0]?.count ?? 1;
  return [
    {
      ...rowOf("vector.memory.p50", "ms", [quantile(times, 0.5)], lower(0.3, 0.05)),
      note: `${FRAUD_FEATURES.width} features`,
    },
    rowOf("entity.stored_bytes_per_fact", "B", [stored / facts]),
    rowOf("entity.memory_bytes_per_fact", "B", [(customer ? entityBytes(customer) : 0) / facts]),
  ];
}

async function updates(edge: BenchEdge, quick: boolean): Promise<ReportRow[]> {
  const workload = new Workload();
  const count = quick ? 5_000 : 10_000;
  const rate = async (options: { hot?: boolean }): Promise<number> => {
    const events = workload.events(count, 10_000, options);
    const body = { ...ONE_OBJECT, events };
    const started = performance.now();
    await edge.call("/apply", body);
    return count / ((performance.now() - started) / 1000);
  };
  await rate({});
  const spread: number[] = [];
  const hot: number[] = [];
  for (let round = 0; round < (quick ? 2 : 5); round++) {
    spread.push(await rate({}));
    hot.push(await rate({ hot: true }));
  }
  const note = "claimed, applied to three entities, settled; queue messages of 1,000 events, four consumers";
  const behaviour: number[] = [];
  let facts = 0;
  for (let round = 0; round < 3; round++) {
    const shop = { until: Date.now(), customers: 3_000, products: 400, days: 20 };
    const seen = behaviourLog({ ...shop, events: count, seed: round }).map((event) => {
      return { ...event, id: `${round}-${event.id}`, tenant: "bench" };
    });
    facts = seen.reduce((sum, event) => sum + FEATURE_CATALOG.factsOf(event).length, 0) / seen.length;
    const started = performance.now();
    await edge.call("/apply", { ...ONE_OBJECT, events: seen });
    // The first round finds no entity.
    if (round > 0) behaviour.push(seen.length / ((performance.now() - started) / 1000));
  }
  return [
    { ...rowOf("update.events_per_second", "1/s", spread, higher(3_000, 10_000)), note },
    {
      ...rowOf("update.behaviour_events_per_second", "1/s", behaviour),
      note: `views, carts and purchases of a shop, ${facts.toFixed(1)} facts an event`,
    },
    { ...rowOf("update.hot_events_per_second", "1/s", hot, higher(2_000, 5_000)), note: "all of one customer" },
  ];
}

async function reads(edge: BenchEdge, quick: boolean): Promise<ReportRow[]> {
  const workload = new Workload();
  const count = quick ? 200 : 1_000;
  const one = async (): Promise<number[]> => {
    const { times } = await edge.call<{ times: number[] }>("/read-each", {
      objects: 1,
      requests: workload.requests(count, 10_000),
    });
    return times;
  };
  await one();
  const single = await one();
  const started = performance.now();
  await one();
  const mean = (performance.now() - started) / count;
  const many: number[] = [];
  for (let i = 0; i < 20; i++) {
    const { times } = await edge.call<{ times: number[] }>("/read-all", {
      objects: 1,
      requests: workload.requests(100, 10_000),
    });
    many.push(times[0] ?? 0);
  }
  const note = "workerd's clock steps in milliseconds";
  return [
    {
      ...rowOf("vector.shard.p50", "ms", [Math.min(mean, quantile(single, 0.5) + 1)], lower(1.5, 0.5)),
      note: "mean of a run where the clock shows 0",
    },
    { ...rowOf("vector.shard.p99", "ms", [quantile(single, 0.99)], lower(5, 1.7)), note },
    { ...rowOf("vector.100_entities.p50", "ms", [quantile(many, 0.5)], lower(20, 5)), note },
  ];
}

async function hitRatio(edge: BenchEdge, quick: boolean): Promise<ReportRow> {
  const workload = new Workload();
  const decide = (count: number) => edge.call("/attempt-each", { objects: 1, requests: workload.zipf(count, 10_000) });
  await edge.call("/reads", {});
  // Warm-up: most of the 10,000 customers have to have been seen once.
  for (let round = 0; round < (quick ? 2 : 5); round++) await decide(4_000);
  await edge.call("/reads", {});
  await decide(quick ? 1_000 : 5_000);
  const { memory, shard } = await edge.call<{ memory: number; shard: number }>("/reads", {});
  const note = "orders of 10,000 customers by Zipf's law, after warm-up";
  return { ...rowOf("cache.hit_ratio", "%", [(100 * memory) / (memory + shard)], higher(80, 95)), note };
}

async function parity(onStage: (text: string) => void): Promise<ReportRow[]> {
  const folder = handbookFolder();
  if (folder === null) {
    onStage("fraud-handbook-cards is not at hand: parity with the Handbook is not measured (set EDGEWISE_DATA)");
    return [];
  }
  onStage("parity with the Handbook, offline");
  const built = await offlineParity(folder);
  onStage("parity with the Handbook, through shards in workerd");
  const served = await shardParity(folder, onStage);
  return [
    {
      ...rowOf("handbook.offline.mismatches", "values", [built.mismatches], lower(0, 0)),
      note: `of ${built.values} in ${built.rows} rows`,
    },
    {
      ...rowOf("handbook.shards.mismatches", "values", [served.mismatches], lower(0, 0)),
      note: `of ${served.values} in ${served.rows} decisions`,
    },
  ];
}

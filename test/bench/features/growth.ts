import type { ReportRow } from "../../../models/contract/report.ts";
import { median, rowOf } from "../report.ts";
import { type BenchEdge, startBenchEdge } from "./bench-edge.ts";
import { Workload } from "./workload.ts";

const ONE_OBJECT = { objects: 1, batch: 1_000 } as const;
/** Entities of the shard that the others are compared with. */
const SMALL = 1_000;
const ROUNDS = 5;
const UPDATES = 2_000;
const READS = 500;

/** Customers, devices and cards, a third each. */
const ofEach = (entities: number): number => Math.ceil(entities / 3);

interface Costs {
  readonly updates: number[];
  readonly reads: number[];
}

/**
 * The same reads and updates on a shard with a thousand entities and on one that grows, turn about, so that whatever else the machine does falls
 * on both. Every entity starts with one fact; orders are of customers, devices and cards drawn at random.
 */
export async function growth(quick: boolean, onStage: (text: string) => void): Promise<ReportRow[]> {
  const sizes = quick ? [10_000, 30_000] : [10_000, 100_000, 1_000_000];
  const [small, large] = await Promise.all([startBenchEdge(), startBenchEdge()]);
  try {
    const workload = new Workload();
    await fill(small, workload, 0, ofEach(SMALL));
    const rows: ReportRow[] = [];
    let filled = 0;
    for (const size of sizes) {
      onStage(`growth: ${size} entities`);
      await fill(large, workload, filled, ofEach(size));
      filled = ofEach(size);
      const [few, many] = await compared(workload, [
        { edge: small, each: ofEach(SMALL) },
        { edge: large, each: filled },
      ]);
      const goal = size === sizes.at(-1) ? ({ floor: 2, aim: 1.2, better: "lower" } as const) : {};
      const name = size === sizes.at(-1) ? "" : `.${size}`;
      const note = (costs: [number, number]): string =>
        `${SMALL} to ${size} entities: ${costs.map((ms) => ms.toFixed(0)).join(" to ")} µs`;
      const update = [(median(few.updates) * 1_000) / UPDATES, (median(many.updates) * 1_000) / UPDATES] as const;
      const read = [(median(few.reads) * 1_000) / READS, (median(many.reads) * 1_000) / READS] as const;
      rows.push(
        { ...rowOf(`growth.update${name}`, "x", [update[1] / update[0]], goal), note: note([...update]) },
        { ...rowOf(`growth.read${name}`, "x", [read[1] / read[0]], goal), note: note([...read]) },
      );
    }
    return rows;
  } finally {
    await Promise.all([small.stop(), large.stop()]);
  }
}

async function fill(edge: BenchEdge, workload: Workload, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 1_000)
    await edge.call("/fill", { ...ONE_OBJECT, events: workload.oneEach(at, Math.min(to, at + 1_000)) });
}

async function compared(
  workload: Workload,
  contenders: readonly [{ edge: BenchEdge; each: number }, { edge: BenchEdge; each: number }],
): Promise<[Costs, Costs]> {
  const costs: [Costs, Costs] = [
    { updates: [], reads: [] },
    { updates: [], reads: [] },
  ];
  for (let round = -1; round < ROUNDS; round++) {
    for (const [at, { edge, each }] of contenders.entries()) {
      const { updates, reads } = costs[at] ?? costs[0];
      const events = workload.events(UPDATES, each, { days: 1 });
      const requests = workload.requests(READS, each);
      let started = performance.now();
      await edge.call("/apply", { ...ONE_OBJECT, events });
      // The first round warms up.
      if (round >= 0) updates.push(performance.now() - started);
      started = performance.now();
      await edge.call("/read-each", { objects: 1, requests });
      if (round >= 0) reads.push(performance.now() - started);
    }
  }
  return costs;
}

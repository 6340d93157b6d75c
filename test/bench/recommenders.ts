/**
 * How long the large fits of recommenders take on this machine: EASE over 10,000 items, one iALS sweep over 10 million interactions with 64 factors.
 * The generated logs follow a power law over items; the figures depend on their size, not on what is in them.
 */
import { availableParallelism } from "node:os";
import { describeMachine } from "../../batch-training/evaluate/machine.ts";
import { easeWeights } from "../../batch-training/train/recommenders/ease.ts";
import { IalsRun } from "../../batch-training/train/recommenders/ials/train-ials.ts";
import { sharedFloats, sharedInts, type SparseMatrix } from "../../batch-training/train/recommenders/sparse-matrix.ts";
import type { Report, ReportRow } from "../../models/contract/report.ts";
import { seededRandom } from "../../models/stats/random.ts";

interface Shape {
  readonly users: number;
  readonly items: number;
  readonly perUser: number;
}

function generate({ users, items, perUser }: Shape): SparseMatrix {
  const random = seededRandom(1);
  const start = sharedInts(users + 1);
  const column = sharedInts(users * perUser);
  let at = 0;
  const own = new Set<number>();
  for (let user = 0; user < users; user++) {
    own.clear();
    // Repeated draws are dropped, as a matrix of pairs has none; the shape is kept by drawing a little more.
    while (own.size < perUser) own.add(Math.floor(items * random() ** 2.5));
    for (const item of Int32Array.from(own).sort()) column[at++] = item;
    start[user + 1] = at;
  }
  return { rows: users, columns: items, start, column, value: sharedFloats(at).fill(1) };
}

async function timed(rounds: number, work: () => Promise<void>): Promise<number> {
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    await work();
    seconds.push((performance.now() - started) / 1000);
  }
  return seconds.toSorted((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN;
}

/** @param options `quick` runs a tenth of the size: to see that it works, not to believe. */
export async function benchRecommenders(options: {
  readonly quick: boolean;
  readonly onStage?: (text: string) => void;
}): Promise<Report> {
  const scale = options.quick ? 10 : 1;
  const threads = availableParallelism();
  const rows: ReportRow[] = [];
  const say = options.onStage ?? (() => {});

  const easeShape = { users: 100_000 / scale, items: 10_000 / scale, perUser: 50 };
  say(`EASE: ${easeShape.items} items`);
  const easeMatrix = generate(easeShape);
  const ease = await timed(options.quick ? 1 : 3, async () => {
    await easeWeights(easeMatrix, { lambda: 500, userPower: 0, itemPower: 0 }, threads);
  });
  // A tenth of the size meets no floor of the whole.
  const goals = options.quick ? {} : { ease: { floor: 60, aim: 20 }, ials: { floor: 60, aim: 15 } };
  rows.push({ id: "ease/10k-items", value: ease, unit: "s", better: "lower", ...goals.ease });

  const ialsShape = { users: 100_000 / scale, items: 20_000 / scale, perUser: 100 };
  say(`iALS: ${(ialsShape.users * ialsShape.perUser) / 1e6} million interactions`);
  const run = new IalsRun(
    generate(ialsShape),
    { factors: 64, sweeps: 1, unobserved: 0.1, regularisation: 0.003, regularisationPower: 1 },
    { seed: 1, threads },
  );
  const sweep = await timed(options.quick ? 1 : 3, () => run.sweep());
  await run.close();
  rows.push({
    id: "ials/10m-interactions/64-factors/sweep",
    value: sweep,
    unit: "s",
    better: "lower",
    ...goals.ials,
  });

  return {
    tool: "bench recommenders",
    version: "1",
    machine: describeMachine(),
    parameters: { quick: options.quick, threads, users: easeShape.users, interactions: ialsShape.users * 100 },
    rows,
  };
}

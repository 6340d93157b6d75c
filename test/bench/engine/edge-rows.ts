import type { ReportRow } from "../../../models/contract/report.ts";
import { processorMs, workerdProcesses } from "../http/process-time.ts";
import { median } from "../report.ts";
import type { BenchModel } from "./bench-models.ts";
import { type EngineEdge, startEngineEdge } from "./edge.ts";

const IN_WORKERD: ReadonlySet<string> = new Set(["trees-200x6", "trees-500x8", "dense-64-256-128-1"]);

/** Both engines inside workerd, and what a fresh isolate pays for its first answer. */
export async function edgeRows(models: readonly BenchModel[], rounds: number): Promise<ReportRow[]> {
  const chosen = models.filter(({ id }) => IN_WORKERD.has(id));
  const edge = await startEngineEdge(chosen, true);
  try {
    const rows: ReportRow[] = [];
    for (const model of chosen) for (const size of [1, 100]) rows.push(...(await compareAt(edge, model, size)));
    return [...rows, ...(await freshRows(chosen.slice(0, 1), rounds))];
  } finally {
    await edge.stop();
  }
}

/** Rounds of a comparison: processor time does not depend on what else the machine does. */
const ROUNDS = 3;

/**
 * One request runs a batch many times: clocks stand still inside. What counts is the processor time of the runtime's
 * process, or the client's clock where there is no such figure.
 */
async function compareAt(edge: EngineEdge, { id, features }: BenchModel, size: number): Promise<ReportRow[]> {
  // Some hundred milliseconds: processor time comes in ticks of ten.
  const times = size === 1 ? { compact: 100_000, "ort-web": 10_000 } : { compact: 1_500, "ort-web": 400 };
  const names = ["compact", "ort-web"] as const;
  const spent = { compact: [] as number[], "ort-web": [] as number[] };
  for (let round = 0; round <= ROUNDS; round++)
    for (const name of names) {
      const path = `/${name}/${id}?rows=${size}&columns=${features}&times=${times[name]}`;
      const before = processorTime();
      const wall = await edge.time(path);
      const after = processorTime();
      // The first round warms up.
      if (round > 0) spent[name].push(before === null || after === null ? wall : after - before);
    }
  const figure = (name: (typeof names)[number]): number => (median(spent[name]) * 1000) / times[name];
  const rows: ReportRow[] = names.map((name) => ({
    id: `workerd/${id}/rows-${size}/${name}`,
    value: figure(name),
    unit: "µs",
    better: "lower",
    note: "processor time",
  }));
  if (id === "trees-200x6" && size === 1)
    rows.push({
      id: "workerd/one-row/200x6/times-faster-than-ort-web",
      value: figure("ort-web") / figure("compact"),
      unit: "x",
      floor: 3,
      aim: 8,
      better: "higher",
    });
  return rows;
}

/** Milliseconds of processor time of the runtime's processes; null where it cannot be told. */
function processorTime(): number | null {
  const times = workerdProcesses().map(processorMs);
  return times.length === 0 || times.includes(null) ? null : times.reduce<number>((sum, time) => sum + (time ?? 0), 0);
}

/**
 * First request of a fresh process: an empty answer, and one that reads, plans and runs a model. In processor time of the
 * process, which includes compilation in the background, where there is such a figure.
 */
async function freshRows(models: readonly BenchModel[], rounds: number): Promise<ReportRow[]> {
  const [model] = models;
  if (model === undefined) return [];
  const spent = { empty: [] as number[], scored: [] as number[] };
  const paths = { empty: "/empty", scored: `/compact/${model.id}?rows=1&columns=${model.features}&times=1` };
  for (let round = 0; round < rounds; round++)
    for (const kind of ["empty", "scored"] as const) {
      const edge = await startEngineEdge(models, false);
      try {
        const wall = await edge.time(paths[kind]);
        spent[kind].push(processorTime() ?? wall);
      } finally {
        await edge.stop();
      }
    }
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  return [
    {
      id: `workerd/fresh-isolate/${model.id}/first-score-over-empty`,
      value: mean(spent.scored) - mean(spent.empty),
      unit: "ms",
      floor: 60,
      aim: 20,
      better: "lower",
      note: `mean of ${rounds} starts each, processor time with compilation in the background; no model fetch`,
    },
  ];
}

import type { ReportRow } from "../../../models/contract/report.ts";
import { undisturbed } from "../measure.ts";
import type { BenchModel } from "./bench-models.ts";
import { type EngineEdge, startEngineEdge } from "./edge.ts";

const IN_WORKERD: ReadonlySet<string> = new Set(["trees-200x6", "trees-500x8", "dense-64-256-128-1"]);

/** Both engines inside workerd, and what a fresh isolate pays for its first answer. */
export async function edgeRows(models: readonly BenchModel[], rounds: number): Promise<ReportRow[]> {
  const chosen = models.filter(({ id }) => IN_WORKERD.has(id));
  const edge = await startEngineEdge(chosen, true);
  try {
    const rows: ReportRow[] = [];
    for (const model of chosen) for (const size of [1, 100]) rows.push(...(await compareAt(edge, model, size, rounds)));
    return [...rows, ...(await freshRows(chosen.slice(0, 1), rounds))];
  } finally {
    await edge.stop();
  }
}

/** One request runs a batch many times: clocks stand still inside, so the client's clock counts. */
async function compareAt(
  edge: EngineEdge,
  { id, features }: BenchModel,
  size: number,
  rounds: number,
): Promise<ReportRow[]> {
  const times = size === 1 ? 4_000 : 100;
  const path = (engine: string, count: number): string =>
    `/${engine}/${id}?rows=${size}&columns=${features}&times=${count}`;
  const spent = { compact: [] as number[], "ort-web": [] as number[] };
  const names = ["compact", "ort-web"] as const;
  for (const name of names) for (let warm = 0; warm < 3; warm++) await edge.time(path(name, times));
  for (let round = 0; round < rounds; round++)
    for (const name of names) {
      const once = await edge.time(path(name, 1));
      spent[name].push((Math.max(0, (await edge.time(path(name, times))) - once) * 1000) / (times - 1));
    }
  const [own, web] = [undisturbed(spent.compact), undisturbed(spent["ort-web"])];
  const rows: ReportRow[] = names.map((name) => ({
    id: `workerd/${id}/rows-${size}/${name}`,
    value: undisturbed(spent[name]),
    unit: "µs",
    better: "lower",
  }));
  if (id === "trees-200x6" && size === 1)
    rows.push({
      id: "workerd/one-row/200x6/times-faster-than-ort-web",
      value: web / own,
      unit: "x",
      floor: 3,
      aim: 8,
      better: "higher",
    });
  return rows;
}

/** First request of a fresh process: an empty answer, and one that reads, plans and runs a model. */
async function freshRows(models: readonly BenchModel[], rounds: number): Promise<ReportRow[]> {
  const [model] = models;
  if (model === undefined) return [];
  const spent = { empty: [] as number[], scored: [] as number[] };
  const paths = { empty: "/empty", scored: `/compact/${model.id}?rows=1&columns=${model.features}&times=1` };
  for (let round = 0; round < rounds; round++)
    for (const kind of ["empty", "scored"] as const) {
      const edge = await startEngineEdge(models, false);
      try {
        spent[kind].push(await edge.time(paths[kind]));
      } finally {
        await edge.stop();
      }
    }
  return [
    {
      id: `workerd/fresh-isolate/${model.id}/first-score-over-empty`,
      value: undisturbed(spent.scored) - undisturbed(spent.empty),
      unit: "ms",
      floor: 60,
      aim: 20,
      better: "lower",
      note: `${rounds} starts each, empty ${undisturbed(spent.empty).toFixed(1)} ms; the engine alone, no model fetch`,
    },
  ];
}

import type { ReportRow } from "../../../models/contract/report.ts";
import { interleaved, type MeasureOptions } from "../measure.ts";
import { type BenchModel, benchRows } from "./bench-models.ts";
import { contendersOver, scorersOf } from "./contenders.ts";
import { lightGbmFigures } from "./lightgbm.ts";
import type { MachineLimits } from "./machine-limits.ts";

const BATCHES = [1, 10, 100, 1000] as const;

/** Different batches that take turns, so that no branch predictor learns a row by heart. */
const TURNS = 64;

/** Microseconds of one call by engine, model and batch, the limit beside them, and the ratios that have floors. */
export async function scoringRows(
  models: readonly BenchModel[],
  limits: MachineLimits,
  options: MeasureOptions,
): Promise<ReportRow[]> {
  const rows: ReportRow[] = [];
  for (const model of models) {
    const scorers = await scorersOf(model);
    const lightGbm = lightGbmFigures(model, benchRows(model, 1000), [1, 10, 100, 1000]);
    for (const size of BATCHES) {
      const batches = Array.from({ length: Math.max(4, Math.round(TURNS / size)) }, (_, turn) =>
        benchRows(model, size + turn)
          .subarray(0, size * model.features)
          .slice(),
      );
      const figures = await interleaved(contendersOver(scorers, batches, size), options);
      const id = `${model.id}/rows-${size}`;
      for (const [name, value] of figures)
        rows.push({
          id: `node/${id}/${name}`,
          value,
          unit: "µs",
          better: "lower",
          ...(name === "compact" ? { note: limitNote(model, size, limits) } : {}),
        });
      const python = lightGbm?.microseconds.get(size);
      if (python !== undefined)
        rows.push({
          id: `node/${id}/lightgbm`,
          value: python,
          unit: "µs",
          better: "lower",
          note: "called from Python, not interleaved",
        });
      rows.push(...ratios(model, size, figures));
    }
  }
  return rows;
}

/** Least time that one core needs: every input read, every node visited or product made, nothing else. */
function limitNote({ trees, products, bytes }: BenchModel, rows: number, limits: MachineLimits): string {
  if (trees === null) {
    const compute = (products * rows) / limits.multiplyAdds;
    const read = bytes.length / limits.bytesMiddle;
    return `limit ${Math.max(compute, read).toFixed(1)} µs: ${products * rows} multiply-adds, ${bytes.length} bytes of weights`;
  }
  const depth = Math.log2(Math.max(...trees.map((tree) => tree.feature.length + 1))) - 1;
  // Each visit reads threshold, links and feature.
  const loads = Math.round(trees.length * depth) * 3 * rows;
  return `limit ${(loads / limits.loads).toFixed(2)} µs: ${loads} loads`;
}

function ratios({ id, trees }: BenchModel, size: number, figures: ReadonlyMap<string, number>): ReportRow[] {
  const [own = Number.NaN, web = Number.NaN, native = Number.NaN] = ["compact", "ort-web", "ort-node"].map((name) =>
    figures.get(name),
  );
  if (size === 1 && id === "trees-200x6")
    return [
      {
        id: "one-row/200x6/times-faster-than-ort-web",
        value: web / own,
        unit: "x",
        floor: 3,
        aim: 8,
        better: "higher",
      },
      { id: "one-row/200x6/compact", value: own, unit: "µs", aim: 5, better: "lower" },
    ];
  if (size === 1 && id === "trees-1000x8")
    return [
      {
        id: "one-row/1000x8/times-faster-than-ort-node",
        value: native / own,
        unit: "x",
        floor: 1,
        aim: 2,
        better: "higher",
      },
    ];
  if (size === 100)
    return [
      {
        id: `batch-100/${id}/of-ort-node's-time`,
        value: own / native,
        unit: "x",
        floor: 1.5,
        aim: 1,
        better: "lower",
        note: trees === null ? "wasm has 128-bit SIMD, the native runtime 512-bit" : "one thread each",
      },
    ];
  return [];
}

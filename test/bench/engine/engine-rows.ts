import type { ReportRow } from "../../../models/contract/report.ts";
import { compileSession } from "../../../models/engine/compile-session.ts";
import { VectorIndex } from "../../../models/engine/vector-index.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { engineKernels } from "../../support/engine-kernels.ts";
import { gaussian, seededRandom } from "../../support/generated-trees.ts";
import { interleaved, type MeasureOptions, undisturbed } from "../measure.ts";
import { type BenchModel, benchRows } from "./bench-models.ts";
import type { MachineLimits } from "./machine-limits.ts";

const DIMENSIONS = 64;
const TOP = 100;

/** Exact search over embeddings. */
export async function searchRows(limits: MachineLimits, options: MeasureOptions): Promise<ReportRow[]> {
  const rows: ReportRow[] = [];
  const random = seededRandom(8);
  const normal = (length: number): Float32Array => Float32Array.from({ length }, () => gaussian(random));
  const queries = Array.from({ length: 16 }, () => normal(DIMENSIONS));
  for (const count of [1_000, 10_000, 100_000]) {
    const index = new VectorIndex(normal(count * DIMENSIONS), DIMENSIONS, TOP, engineKernels);
    let turn = 0;
    const once = (): unknown => index.topK(queries[turn++ % queries.length] ?? normal(DIMENSIONS), TOP);
    const value = (await interleaved([{ name: "topK", once }], options)).get("topK") ?? Number.NaN;
    const bytes = 4 * DIMENSIONS * count;
    const reach = bytes > 16 << 20 ? limits.bytesFar : limits.bytesMiddle;
    const limit = Math.max(bytes / reach, (DIMENSIONS * count) / limits.multiplyAdds);
    rows.push({
      id: `search/${count}x${DIMENSIONS}/top-${TOP}`,
      value: value / 1000,
      unit: "ms",
      better: "lower",
      note: `limit ${(limit / 1000).toFixed(3)} ms: ${bytes} bytes`,
      ...(count === 100_000 ? { floor: 8, aim: 3 } : {}),
    });
  }
  return rows;
}

/** Exact attributions and the cheap preview, per row. */
export async function explainRows(
  model: BenchModel,
  limits: MachineLimits,
  options: MeasureOptions,
): Promise<ReportRow[]> {
  const session = compileSession(readModel(model.bytes), { kernels: engineKernels });
  const batch = benchRows(model, 64);
  const take = (turn: number): Float32Array =>
    batch.subarray((turn % 64) * model.features, ((turn % 64) + 1) * model.features);
  let turn = 0;
  const figures = await interleaved(
    [
      { name: "exact", once: () => session.explain?.(take(turn++)) },
      { name: "path", once: () => session.preview?.(take(turn++)) },
    ],
    options,
  );
  const nodes = model.trees?.reduce((sum, tree) => sum + tree.feature.length, 0) ?? 0;
  // A node's record of two products, two inverses, its fractions: written once, read twice; its cover, link and words read.
  const limit = (nodes * (3 * 80 + 18)) / limits.bytesNear;
  return [
    {
      id: `explain/${model.id.replace("trees-", "")}/exact`,
      value: (figures.get("exact") ?? Number.NaN) / 1000,
      unit: "ms",
      floor: 1.5,
      aim: 0.4,
      better: "lower",
      note: `limit ${(limit / 1000).toFixed(3)} ms: ${nodes} nodes of 258 bytes moved`,
    },
    {
      id: `explain/${model.id.replace("trees-", "")}/path`,
      value: (figures.get("path") ?? Number.NaN) / 1000,
      unit: "ms",
      better: "lower",
    },
  ];
}

/** From the bytes of a file to a session that can score, and what the session keeps. */
export function loadRows(models: readonly BenchModel[], rounds: number): ReportRow[] {
  const rows: ReportRow[] = [];
  for (const model of models) {
    const spent: number[] = [];
    let resident = 0;
    for (let round = 0; round < rounds; round++) {
      const start = performance.now();
      const session = compileSession(readModel(model.bytes), { kernels: engineKernels });
      spent.push(performance.now() - start);
      session.run(benchRows(model, 100), 100);
      resident = session.bytes;
    }
    rows.push(
      {
        id: `load/${model.id}`,
        value: undisturbed(spent),
        unit: "ms",
        better: "lower",
        note: `${model.bytes.length} bytes of ONNX`,
        ...(model.id === "trees-200x6" ? { floor: 30, aim: 10 } : {}),
      },
      {
        id: `memory/${model.id}`,
        value: resident / 1e6,
        unit: "MB",
        better: "lower",
        note: "after a batch of 100, covers for explanations included",
        ...(model.id === "trees-1000x8" ? { floor: 12, aim: 8 } : {}),
      },
    );
  }
  return rows;
}

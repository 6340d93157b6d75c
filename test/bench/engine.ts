/**
 * `npm run bench -- engine`: the compact engine against ONNX Runtime (web and native, one thread) and LightGBM's own
 * predictor, on the same models and rows, taking turns. The floors and aims are those of "Two engines".
 */
import type { Report, ReportRow } from "../../models/contract/report.ts";
import { benchModels, treeModel } from "./engine/bench-models.ts";
import { edgeRows } from "./engine/edge-rows.ts";
import { explainRows, loadRows, searchRows } from "./engine/engine-rows.ts";
import { machineLimits } from "./engine/machine-limits.ts";
import { scoringRows } from "./engine/scoring-rows.ts";
import type { BenchOptions } from "./main.ts";
import { makeReport } from "./report.ts";

export async function benchEngine({ quick, onStage }: BenchOptions): Promise<Report> {
  const options = quick ? { rounds: 7, sampleMs: 1 } : { rounds: 61, sampleMs: 1 };
  onStage("what the machine does at best");
  const limits = await machineLimits();
  const models = benchModels();
  onStage("scoring in Node");
  const rows: ReportRow[] = await scoringRows(models, limits, options);
  onStage("search, explanations, loading");
  rows.push(...(await searchRows(limits, options)));
  rows.push(...(await explainRows(treeModel(200, 6), limits, options)));
  rows.push(...loadRows(models, quick ? 5 : 25));
  onStage("workerd");
  rows.push(...(await edgeRows(models, quick ? 3 : 9)));
  const parameters = {
    rounds: options.rounds,
    sampleMs: options.sampleMs,
    multiplyAddsPerMicrosecond: Math.round(limits.multiplyAdds),
    loadsPerMicrosecond: Math.round(limits.loads),
    bytesPerMicrosecondNear: Math.round(limits.bytesNear),
    bytesPerMicrosecondMiddle: Math.round(limits.bytesMiddle),
    bytesPerMicrosecondFar: Math.round(limits.bytesFar),
    lightgbm: process.env["EDGEWISE_LIGHTGBM_PYTHON"] === undefined ? "absent" : "present",
  };
  return makeReport("bench-engine", "1", {
    parameters,
    rows: rows.map((row) => ({ ...row, value: Number(row.value.toPrecision(5)) })),
  });
}

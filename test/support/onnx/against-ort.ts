/** Runs one graph on both engines, ONNX Runtime as the judge. */
import { loadCompact, loadOrt } from "../../../batch-training/evaluate/load-session.ts";
import { OrtSessionError } from "../../../models/engine/ort-session.ts";
import type { Session } from "../../../models/engine/session.ts";
import { expectClose, expectSame } from "./expect-scores.ts";

export const CLOSE = { relative: 1e-5, absolute: 1e-6 };

/**
 * Seeds are fixed so that a run repeats; `EDGEWISE_FUZZ_RUNS=1000 EDGEWISE_FUZZ_SEED=$RANDOM` searches further.
 */
export function fuzzParameters(runs: number): { numRuns: number; seed: number } {
  const factor = Number(process.env["EDGEWISE_FUZZ_RUNS"] ?? 0);
  return { numRuns: factor || runs, seed: Number(process.env["EDGEWISE_FUZZ_SEED"] ?? 20_260_901) };
}

/** The graph's scores on ONNX Runtime, or null where it refuses the graph or the batch. */
export async function ortScores(bytes: Uint8Array, batch: Float32Array, rows: number): Promise<Float32Array | null> {
  try {
    const session = await loadOrt(bytes);
    try {
      return await session.run(batch, rows);
    } finally {
      await session.release();
    }
  } catch (error) {
    if (error instanceof OrtSessionError) return null;
    throw error;
  }
}

/**
 * Both engines on one batch; the compact engine with its SIMD kernels and without, and also row by row, because it may walk
 * a single row in another way.
 * @returns whether ONNX Runtime took the graph; where it does not, there is nothing to hold the engine to
 */
export async function expectAlike(
  bytes: Uint8Array,
  batch: Float32Array,
  options: { readonly rows: number; readonly tolerance: typeof CLOSE | "exact" },
): Promise<boolean> {
  const { rows, tolerance } = options;
  const expected = await ortScores(bytes, batch, rows);
  if (!expected) return false;
  for (const plain of [true, false]) checkSession(loadCompact(bytes, { plain }), { batch, rows, expected, tolerance });
  return true;
}

function checkSession(
  session: Session,
  call: { batch: Float32Array; rows: number; expected: Float32Array; tolerance: typeof CLOSE | "exact" },
): void {
  const { batch, rows, expected, tolerance } = call;
  const check = (actual: ArrayLike<number>): void =>
    tolerance === "exact" ? expectSame(actual, expected) : expectClose(actual, expected, tolerance);
  check(session.run(batch, rows).slice());
  const width = batch.length / rows;
  const single = Array.from({ length: rows }, (_, row) => [
    ...session.run(batch.subarray(row * width, (row + 1) * width), 1),
  ]);
  check(single.flat());
}

import type { AsyncSession, Session } from "../../models/engine/session.ts";

/** Rows per call, so that neither engine needs buffers for the whole table. */
const CHUNK_ROWS = 1024;

/** Scores a whole table on either engine. @returns `rows × width`, the caller's own */
export async function scoreRows(
  session: Session | AsyncSession,
  values: Float32Array,
  rows: number,
): Promise<Float32Array> {
  const features = values.length / rows;
  let scores = new Float32Array(0);
  for (let start = 0; start < rows; start += CHUNK_ROWS) {
    const end = Math.min(start + CHUNK_ROWS, rows);
    const part = await session.run(values.subarray(start * features, end * features), end - start);
    const width = part.length / (end - start);
    if (start === 0) scores = new Float32Array(width * rows);
    scores.set(part, start * width);
  }
  return scores;
}

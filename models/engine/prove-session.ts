import type { GoldenVectors } from "../contract/manifest.ts";

/**
 * Replays a manifest's golden vectors through a loaded session.
 * @returns null where every score is within the tolerance; otherwise what differs, for the log
 */
export async function proveSession(
  session: { run(batch: Float32Array, rows: number): Float32Array | Promise<Float32Array> },
  golden: GoldenVectors,
): Promise<string | null> {
  for (const [index, { vector, score }] of golden.rows.entries()) {
    const row = Float32Array.from(vector, (value) => value ?? Number.NaN);
    const answer = await session.run(row, 1);
    if (answer.length !== score.length)
      return `golden row ${index}: ${answer.length} scores instead of ${score.length}`;
    for (const [at, expected] of score.entries()) {
      const actual = answer[at] ?? Number.NaN;
      // Written so that NaN fails.
      if (!(Math.abs(actual - expected) <= golden.tolerance))
        return `golden row ${index}, score ${at}: ${actual} instead of ${expected} (tolerance ${golden.tolerance})`;
    }
  }
  return null;
}

import type { Random } from "./random.ts";

/** Uniform integer in [0, bound); `bound` is at most 2^32. */
export const drawInteger = (random: Random, bound: number): number => Math.floor(random() * bound);

/** Standard normal by the polar method (Marsaglia and Bray 1964); the second number of each pair is not kept. */
export function drawNormal(random: Random): number {
  // Ends with probability 1; each turn succeeds with probability pi / 4.
  for (;;) {
    const u = 2 * random() - 1;
    const v = 2 * random() - 1;
    const s = u * u + v * v;
    if (s > 0 && s < 1) return u * Math.sqrt((-2 * Math.log(s)) / s);
  }
}

/** Fisher-Yates shuffle in place. */
export function shuffle(values: Int32Array, random: Random): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = drawInteger(random, i + 1);
    const held = values[i] ?? 0;
    values[i] = values[j] ?? 0;
    values[j] = held;
  }
}

/** Park and Miller's generator (x' = 48271 x mod 2^31 - 1): trivial to repeat in the language that made reference values. */
export function minimalStandard(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

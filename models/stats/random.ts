/** A source of uniform numbers in [0, 1). The kernel has none of its own: callers pass one made from their seed. */
export type Random = () => number;

/** sfc32 (Chris Doty-Humphrey, PractRand), seeded from one 32-bit number. Not for secrets. */
export function seededRandom(seed: number): Random {
  let a = 0x9e3779b9;
  let b = seed | 0;
  let c = 0x243f6a88;
  let counter = 1;
  const next = (): number => {
    const out = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + out;
    return (out >>> 0) / 4_294_967_296;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}

/** Mixes 32 bits well (finaliser of MurmurHash3), as `mix` of the kernel: seeded draws without any state. */
export function mix(x: number): number {
  let y = x >>> 0;
  y = Math.imul(y ^ (y >>> 16), 0x85ebca6b);
  y = Math.imul(y ^ (y >>> 13), 0xc2b2ae35);
  return (y ^ (y >>> 16)) >>> 0;
}

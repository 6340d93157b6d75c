/** What this machine does at best, for the limits beside the figures: AssemblyScript, compiled when the benchmark runs. */

/** `count` rounds of eight independent 4-lane multiply-adds: as many as hide the latency of one. */
export function multiplyAdds(count: u32): f32 {
  // Loaded, because a constant would be built anew for every use.
  const x = v128.load(0);
  const y = v128.load(16);
  let a = x;
  let b = x;
  let c = x;
  let d = x;
  let e = x;
  let f = x;
  let g = x;
  let h = x;
  for (; count > 0; count--) {
    a = f32x4.relaxed_madd(x, y, a);
    b = f32x4.relaxed_madd(x, y, b);
    c = f32x4.relaxed_madd(x, y, c);
    d = f32x4.relaxed_madd(x, y, d);
    e = f32x4.relaxed_madd(x, y, e);
    f = f32x4.relaxed_madd(x, y, f);
    g = f32x4.relaxed_madd(x, y, g);
    h = f32x4.relaxed_madd(x, y, h);
  }
  const low = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  const high = f32x4.add(f32x4.add(e, f), f32x4.add(g, h));
  return f32x4.extract_lane(f32x4.add(low, high), 0);
}

/** Reads `bytes` (a multiple of 128) from address 0 on, `times` times over. */
export function read(bytes: u32, times: u32): f32 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (; times > 0; times--)
    for (let at: usize = 0; at < <usize>bytes; at += 128) {
      a = v128.xor(a, v128.xor(v128.load(at), v128.load(at, 64)));
      b = v128.xor(b, v128.xor(v128.load(at, 16), v128.load(at, 80)));
      c = v128.xor(c, v128.xor(v128.load(at, 32), v128.load(at, 96)));
      d = v128.xor(d, v128.xor(v128.load(at, 48), v128.load(at, 112)));
    }
  return f32x4.extract_lane(v128.xor(v128.xor(a, b), v128.xor(c, d)), 0);
}

/** `count` rounds of sixteen independent loads of four bytes from the first 4 kB. */
export function loads(count: u32): u32 {
  let a: u32 = 0;
  let b: u32 = 0;
  let c: u32 = 0;
  let d: u32 = 0;
  for (; count > 0; count--) {
    const at = <usize>((count & 31) << 6);
    a ^= load<u32>(at) ^ load<u32>(at, 4) ^ load<u32>(at, 8) ^ load<u32>(at, 12);
    b ^= load<u32>(at, 16) ^ load<u32>(at, 20) ^ load<u32>(at, 24) ^ load<u32>(at, 28);
    c ^= load<u32>(at, 32) ^ load<u32>(at, 36) ^ load<u32>(at, 40) ^ load<u32>(at, 44);
    d ^= load<u32>(at, 48) ^ load<u32>(at, 52) ^ load<u32>(at, 56) ^ load<u32>(at, 60);
  }
  return a ^ b ^ c ^ d;
}

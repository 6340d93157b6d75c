/** Time for the optimising compiler to take over. */
const WARM_UP_MS = 150;

/** One of several ways to do the same thing. */
export interface Contender {
  readonly name: string;
  /** Does it once; a promise where it cannot be had without. */
  readonly once: () => unknown;
}

export interface MeasureOptions {
  readonly rounds: number;
  /** Milliseconds of a sample: short against a scheduler's slice, so that most samples go undisturbed on a busy machine. */
  readonly sampleMs: number;
}

/**
 * Microseconds of one call, undisturbed, by contender. The contenders take turns, a sample each a round, so that whatever
 * else the machine does falls on all of them alike.
 */
export async function interleaved(
  contenders: readonly Contender[],
  { rounds, sampleMs }: MeasureOptions,
): Promise<Map<string, number>> {
  const calls = new Map<string, number>();
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (const contender of contenders) calls.set(contender.name, await callsFor(contender, sampleMs));
  for (let round = 0; round < rounds; round++)
    for (const contender of contenders) {
      const count = calls.get(contender.name) ?? 1;
      samples.get(contender.name)?.push((await timed(contender, count)) / count);
    }
  return new Map([...samples].map(([name, list]) => [name, undisturbed(list) * 1000]));
}

/**
 * The tenth percentile: what a call takes when nothing else happens to run. On a quiet machine it is close to the median;
 * on a busy one the median tells about the neighbours.
 */
export function undisturbed(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 10)] ?? Number.NaN;
}

/** Calls that take a sample's time; the contender is warmed up on the way. */
async function callsFor(contender: Contender, sampleMs: number): Promise<number> {
  let fastest = Infinity;
  for (const end = performance.now() + WARM_UP_MS; performance.now() < end;)
    fastest = Math.min(fastest, (await timed(contender, 4)) / 4);
  return Math.max(1, Math.round(sampleMs / fastest));
}

/** Milliseconds of so many calls. */
async function timed({ once }: Contender, count: number): Promise<number> {
  const start = performance.now();
  for (let call = 0; call < count; call++) {
    const pending = once();
    if (pending instanceof Promise) await pending;
  }
  return performance.now() - start;
}

import { setTimeout as sleep } from "node:timers/promises";
import { SeededRandom } from "../../support/seeded-random.ts";
import { Connection, type LoadResult } from "./load.ts";

export interface OpenLoadOptions {
  /** Origin of the server, `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** Mean of the arrivals; the time between two is exponential (a Poisson process). */
  readonly perSecond: number;
  readonly durationMs: number;
  /** Of the arrivals: the same times in every run. */
  readonly seed: number;
  readonly next: () => Buffer;
}

/** Connections at most: a server that far behind has lost the race, and the round says so. */
const MAX_CONNECTIONS = 500;

/**
 * Requests that arrive whether or not earlier ones were answered, as those of many independent visitors do: each takes an idle connection or opens
 * one. A client that waits for its answer before it asks again slows down with the server and so hides what waiting costs. Arrivals fall on the timer's
 * milliseconds; a latency counts from the moment the request is written.
 */
export async function runOpenLoad({ url, perSecond, durationMs, seed, next }: OpenLoadOptions): Promise<LoadResult> {
  const random = new SeededRandom(seed);
  const latencies: number[] = [];
  const failures = new Map<number, string>();
  const idle: Connection[] = [];
  const asked: Promise<void>[] = [];
  let opened = 0;
  const ask = async (): Promise<void> => {
    let connection = idle.pop();
    if (connection === undefined) {
      if (++opened > MAX_CONNECTIONS) throw new Error(`more than ${MAX_CONNECTIONS} requests were unanswered at once`);
      connection = await Connection.open(new URL(url));
    }
    const request = next();
    const sent = performance.now();
    const { status, text } = await connection.exchange(request);
    latencies.push(performance.now() - sent);
    if (status !== 200 && !failures.has(status)) failures.set(status, text().slice(0, 500));
    idle.push(connection);
  };
  const started = performance.now();
  try {
    for (let due = 0; ;) {
      due -= (Math.log(1 - random.next()) * 1_000) / perSecond;
      if (due > durationMs) break;
      const wait = started + due - performance.now();
      if (wait > 0) await sleep(wait);
      asked.push(ask());
    }
    await Promise.all(asked);
  } finally {
    await Promise.allSettled(asked);
    for (const connection of idle) connection.close();
  }
  return {
    requestsPerSecond: (latencies.length * 1_000) / (performance.now() - started),
    latenciesMs: Float64Array.from(latencies).sort(),
    failures,
  };
}

import type { History } from "./history.ts";
import { profileOf } from "./profile.ts";
import type { ServedSessions } from "./served-recommender.ts";
import type { WrittenItems } from "./written-items.ts";

/**
 * Vector session nearest neighbours (V-SkNN, Ludewig and Jannach 2018) with the decays of STAN (Garg et al. 2019): sessions that share items with
 * the current one, weighted by the recency of the shared items there, vote for their own items.
 */
export class SessionScorer {
  readonly #served: ServedSessions;
  /** Sessions of each item. */
  readonly #knownBy: Int32Array;
  /** Sessions of each item, most recent first. */
  readonly #sessionsOf: readonly Int32Array[];
  readonly #similarity: Float64Array;
  /** Distinct items of each session, for the cosine. */
  readonly #length: Float64Array;

  constructor(served: ServedSessions) {
    this.#served = served;
    const sessions = served.lastTime.length;
    this.#similarity = new Float64Array(sessions);
    this.#length = new Float64Array(sessions);
    const sessionsOf: number[][] = Array.from({ length: served.items }, () => []);
    for (let session = 0; session < sessions; session++) {
      const distinct = new Set(served.item.subarray(served.start[session] ?? 0, served.start[session + 1] ?? 0));
      this.#length[session] = distinct.size;
      for (const item of distinct) sessionsOf[item]?.push(session);
    }
    const time = (session: number): number => served.lastTime[session] ?? 0;
    this.#knownBy = Int32Array.from(sessionsOf, (list) => list.length);
    this.#sessionsOf = sessionsOf.map((list) => {
      const recent = list.sort((a, b) => time(b) - time(a) || b - a).slice(0, served.rule.sampled);
      return Int32Array.from(recent);
    });
  }

  /** Adds to an `out` of zeros; see `Scorer.scoreFew`. */
  score(history: History, at: number, out: Float32Array, written: WrittenItems): void {
    const profile = profileOf(history.items, history.times, at, {
      stepDecay: this.#served.rule.decay,
      halfLifeSeconds: Infinity,
    });
    if (profile.items.length === 0) return;
    const weights = new Map<number, number>();
    for (const [place, item] of profile.items.entries()) weights.set(item, profile.weights[place] ?? 0);
    const candidates = this.#candidates(profile.items, weights, at);
    for (const [session, similarity] of candidates) this.#vote(session, similarity, weights, out);
    for (const [session] of candidates) this.#noteItems(session, written);
  }

  #noteItems(session: number, written: WrittenItems): void {
    const to = this.#served.start[session + 1] ?? 0;
    for (let event = this.#served.start[session] ?? 0; event < to; event++) written.note(this.#served.item[event] ?? 0);
  }

  #candidates(items: Int32Array, weights: Map<number, number>, at: number): [number, number][] {
    const { neighbours, rarity, halfLifeSeconds } = this.#served.rule;
    const touched: number[] = [];
    for (const item of items) {
      const known = Math.max(1, this.#knownBy[item] ?? 1);
      const w = (weights.get(item) ?? 0) * (this.#length.length / known) ** rarity;
      for (const session of this.#sessionsOf[item] ?? []) {
        const before = this.#similarity[session] ?? 0;
        if (before === 0) touched.push(session);
        this.#similarity[session] = before + w;
      }
    }
    const scored = touched.map((session): [number, number] => {
      const age = Math.max(0, at - (this.#served.lastTime[session] ?? at));
      const fade = halfLifeSeconds === Infinity || Number.isNaN(age) ? 1 : 2 ** (-age / halfLifeSeconds);
      const raw = (this.#similarity[session] ?? 0) * fade;
      this.#similarity[session] = 0;
      return [session, raw / Math.sqrt(this.#length[session] ?? 1)];
    });
    return scored.sort((a, b) => b[1] - a[1] || b[0] - a[0]).slice(0, neighbours);
  }

  /** A neighbour's items get its similarity, faded by their distance from the item shared most recently. */
  #vote(session: number, similarity: number, weights: Map<number, number>, out: Float32Array): void {
    const from = this.#served.start[session] ?? 0;
    const to = this.#served.start[session + 1] ?? 0;
    let anchor = from;
    let best = 0;
    for (let event = from; event < to; event++) {
      const w = weights.get(this.#served.item[event] ?? -1) ?? 0;
      if (w >= best && w > 0) {
        best = w;
        anchor = event;
      }
    }
    for (let event = from; event < to; event++) {
      const item = this.#served.item[event] ?? 0;
      out[item] = (out[item] ?? 0) + similarity * best * this.#served.rule.distanceDecay ** Math.abs(event - anchor);
    }
  }
}

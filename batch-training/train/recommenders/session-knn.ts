import { type FittedRecommender, type Recommender, setting } from "./recommender.ts";
import { profileOf } from "../../../models/recommend/profile.ts";
import type { History, TrainingLog } from "./training-log.ts";

const DAY = 86_400;

export interface SessionKnnSettings {
  /** Neighbour sessions that vote. */
  readonly neighbours: number;
  /** Most recent sessions that share an item, compared at most. */
  readonly sampled: number;
  /** Weight of an item one step before the newest of the current session. */
  readonly decay: number;
  /** Half-life of a neighbour session by its age, seconds; Infinity for none. */
  readonly sessionHalfLife: number;
  /** How fast an item's vote fades with its distance, in steps, from the shared item in the neighbour; 1 for not at all. */
  readonly distanceDecay: number;
  /** Exponent of inverse popularity on the matched items; 0 for none. */
  readonly rarity: number;
}

/**
 * Vector session nearest neighbours (V-SkNN, Ludewig and Jannach 2018) with the decays of STAN (Garg et al. 2019): sessions that share items with
 * the current one, weighted by the recency of the shared items there, vote for their own items.
 */
class SessionKnn implements FittedRecommender {
  readonly #log: TrainingLog;
  readonly #settings: SessionKnnSettings;
  /** Sessions of each item, most recent first. */
  readonly #sessionsOf: readonly Int32Array[];
  readonly #lastTime: Float64Array;
  readonly #similarity: Float64Array;
  /** Distinct items of each session, for the cosine. */
  readonly #length: Float64Array;

  constructor(log: TrainingLog, settings: SessionKnnSettings) {
    this.#log = log;
    this.#settings = settings;
    this.#lastTime = new Float64Array(log.users);
    this.#similarity = new Float64Array(log.users);
    this.#length = new Float64Array(log.users);
    const sessionsOf: number[][] = Array.from({ length: log.items }, () => []);
    for (let session = 0; session < log.users; session++) {
      const events = log.item.subarray(log.start[session] ?? 0, log.start[session + 1] ?? 0);
      this.#lastTime[session] = log.time[(log.start[session + 1] ?? 1) - 1] ?? Number.NaN;
      const distinct = new Set(events);
      this.#length[session] = distinct.size;
      for (const item of distinct) sessionsOf[item]?.push(session);
    }
    const time = (session: number): number => this.#lastTime[session] ?? 0;
    this.#sessionsOf = sessionsOf.map((list) => Int32Array.from(list.sort((a, b) => time(b) - time(a) || b - a)));
  }

  score(history: History, at: number, out: Float32Array): void {
    out.fill(0);
    const settings = this.#settings;
    const profile = profileOf(history.items, history.times, at, { stepDecay: settings.decay, halfLifeSeconds: Infinity });
    if (profile.items.length === 0) return;
    const weights = new Map<number, number>();
    for (const [place, item] of profile.items.entries()) weights.set(item, profile.weights[place] ?? 0);
    const candidates = this.#candidates(profile.items, weights, at);
    for (const [session, similarity] of candidates) this.#vote(session, similarity, weights, out);
  }

  #candidates(items: Int32Array, weights: Map<number, number>, at: number): [number, number][] {
    const { neighbours, sampled, rarity, sessionHalfLife } = this.#settings;
    const touched: number[] = [];
    for (const item of items) {
      const known = this.#log.knownBy[item] ?? 1;
      const w = (weights.get(item) ?? 0) * (this.#log.users / known) ** rarity;
      const sessions = this.#sessionsOf[item] ?? new Int32Array(0);
      for (let i = 0; i < Math.min(sampled, sessions.length); i++) {
        const session = sessions[i] ?? 0;
        const before = this.#similarity[session] ?? 0;
        if (before === 0) touched.push(session);
        this.#similarity[session] = before + w;
      }
    }
    const scored = touched.map((session): [number, number] => {
      const age = Math.max(0, at - (this.#lastTime[session] ?? at));
      const fade = sessionHalfLife === Infinity || Number.isNaN(age) ? 1 : 2 ** (-age / sessionHalfLife);
      const raw = (this.#similarity[session] ?? 0) * fade;
      this.#similarity[session] = 0;
      return [session, raw / Math.sqrt(this.#length[session] ?? 1)];
    });
    return scored.sort((a, b) => b[1] - a[1] || b[0] - a[0]).slice(0, neighbours);
  }

  /** A neighbour's items get its similarity, faded by their distance from the item shared most recently. */
  #vote(session: number, similarity: number, weights: Map<number, number>, out: Float32Array): void {
    const from = this.#log.start[session] ?? 0;
    const to = this.#log.start[session + 1] ?? 0;
    let anchor = from;
    let best = 0;
    for (let event = from; event < to; event++) {
      const w = weights.get(this.#log.item[event] ?? -1) ?? 0;
      if (w >= best && w > 0) {
        best = w;
        anchor = event;
      }
    }
    for (let event = from; event < to; event++) {
      const item = this.#log.item[event] ?? 0;
      out[item] = (out[item] ?? 0) + similarity * best * this.#settings.distanceDecay ** Math.abs(event - anchor);
    }
  }

  serve(): ReturnType<FittedRecommender["serve"]> {
    const { items, start, item } = this.#log;
    return { kind: "sessions", items, start, item, lastTime: this.#lastTime };
  }
}

export const sessionKnn: Recommender = {
  name: "session-knn",
  description: "sessions (or users) that share recent items vote",
  search: {
    neighbours: [100, 50, 300],
    sampled: [1000],
    decay: [0.8, 0.5, 0.9, 0.97, 1],
    distanceDecay: [1, 0.9, 0.8, 0.6],
    halfLifeDays: [0, 1, 3, 30],
    rarity: [0, 0.4],
  },
  fit: (log, parameters) => {
    const days = setting(parameters, "halfLifeDays");
    const fitted = new SessionKnn(log, {
      neighbours: setting(parameters, "neighbours"),
      sampled: setting(parameters, "sampled"),
      decay: setting(parameters, "decay"),
      distanceDecay: setting(parameters, "distanceDecay"),
      rarity: setting(parameters, "rarity"),
      sessionHalfLife: days === 0 ? Infinity : days * DAY,
    });
    return Promise.resolve(fitted);
  },
};

import { rescale } from "./blend-scale.ts";
import type { CandidateSet } from "./candidates.ts";
import { solveFoldIn } from "./fold-in.ts";
import type { History } from "./history.ts";
import type { DotAll } from "./place-served.ts";
import { profileOf } from "./profile.ts";
import { openScorer, type Scorer } from "./scorer.ts";
import type { ServedPart, ServedRecommender } from "./served-recommender.ts";
import type { IndexedHistory } from "./visitor-history.ts";

interface Part {
  readonly kind: ServedPart["kind"];
  readonly weight: number;
  readonly scorer: Scorer;
  readonly own: Float32Array;
  used: boolean;
}

/**
 * The first stage: the served recommender over a visitor's history, with what each of its parts contributed. The total equals the score of
 * `openScorer` over a blend, where every part sees the same history; here each part sees the history it is about: `repeat` the repeated actions, `sessions` the
 * current session, all others the taste.
 */
export class Retrieval {
  /** One score per item, after `score`. */
  readonly total: Float32Array;
  readonly #parts: Part[];
  readonly #rescale: ((scores: Float32Array) => void) | null;

  /** @param dots scores embeddings in the kernels' memory; see `place-served.ts` */
  constructor(served: ServedRecommender, dots: ReadonlyMap<ServedPart, DotAll> = new Map()) {
    const parts = served.kind === "blend" ? served.parts : [{ weight: 1, part: served }];
    const scale = served.kind === "blend" ? served.scale : null;
    this.#rescale = scale === null ? null : (scores) => rescale(scores, scale);
    this.total = new Float32Array(served.items);
    this.#parts = parts.map(({ weight, part }) => ({
      kind: part.kind,
      weight,
      scorer: scorerOf(part, dots),
      own: new Float32Array(served.items),
      used: false,
    }));
  }

  /** Bytes of the working arrays. */
  get bytes(): number {
    return this.total.byteLength * (1 + this.#parts.length);
  }

  /** @param at seconds */
  score(history: IndexedHistory, at: number): void {
    this.total.fill(0);
    for (const part of this.#parts) {
      const seen = historyFor(part.kind, history);
      part.used = part.kind === "scores" || seen.items.some((item) => item >= 0);
      if (!part.used) continue;
      part.scorer.score(seen, at, part.own);
      this.#rescale?.(part.own);
      const { own, weight } = part;
      for (let item = 0; item < own.length; item++) {
        this.total[item] = (this.total[item] ?? 0) + weight * (own[item] ?? 0);
      }
    }
  }

  /** Adds the best items of the total that pass, above 0, best first and lower index first among equals. */
  select(limit: number, passes: (item: number) => boolean, into: CandidateSet): void {
    for (const item of topItems(this.total, limit, passes)) into.add(item);
  }

  /** Writes the total and each part's share of it for every candidate of the model. */
  describe(candidates: CandidateSet): void {
    for (let row = 0; row < candidates.size; row++) {
      const item = candidates.items[row] ?? 0;
      if (item >= this.total.length) continue;
      candidates.setScore(row, "retrieval", this.total[item] ?? 0);
      for (const { kind, weight, own, used } of this.#parts) {
        if (used) candidates.setScore(row, kind, candidates.score(row, kind) + weight * (own[item] ?? 0));
      }
    }
    const order = Array.from({ length: candidates.size }, (_, row) => row);
    const totalOf = (row: number): number => candidates.score(row, "retrieval");
    order.sort((a, b) => totalOf(b) - totalOf(a) || (candidates.items[a] ?? 0) - (candidates.items[b] ?? 0));
    for (const [rank, row] of order.entries()) candidates.setScore(row, "rank", Math.log1p(rank));
  }
}

function scorerOf(part: ServedPart, dots: ReadonlyMap<ServedPart, DotAll>): Scorer {
  const dot = dots.get(part);
  if (part.kind !== "embeddings" || !dot) return openScorer(part);
  return {
    score: (history, at, out) => {
      const profile = profileOf(history.items, history.times, at, part.profile);
      if (profile.items.length === 0) out.fill(0);
      else out.set(dot(solveFoldIn(part, profile)));
    },
  };
}

/** What a part of a kind sees of a visitor. */
export function historyFor(kind: ServedPart["kind"], history: IndexedHistory): History {
  if (kind === "repeat") return history.repeat;
  return kind === "sessions" ? history.session : history.taste;
}

/** The `limit` best of the scores above 0 that pass; a filter is asked only about items that would enter. */
export function topItems(scores: Float32Array, limit: number, passes: (item: number) => boolean): number[] {
  const heap = new Heap(scores, limit);
  // A local bound: this loop looks at every item of the catalogue.
  let least = limit > 0 ? 0 : Infinity;
  for (let item = 0; item < scores.length; item++) {
    if ((scores[item] ?? 0) > least && passes(item)) least = heap.push(item);
  }
  return heap.sorted();
}

/** The best so far, the worst of them on top. Items come in ascending order, so a later one never beats an equal score. */
class Heap {
  readonly #scores: Float32Array;
  readonly #limit: number;
  readonly #items: number[] = [];

  constructor(scores: Float32Array, limit: number) {
    this.#scores = scores;
    this.#limit = limit;
  }

  /** Returns what the next score must exceed. */
  push(item: number): number {
    if (this.#items.length < this.#limit) {
      this.#items.push(item);
      this.#rise(this.#items.length - 1);
    } else {
      this.#items[0] = item;
      this.#sink(0);
    }
    return this.#items.length < this.#limit ? 0 : this.#scoreAt(0);
  }

  sorted(): number[] {
    return this.#items.toSorted((a, b) => (this.#scores[b] ?? 0) - (this.#scores[a] ?? 0) || a - b);
  }

  #scoreAt(place: number): number {
    return this.#scores[this.#items[place] ?? 0] ?? 0;
  }

  /** Whether the item at `a` is worse than the one at `b`: it leaves first. */
  #worse(a: number, b: number): boolean {
    const [left, right] = [this.#scoreAt(a), this.#scoreAt(b)];
    return left < right || (left === right && (this.#items[a] ?? 0) > (this.#items[b] ?? 0));
  }

  #swap(a: number, b: number): void {
    const held = this.#items[a] ?? 0;
    this.#items[a] = this.#items[b] ?? 0;
    this.#items[b] = held;
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#worse(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(from: number): void {
    for (let at = from; ;) {
      const left = 2 * at + 1;
      if (left >= this.#items.length) return;
      const child = left + 1 < this.#items.length && this.#worse(left + 1, left) ? left + 1 : left;
      if (!this.#worse(child, at)) return;
      this.#swap(at, child);
      at = child;
    }
  }
}

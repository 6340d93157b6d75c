import { rescale } from "./blend-scale.ts";
import type { CandidateSet } from "./candidates.ts";
import { solveFoldIn } from "./fold-in.ts";
import type { History } from "./history.ts";
import { IndexedScorer, type IndexSearch } from "./indexed-part.ts";
import { type DotAll, NOT_PLACED, type Placement } from "./place-served.ts";
import { profileOf } from "./profile.ts";
import { openScorer, type Scorer } from "./scorer.ts";
import type { BlendScale, ServedPart, ServedRecommender } from "./served-recommender.ts";
import type { IndexedHistory } from "./visitor-history.ts";

interface Part {
  readonly kind: ServedPart["kind"];
  readonly weight: number;
  readonly scorer: Scorer | IndexedScorer;
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
  readonly #scale: BlendScale | null;
  readonly #indexed: IndexedScorer | null;

  constructor(served: ServedRecommender, { dots, indexed }: Placement = NOT_PLACED) {
    this.#indexed = indexed === null ? null : new IndexedScorer(indexed, dots.get(indexed.part) ?? null);
    const parts = served.kind === "blend" ? served.parts : [{ weight: 1, part: served }];
    this.#scale = served.kind === "blend" ? served.scale : null;
    this.total = new Float32Array(served.items);
    this.#parts = parts.map(({ weight, part }) => ({
      kind: part.kind,
      weight,
      scorer: part === indexed?.part && this.#indexed !== null ? this.#indexed : scorerOf(part, dots),
      own: new Float32Array(served.items),
      used: false,
    }));
  }

  /** Bytes of the working arrays. */
  get bytes(): number {
    return this.total.byteLength * (1 + this.#parts.length);
  }

  /** What a vector index is to be asked with; null where there is none, or nothing is known that it could be asked about. @param at seconds */
  searchVector(history: IndexedHistory, at: number): Float64Array | null {
    return this.#indexed?.userOf(historyFor("embeddings", history), at) ?? null;
  }

  /** @param at seconds @param search what a vector index answered to `searchVector` */
  score(history: IndexedHistory, at: number, search: IndexSearch | null = null): void {
    this.total.fill(0);
    for (const part of this.#parts) {
      const seen = historyFor(part.kind, history);
      part.used = part.kind === "scores" || seen.items.some((item) => item >= 0);
      if (!part.used) continue;
      if (part.scorer instanceof IndexedScorer) {
        const deviation = part.scorer.score(seen, at, search, part.own);
        part.used = deviation !== null;
        if (deviation === null) continue;
        // Most of its scores are not known here, but how far all of them deviate is.
        if (this.#scale !== null) rescale(part.own, this.#scale, deviation);
      } else {
        part.scorer.score(seen, at, part.own);
        if (this.#scale !== null) rescale(part.own, this.#scale);
      }
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
  const heap = new Heap(limit);
  // A local bound: this loop looks at every item of the catalogue.
  let least = limit > 0 ? 0 : Infinity;
  for (let item = 0; item < scores.length; item++) {
    const score = scores[item] ?? 0;
    if (score > least && passes(item)) least = heap.push(item, score);
  }
  return heap.sorted();
}

/**
 * The best so far, the worst of them on top. Items come in ascending order, so a later one never beats an equal score. Scores lie beside their
 * items, and a place is moved, not swapped: some thousand items of a catalogue pass through here for a list.
 */
class Heap {
  readonly #items: Int32Array;
  readonly #scores: Float32Array;
  #size = 0;

  constructor(limit: number) {
    this.#items = new Int32Array(limit);
    this.#scores = new Float32Array(limit);
  }

  /** Returns what the next score must exceed. */
  push(item: number, score: number): number {
    if (this.#size < this.#items.length) this.#rise(this.#size++, item, score);
    else this.#sink(item, score);
    return this.#size < this.#items.length ? 0 : (this.#scores[0] ?? 0);
  }

  sorted(): number[] {
    const [items, scores] = [this.#items, this.#scores];
    const places = Array.from({ length: this.#size }, (_, place) => place);
    places.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || (items[a] ?? 0) - (items[b] ?? 0));
    return places.map((place) => items[place] ?? 0);
  }

  /** An item above is as bad or worse; the new one comes last, so it is the worse of two equals. */
  #rise(from: number, item: number, score: number): void {
    const [items, scores] = [this.#items, this.#scores];
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = scores[parent] ?? 0;
      if (above < score) break;
      items[at] = items[parent] ?? 0;
      scores[at] = above;
      at = parent;
    }
    items[at] = item;
    scores[at] = score;
  }

  /** Puts an item in place of the top one. */
  #sink(item: number, score: number): void {
    const [items, scores, size] = [this.#items, this.#scores, this.#size];
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      let below = scores[child] ?? 0;
      const right = child + 1 < size ? (scores[child + 1] ?? 0) : Infinity;
      if (right < below || (right === below && (items[child + 1] ?? 0) > (items[child] ?? 0))) {
        child++;
        below = right;
      }
      // Below an equal score: the new item is the worse one and stays above.
      if (below >= score) break;
      items[at] = items[child] ?? 0;
      scores[at] = below;
      at = child;
    }
    items[at] = item;
    scores[at] = score;
  }
}

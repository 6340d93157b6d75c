import { BestFirst } from "./best-first.ts";
import { type CandidateSet, COLUMN_COUNT, COLUMNS } from "./candidates.ts";
import { solveFoldIn } from "./fold-in.ts";
import type { History } from "./history.ts";
import { IndexedScorer, type IndexSearch } from "./indexed-part.ts";
import { PartScores } from "./part-scores.ts";
import { type DotAll, NOT_PLACED, type Placement } from "./place-served.ts";
import { profileOf } from "./profile.ts";
import { openScorer, type Scorer } from "./scorer.ts";
import type { ServedPart, ServedRecommender } from "./served-recommender.ts";
import type { IndexedHistory } from "./visitor-history.ts";

/**
 * The first stage: the served recommender over a visitor's history, with what each of its parts contributed. The total equals the score of
 * `openScorer` over a blend, where every part sees the same history; here each part sees the history it is about: `repeat` the repeated actions, `sessions` the
 * current session, all others the taste.
 */
export class Retrieval {
  /** One score per item, after `score`. */
  readonly total: Float32Array;
  readonly #parts: PartScores[];
  readonly #indexed: IndexedScorer | null;

  constructor(served: ServedRecommender, { dots, indexed }: Placement = NOT_PLACED) {
    const ownIndexed = indexed === null ? null : new IndexedScorer(indexed, dots.get(indexed.part) ?? null);
    this.#indexed = ownIndexed;
    const parts = served.kind === "blend" ? served.parts : [{ weight: 1, part: served }];
    const scale = served.kind === "blend" ? served.scale : null;
    this.total = new Float32Array(served.items);
    this.#parts = parts.map(({ weight, part }) => {
      const scorer = part === indexed?.part && ownIndexed !== null ? ownIndexed : scorerOf(part, dots);
      return new PartScores({ kind: part.kind, weight, scale, items: served.items, scorer });
    });
  }

  /** Bytes of the working arrays. */
  get bytes(): number {
    return this.#parts.reduce((sum, part) => sum + part.bytes, this.total.byteLength);
  }

  /** What a vector index is to be asked with; null where there is none, or nothing is known that it could be asked about. @param at seconds */
  searchVector(history: IndexedHistory, at: number): Float64Array | null {
    return this.#indexed?.userOf(historyFor("embeddings", history), at) ?? null;
  }

  /** @param at seconds @param search what a vector index answered to `searchVector` */
  score(history: IndexedHistory, at: number, search: IndexSearch | null = null): void {
    this.total.fill(0);
    for (const part of this.#parts) part.addTo(this.total, { history: historyFor(part.kind, history), at, search });
  }

  /** Adds the best items of the total that pass, above 0, the lower index among equals; in no order. */
  select(limit: number, passes: (item: number) => boolean, into: CandidateSet): void {
    for (const item of bestItems(this.total, limit, passes).items) into.add(item);
  }

  /** Writes the total, each part's share of it and the rank by the total for every candidate of the model. */
  describe(candidates: CandidateSet): void {
    const { size, items, scores } = candidates;
    const order = new BestFirst(size);
    for (let row = 0; row < size; row++) {
      const item = items[row] ?? 0;
      const total = this.total[item] ?? 0;
      scores[row * COLUMN_COUNT + COLUMNS.retrieval] = total;
      order.add(item, total);
    }
    for (const part of this.#parts) if (part.used) part.describe(candidates);
    for (const [rank, item] of order.items().entries()) {
      scores[candidates.rowOf(item) * COLUMN_COUNT + COLUMNS.rank] = Math.log1p(rank);
    }
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

/** The `limit` best of the scores above 0 that pass, best first; a filter is asked only about items that would enter. */
export function topItems(scores: Float32Array, limit: number, passes: (item: number) => boolean): number[] {
  return bestItems(scores, limit, passes).sorted();
}

function bestItems(scores: Float32Array, limit: number, passes: (item: number) => boolean): Heap {
  const bound = likelyBound(scores, limit);
  const found = itemsAbove(bound, scores, limit, passes);
  // The bound was too high: some of what lies above it does not pass, or the sample was an odd one.
  return bound > 0 && found.size < limit ? itemsAbove(0, scores, limit, passes) : found;
}

function itemsAbove(bound: number, scores: Float32Array, limit: number, passes: (item: number) => boolean): Heap {
  const heap = new Heap(limit);
  // A local bound: this loop looks at every item of the catalogue.
  let least = limit > 0 ? bound : Infinity;
  for (let item = 0; item < scores.length; item++) {
    const score = scores[item] ?? 0;
    if (score > least && passes(item)) least = Math.max(bound, heap.push(item, score));
  }
  return heap;
}

/** One score in so many is looked at to guess what the last of the best will have. */
const SAMPLED = 16;
/** A guess is made for half as many more items than are asked for, so that it is seldom too high. */
const MARGIN = 1.5;

/** A score that a little more than `limit` items probably exceed; 0 where nothing can be said. */
function likelyBound(scores: Float32Array, limit: number): number {
  const above = Math.ceil((limit * MARGIN) / SAMPLED);
  if (limit === 0 || scores.length < limit * SAMPLED) return 0;
  const heap = new Heap(above);
  let least = 0;
  for (let item = 0; item < scores.length; item += SAMPLED) {
    const score = scores[item] ?? 0;
    if (score > least) least = heap.push(item, score);
  }
  return least;
}

/**
 * The best so far, the worst of them on top. Items come in ascending order, so a later one never beats an equal score. Scores lie beside their
 * items, and a place is moved, not swapped: some thousand items of a catalogue pass through here for a list.
 */
class Heap {
  readonly #items: Int32Array;
  readonly #scores: Float32Array;
  size = 0;

  constructor(limit: number) {
    this.#items = new Int32Array(limit);
    this.#scores = new Float32Array(limit);
  }

  /** Returns what the next score must exceed. */
  push(item: number, score: number): number {
    if (this.size < this.#items.length) this.#rise(this.size++, item, score);
    else this.#sink(item, score);
    return this.size < this.#items.length ? 0 : (this.#scores[0] ?? 0);
  }

  /** In no order. */
  get items(): Int32Array {
    return this.#items.subarray(0, this.size);
  }

  sorted(): number[] {
    const order = new BestFirst(this.size);
    for (let place = 0; place < this.size; place++) order.add(this.#items[place] ?? 0, this.#scores[place] ?? 0);
    return [...order.items()];
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
    const [items, scores, size] = [this.#items, this.#scores, this.size];
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

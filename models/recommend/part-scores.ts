import { deviation, rescale } from "./blend-scale.ts";
import { type CandidateSet, COLUMN_COUNT, COLUMNS } from "./candidates.ts";
import type { History } from "./history.ts";
import { IndexedScorer, type IndexSearch } from "./indexed-part.ts";
import type { Scorer } from "./scorer.ts";
import type { BlendScale, ServedPart } from "./served-recommender.ts";
import { WrittenItems } from "./written-items.ts";

/** A part that scores fewer than one item in so many is added item by item; from there on a pass over the catalogue is quicker. */
const FEW = 16;

interface PartOptions {
  readonly kind: ServedPart["kind"];
  readonly weight: number;
  /** Null: not in a blend. */
  readonly scale: BlendScale | null;
  readonly items: number;
  readonly scorer: Scorer | IndexedScorer;
}

interface PartRequest {
  readonly history: History;
  /** Seconds. */
  readonly at: number;
  /** What a vector index found for an `IndexedScorer`. */
  readonly search: IndexSearch | null;
}

/**
 * One part of a retrieval at work: its scores for one history, on the blend's scale. Most parts speak of a few hundred items: those alone are
 * looked at, whatever the size of the catalogue.
 */
export class PartScores {
  readonly kind: ServedPart["kind"];
  readonly weight: number;
  /** One score per item. */
  readonly own: Float32Array;
  /** Whether the part has anything to say about the history. */
  used = false;
  readonly #scorer: Scorer | IndexedScorer;
  readonly #scale: BlendScale | null;
  readonly #written: WrittenItems;
  readonly #fewScores: Float32Array;
  /** The items of `own` that may differ from 0; null: any. */
  #few: Int32Array | null = null;

  constructor({ kind, weight, scale, items, scorer }: PartOptions) {
    this.kind = kind;
    this.weight = weight;
    this.own = new Float32Array(items);
    this.#scorer = scorer;
    this.#scale = scale;
    const few = scorer instanceof IndexedScorer || scorer.scoreFew === undefined ? 0 : Math.floor(items / FEW);
    this.#written = new WrittenItems(few);
    this.#fewScores = new Float32Array(few);
  }

  get bytes(): number {
    return this.own.byteLength + this.#written.bytes + this.#fewScores.byteLength;
  }

  /** Scores a history and adds the weighted scores to the total. */
  addTo(total: Float32Array, { history, at, search }: PartRequest): void {
    const scorer = this.#scorer;
    this.used = this.kind === "scores" || history.items.some((item) => item >= 0);
    if (!this.used) return;
    if (scorer instanceof IndexedScorer) {
      // Most of its scores are not known here, but how far all of them deviate is.
      const spread = scorer.score(history, at, search, this.own);
      this.used = spread !== null;
      if (this.used) this.#addAll(total, spread);
    } else if (scorer.scoreFew !== undefined) {
      this.#clear();
      scorer.scoreFew(history, at, this.own, this.#written);
      this.#few = this.#written.ascending();
      if (this.#few === null) this.#addAll(total);
      else this.#addFew(total, this.#few);
    } else {
      scorer.score(history, at, this.own);
      this.#addAll(total);
    }
  }

  /** Adds the part's share of the total to the column of its kind. */
  describe({ size, items, scores }: CandidateSet): void {
    const column = COLUMNS[this.kind];
    for (let row = 0; row < size; row++) {
      const at = row * COLUMN_COUNT + column;
      scores[at] = (scores[at] ?? 0) + this.weight * (this.own[items[row] ?? 0] ?? 0);
    }
  }

  #clear(): void {
    if (this.#few === null) this.own.fill(0);
    else for (const item of this.#few) this.own[item] = 0;
    this.#written.clear();
  }

  #addAll(total: Float32Array, spread: number | null = null): void {
    const { own, weight } = this;
    if (this.#scale !== null) rescale(own, this.#scale, spread);
    for (let item = 0; item < own.length; item++) total[item] = (total[item] ?? 0) + weight * (own[item] ?? 0);
  }

  #addFew(total: Float32Array, few: Int32Array): void {
    const { own, weight } = this;
    if (this.#scale !== null) {
      const scores = this.#fewScores.subarray(0, few.length);
      for (const [place, item] of few.entries()) scores[place] = own[item] ?? 0;
      rescale(scores, this.#scale, this.#scale === "deviation" ? deviation(scores, own.length) : null);
      for (const [place, item] of few.entries()) own[item] = scores[place] ?? 0;
    }
    for (const item of few) total[item] = (total[item] ?? 0) + weight * (own[item] ?? 0);
  }
}

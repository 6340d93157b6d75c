/** Columns of what the sources say of a candidate, in the order of the first ranking features. */
export const COLUMNS = {
  retrieval: 0,
  rank: 1,
  embeddings: 2,
  neighbours: 3,
  sessions: 4,
  repeat: 5,
  scores: 6,
  similar: 7,
  together: 8,
  content: 9,
  popular: 10,
  trending: 11,
  fresh: 12,
} as const;
export type Column = keyof typeof COLUMNS;
export const COLUMN_COUNT = 13;

/** The merged candidates of one request: each item once, with what every source says of it. Reused from request to request. */
export class CandidateSet {
  readonly capacity: number;
  readonly items: Int32Array;
  /** Row after row, a place for each column: for loops over many candidates. */
  readonly scores: Float32Array;
  size = 0;
  readonly #rowOf = new Map<number, number>();

  constructor(capacity: number) {
    this.capacity = capacity;
    this.items = new Int32Array(capacity);
    this.scores = new Float32Array(capacity * COLUMN_COUNT);
  }

  clear(): void {
    this.scores.fill(0, 0, this.size * COLUMN_COUNT);
    this.#rowOf.clear();
    this.size = 0;
  }

  /** The row of an item, new or known; -1 where there is no room left. */
  add(item: number): number {
    const known = this.#rowOf.get(item);
    if (known !== undefined) return known;
    if (this.size === this.capacity) return -1;
    const row = this.size++;
    this.items[row] = item;
    this.#rowOf.set(item, row);
    return row;
  }

  rowOf(item: number): number {
    return this.#rowOf.get(item) ?? -1;
  }

  score(row: number, column: Column): number {
    return this.scores[row * COLUMN_COUNT + COLUMNS[column]] ?? 0;
  }

  setScore(row: number, column: Column, score: number): void {
    this.scores[row * COLUMN_COUNT + COLUMNS[column]] = score;
  }

  raiseScore(row: number, column: Column, score: number): void {
    if (score > this.score(row, column)) this.setScore(row, column, score);
  }

  /** Copies a row's columns into vectors, from `at` on. */
  copyScores(row: number, out: Float32Array, at: number): void {
    const from = row * COLUMN_COUNT;
    for (let column = 0; column < COLUMN_COUNT; column++) out[at + column] = this.scores[from + column] ?? 0;
  }
}

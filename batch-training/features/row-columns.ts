interface RowKey {
  readonly id: string;
  readonly subject: string;
  readonly asOf: number;
}

/** Rows collected column by column: typed arrays that double when full. */
export class RowColumns {
  rows = 0;
  readonly ids: string[] = [];
  readonly subjects: string[] = [];
  #capacity = 1_024;
  #columns: Float32Array[];
  #asOf = new Float64Array(1_024);

  constructor(width: number) {
    this.#columns = Array.from({ length: width }, () => new Float32Array(1_024));
  }

  get columns(): readonly Float32Array[] {
    return this.#columns.map((column) => column.subarray(0, this.rows));
  }

  get asOf(): Float64Array {
    return this.#asOf.subarray(0, this.rows);
  }

  add(vector: Float32Array, { id, subject, asOf }: RowKey): void {
    if (this.rows === this.#capacity) this.#grow();
    for (const [index, column] of this.#columns.entries()) column[this.rows] = vector[index] ?? Number.NaN;
    this.#asOf[this.rows] = asOf;
    this.ids.push(id);
    this.subjects.push(subject);
    this.rows++;
  }

  /** Rows whose as-of time passes, sorted by it; rows of one time stay in order. */
  where(keeps: (asOf: number) => boolean): RowColumns {
    const asOf = this.asOf;
    const order = Array.from(asOf.keys()).filter((row) => keeps(asOf[row] ?? 0));
    order.sort((a, b) => (asOf[a] ?? 0) - (asOf[b] ?? 0) || a - b);
    const kept = new RowColumns(this.#columns.length);
    const vector = new Float32Array(this.#columns.length);
    for (const row of order) {
      for (const [index, column] of this.#columns.entries()) vector[index] = column[row] ?? Number.NaN;
      kept.add(vector, { id: this.ids[row] ?? "", subject: this.subjects[row] ?? "", asOf: asOf[row] ?? 0 });
    }
    return kept;
  }

  #grow(): void {
    this.#capacity *= 2;
    const grown = <T extends Float32Array | Float64Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.#columns = this.#columns.map((column) => grown(column, new Float32Array(this.#capacity)));
    this.#asOf = grown(this.#asOf, new Float64Array(this.#capacity));
  }
}

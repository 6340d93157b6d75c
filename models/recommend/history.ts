/** One user's past, oldest first; item -1 is an item outside the catalogue. */
export interface History {
  readonly items: Int32Array;
  /** Seconds since 1970, NaN where unknown. */
  readonly times: Float64Array;
  /** Ratings or quantities. */
  readonly values: Float32Array;
}

export const EMPTY_HISTORY: History = {
  items: new Int32Array(0),
  times: new Float64Array(0),
  values: new Float32Array(0),
};

import type { Contributions } from "./session.ts";

/** Attributes the answer for the row that its step computed last to the columns of its input. */
export interface Contributor {
  /** Exact TreeSHAP. */
  readonly exact: () => Contributions;
  /** Path attribution (Saabas): additive and cheap, but not symmetric between features. */
  readonly path: () => Contributions;
}

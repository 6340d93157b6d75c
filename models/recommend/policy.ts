import * as z from "zod";

/** What a visitor did with a product, weakest first. */
export const VISITOR_ACTIONS = ["view", "cart", "purchase", "dismiss"] as const;
export type VisitorAction = (typeof VISITOR_ACTIONS)[number];

/**
 * How a recommender is to be used: data that training chooses and that serving, evaluation and training obey alike.
 */
export const RecommendPolicy = z
  .strictObject({
    /** Actions that make the history which tastes are read from. */
    tasteActions: z.array(z.enum(["view", "cart", "purchase"])).min(1),
    /** Actions that the `repeat` part counts. */
    repeatActions: z.array(z.enum(["view", "cart", "purchase"])).min(1),
    /** A pause of this many seconds starts a new session; the `sessions` part sees the current one only. */
    sessionGapSeconds: z.number().positive().max(86_400),
    /** Events of a visitor that are used at most, the newest. */
    maxEvents: z.int().min(1).max(2_000),
    /** Candidates that are ranked. */
    candidates: z.int().min(10).max(1_000),
    /** What becomes of products the visitor bought: kept, or dropped unless the `repeat` part speaks for them. */
    bought: z.enum(["keep", "drop"]),
    /** What becomes of products the visitor has looked at. */
    viewed: z.enum(["keep", "drop"]),
    /** Weight of difference against relevance in maximal marginal relevance; 0: off. */
    diversity: z.number().min(0).max(1),
    /** Largest share of a list that one narrowest category may take; 1: off. */
    categoryShare: z.number().positive().max(1),
    /** Share of a list that is kept for new products, where there are any. */
    newShare: z.number().min(0).max(0.5),
  })
  .meta({ id: "RecommendPolicy" });
export type RecommendPolicy = z.infer<typeof RecommendPolicy>;

export const DEFAULT_POLICY: RecommendPolicy = {
  tasteActions: ["view", "cart", "purchase"],
  repeatActions: ["purchase"],
  sessionGapSeconds: 1_800,
  maxEvents: 200,
  candidates: 200,
  bought: "keep",
  viewed: "keep",
  diversity: 0,
  categoryShare: 1,
  newShare: 0,
};

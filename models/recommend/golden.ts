import { GoldenVectors, type RecommenderFacts } from "../contract/manifest.ts";
import { type RecommenderBundle, bundleBytes } from "./bundle.ts";
import { catalogueHash } from "./item-table.ts";
import { RANKING_FEATURES, RANKING_SERVICE, RANKING_WIDTH } from "./ranking-features.ts";
import { openScorer } from "./scorer.ts";

/** Items of a golden history, and items whose scores are kept: the most popular ones. */
export const GOLDEN_HISTORY = 16;
const GOLDEN_SCORES = 64;
/** Scores are sums of float32 in a fixed order on every platform; the square roots and powers in profiles may differ in the last place. */
const TOLERANCE = 1e-4;

/** Scores of the first items for a history of item indices, oldest first, null for none: what a loaded recommender must reproduce. */
export function goldenScores(bundle: RecommenderBundle, history: readonly (number | null)[]): number[] {
  const items = Int32Array.from(history.filter((item) => item !== null));
  const out = new Float32Array(bundle.table.items);
  const [times, values] = [new Float64Array(items.length).fill(Number.NaN), new Float32Array(items.length).fill(1)];
  openScorer(bundle.retrieval).score({ items, times, values }, Number.NaN, out);
  return [...out.subarray(0, Math.min(GOLDEN_SCORES, out.length))];
}

/**
 * The parts of a manifest that follow from the bundle.
 * @param histories item indices, oldest first, of at most `GOLDEN_HISTORY`; longer ones keep their newest
 * @param ranking golden rows of the ranker, which the trainer makes with the session that it exported
 */
export function recommenderManifest(
  bundle: RecommenderBundle,
  histories: readonly (readonly number[])[],
  ranking: GoldenVectors | null,
): {
  readonly kind: "retrieval";
  readonly input: { name: string; width: number };
  readonly output: { name: string; width: number };
  readonly featureService: { name: string; hash: string };
  readonly golden: GoldenVectors;
  readonly costs: { residentBytes: number };
  readonly recommender: RecommenderFacts;
} {
  const { retrieval, table } = bundle;
  const rows = histories.map((history) => {
    const newest = history.slice(-GOLDEN_HISTORY);
    const vector = Array.from({ length: GOLDEN_HISTORY }, (_, at) => newest[at] ?? null);
    return { vector, score: goldenScores(bundle, vector) };
  });
  const parts = retrieval.kind === "blend" ? retrieval.parts.map(({ part }) => part.kind) : [retrieval.kind];
  return {
    kind: "retrieval",
    input: { name: "history", width: GOLDEN_HISTORY },
    output: { name: "scores", width: Math.min(GOLDEN_SCORES, table.items) },
    featureService: { name: RANKING_SERVICE.name, hash: RANKING_SERVICE.hash },
    golden: GoldenVectors.parse({ tolerance: TOLERANCE, rows }),
    costs: { residentBytes: bundleBytes(bundle) },
    recommender: {
      format: 1,
      items: table.items,
      catalogue: catalogueHash(table),
      sources: [...new Set(parts), "similar", "together", "content", "popular", "trending", "new"],
      ranker: ranking === null ? null : { features: RANKING_FEATURES.map((feature) => feature.name), golden: ranking },
    },
  };
}

/** Null when a decoded bundle is what its manifest says; else what differs. The ranker is proven with its own rows, by its session. */
export function bundleObjection(
  bundle: RecommenderBundle,
  manifest: { readonly recommender?: RecommenderFacts | undefined; readonly golden: GoldenVectors },
): string | null {
  const facts = manifest.recommender;
  if (!facts) return "the manifest does not describe a recommender";
  if (facts.items !== bundle.table.items || facts.catalogue !== catalogueHash(bundle.table)) {
    return "the files are of another catalogue than the manifest";
  }
  if ((facts.ranker === null) !== (bundle.ranker === null)) return "the manifest and the files differ about a ranker";
  if (facts.ranker !== null && facts.ranker.features.length !== RANKING_WIDTH) {
    return `the ranker reads ${facts.ranker.features.length} features, this build computes ${RANKING_WIDTH}`;
  }
  for (const [row, { vector, score }] of manifest.golden.rows.entries()) {
    const found = goldenScores(bundle, vector);
    const wrong = score.findIndex(
      (expected, at) => !(Math.abs((found[at] ?? Number.NaN) - expected) <= manifest.golden.tolerance),
    );
    if (wrong >= 0 || score.length !== found.length) return `golden history ${row} is not reproduced`;
  }
  return null;
}

import type { CandidateSet } from "./candidates.ts";
import type { Catalogue } from "./catalogue.ts";
import { profileOf } from "./profile.ts";
import type { RecommendRequest, RecommendSource } from "./recommend-request.ts";
import type { ServedNeighbours, ServedRecommender } from "./served-recommender.ts";
import type { IndexedHistory } from "./visitor-history.ts";

export interface SourceContext {
  readonly candidates: CandidateSet;
  readonly catalogue: Catalogue;
  readonly retrieval: ServedRecommender;
  readonly request: RecommendRequest;
  readonly history: IndexedHistory;
  /** Items whose neighbours were asked. */
  readonly anchors: {
    readonly similar: readonly { readonly item: number; readonly weight: number }[];
    readonly together: readonly number[];
  };
  /** The largest retrieval score among the candidates. */
  readonly largest: number;
}

const PARTS = ["embeddings", "neighbours", "sessions", "repeat", "scores"] as const;
/** Items of a profile that a reason is looked for in. */
const MAX_SEARCHED = 50;

/** Which source speaks loudest for a candidate, and why it does, in words that name no person. */
export function explainSource(context: SourceContext, row: number): { source: RecommendSource; reason: string } {
  const source = sourceOf(context, row);
  return { source, reason: reasonOf(context, row, source) };
}

function sourceOf({ candidates, largest, request }: SourceContext, row: number): RecommendSource {
  const own: [RecommendSource, number][] = [
    ["similar", candidates.score(row, "similar")],
    ["together", candidates.score(row, "together")],
  ];
  if (largest > 0) {
    for (const part of PARTS) own.push([part, candidates.score(row, part) / largest]);
  }
  // On the home page neighbours of single products only fill up; the retrieval has them too.
  if (request.placement === "home") own.splice(0, 2, ["similar", candidates.score(row, "similar") / 100]);
  let best: [RecommendSource, number] = ["catalogue", 0];
  for (const entry of own) if (entry[1] > best[1]) best = entry;
  if (best[1] > 0 && best[0] !== "scores") return best[0];
  if (candidates.score(row, "content") > 0 && request.placement !== "home") return "content";
  if (request.placement === "trending" && candidates.score(row, "trending") > 0) return "trending";
  if (candidates.score(row, "popular") > 0) return "popular";
  if (best[1] > 0) return best[0];
  if (candidates.score(row, "trending") > 0) return "trending";
  if (candidates.score(row, "fresh") > 0) return "new";
  return candidates.score(row, "content") > 0 ? "content" : "catalogue";
}

function reasonOf(context: SourceContext, row: number, source: RecommendSource): string {
  const { candidates, catalogue, anchors } = context;
  const item = candidates.items[row] ?? 0;
  const anchor = anchors.similar[0];
  switch (source) {
    case "neighbours":
      return becauseOf(context, item);
    case "embeddings":
      return "Fits what you looked at and bought";
    case "sessions":
      return "Others went on to this from products you looked at";
    case "repeat":
      return "You bought this before";
    case "similar":
      return anchor ? `Similar to ${catalogue.idOf(anchor.item)}` : "Similar to what you looked at";
    case "together": {
      const first = anchors.together[0];
      return first === undefined ? "Often bought together" : `Often bought together with ${catalogue.idOf(first)}`;
    }
    case "content":
      return anchor ? `Same category as ${catalogue.idOf(anchor.item)}` : "From the same category";
    case "scores":
    case "popular":
      return "Popular in the shop";
    case "trending":
      return "Trending now";
    case "new":
      return "New in the shop";
    case "catalogue":
      return "From the catalogue";
  }
}

/** The product of the history that speaks loudest for the item. */
function becauseOf({ retrieval, history, catalogue, request }: SourceContext, item: number): string {
  const parts = retrieval.kind === "blend" ? retrieval.parts.map(({ part }) => part) : [retrieval];
  let best = -1;
  let most = 0;
  for (const part of parts) {
    if (part.kind !== "neighbours") continue;
    const profile = profileOf(history.taste.items, history.taste.times, request.now / 1_000, part.profile);
    for (const [place, met] of profile.items.subarray(0, MAX_SEARCHED).entries()) {
      const weight = (profile.weights[place] ?? 0) * entryOf(part, met, item);
      if (weight > most) [best, most] = [met, weight];
    }
  }
  if (best < 0) return "Goes with what you looked at and bought";
  const bought = history.items.some((met, at) => met === best && history.actions[at] === "purchase");
  return `Because you ${bought ? "bought" : "looked at"} ${catalogue.idOf(best)}`;
}

function entryOf(lists: ServedNeighbours, from: number, to: number): number {
  const end = lists.start[from + 1] ?? 0;
  for (let entry = lists.start[from] ?? 0; entry < end; entry++) {
    if (lists.neighbour[entry] === to) return lists.weight[entry] ?? 0;
  }
  return 0;
}

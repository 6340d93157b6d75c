import type { NeighbourLists } from "./bundle.ts";
import type { CandidateSet } from "./candidates.ts";
import type { Catalogue } from "./catalogue.ts";
import { profileOf } from "./profile.ts";
import type { VisitorAction } from "./policy.ts";
import type { RecommendRequest, RecommendSource } from "./recommend-request.ts";
import type { ServedNeighbours, ServedRecommender } from "./served-recommender.ts";
import type { IndexedHistory } from "./visitor-history.ts";

/** A product whose neighbours are asked, and how much they count. */
export interface Anchor {
  readonly item: number;
  readonly weight: number;
}

export interface SourceContext {
  readonly candidates: CandidateSet;
  readonly catalogue: Catalogue;
  readonly retrieval: ServedRecommender;
  readonly request: RecommendRequest;
  readonly history: IndexedHistory;
  /** Items whose neighbours were asked. */
  readonly anchors: {
    readonly similar: readonly Anchor[];
    readonly together: readonly number[];
  };
  /** The lists that were asked. */
  readonly lists: { readonly similar: NeighbourLists | null; readonly together: NeighbourLists | null };
  /** The largest retrieval score among the candidates. */
  readonly largest: number;
}

const PARTS = ["embeddings", "neighbours", "sessions", "repeat", "scores"] as const;
/** How much the neighbours of a basket's products count beside those of what was met last. */
const BASKET_WEIGHT = 0.5;
/** Items of a profile that a reason is looked for in. */
const MAX_SEARCHED = 50;

/** Which source speaks loudest for a candidate, and why it does, in words that name no person. */
export function explainSource(context: SourceContext, row: number): { source: RecommendSource; reason: string } {
  const source = sourceOf(context, row);
  return { source, reason: reasonOf(context, row, source) };
}

function sourceOf({ candidates, largest, request }: SourceContext, row: number): RecommendSource {
  if (request.placement === "content" && candidates.score(row, "content") > 0) return "content";
  let own: [RecommendSource, number][] = [
    ["similar", candidates.score(row, "similar")],
    ["together", candidates.score(row, "together")],
  ];
  if (largest > 0) {
    for (const part of PARTS) own.push([part, candidates.score(row, part) / largest]);
  }
  // On a page the neighbours of what it shows are the same as `similar`, which names them by the page.
  if (request.placement !== "home" && candidates.score(row, "similar") > 0)
    own = own.filter(([name]) => name !== "neighbours");
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
  const { candidates, catalogue, anchors, lists } = context;
  const item = candidates.items[row] ?? 0;
  switch (source) {
    case "neighbours":
      return becauseOf(context, item);
    case "embeddings":
      return "Fits what you looked at and bought";
    case "sessions":
      return "Others went on to this from products you looked at";
    case "repeat":
      return repeatedOf(context, item);
    case "similar": {
      const from = strongest(lists.similar, similarAnchors(context), item);
      return from < 0 ? "Similar to what you looked at" : `Similar to ${catalogue.idOf(from)}`;
    }
    case "together": {
      const asked = anchors.together.map((own): Anchor => ({ item: own, weight: 1 }));
      const from = strongest(lists.together, asked, item);
      return from < 0 ? "Often bought together" : `Often bought together with ${catalogue.idOf(from)}`;
    }
    case "content":
      return alikeOf(context, item);
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

/** Products whose similar ones were asked, those of a basket on its page included. */
export function similarAnchors({ anchors, request }: Pick<SourceContext, "anchors" | "request">): readonly Anchor[] {
  if (request.placement !== "basket") return anchors.similar;
  return [...anchors.similar, ...anchors.together.map((item) => ({ item, weight: BASKET_WEIGHT }))];
}

/** The anchor whose list speaks loudest for an item; -1: none does. */
function strongest(lists: NeighbourLists | null, anchors: readonly Anchor[], target: number): number {
  let [best, most] = [-1, 0];
  if (lists === null) return best;
  for (const { item, weight } of anchors) {
    const [start, end] = [lists.start[item] ?? 0, lists.start[item + 1] ?? 0];
    let largest = 0;
    for (let at = start; at < end; at++) largest = Math.max(largest, lists.weight[at] ?? 0);
    const place = lists.item.subarray(start, end).indexOf(target);
    const own = place < 0 || largest === 0 ? 0 : (weight * (lists.weight[start + place] ?? 0)) / largest;
    if (own > most) [best, most] = [item, own];
  }
  return best;
}

function repeatedOf({ history }: SourceContext, item: number): string {
  const did = (action: VisitorAction): boolean =>
    history.items.some((met, at) => met === item && history.actions[at] === action);
  if (did("purchase")) return "You bought this before";
  return did("cart") ? "You put this into your cart before" : "You looked at this before";
}

/** What an item shares with the product in view, or with the newest one met. */
function alikeOf({ catalogue, anchors }: SourceContext, item: number): string {
  const anchor = anchors.similar[0]?.item;
  if (anchor === undefined) return "From the same category";
  const own = catalogue.categories(anchor);
  const shared = catalogue.categories(item).some((category) => own.includes(category));
  return `Same ${shared ? "category" : "brand"} as ${catalogue.idOf(anchor)}`;
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

import { MAX_MATCHES } from "../../../models/engine/vector-search.ts";
import { cutHead, embeddingsBeyond, IndexedScorer, indexedPart } from "../../../models/recommend/indexed-part.ts";
import { openScorer, scoreVectors, type Scorer } from "../../../models/recommend/scorer.ts";
import type { ServedPart } from "../../../models/recommend/served-recommender.ts";

/**
 * A served part as a deployment with a vector index scores it: embeddings of the head exactly, and of the rest what an exact index answers. Other
 * parts, and embeddings that fit the head, are as they are.
 */
export function openIndexed(served: ServedPart, headItems: number): Scorer {
  const { head } = cutHead(served, headItems);
  const whole = embeddingsBeyond(served, headItems);
  const cut = head === null ? null : indexedPart(head);
  if (cut === null || whole === null) return openScorer(served);
  const scorer = new IndexedScorer(cut, null);
  const all = new Float32Array(whole.items);
  return {
    score: (history, at, out) => {
      const user = scorer.userOf(history, at);
      if (user === null) {
        out.fill(0);
        return;
      }
      scoreVectors(whole, user, all);
      const items = Int32Array.from({ length: whole.items - headItems }, (_, place) => headItems + place)
        .sort((a, b) => (all[b] ?? 0) - (all[a] ?? 0) || a - b)
        .slice(0, MAX_MATCHES);
      scorer.score(history, at, { user, items, scores: Float32Array.from(items, (item) => all[item] ?? 0) }, out);
    },
  };
}

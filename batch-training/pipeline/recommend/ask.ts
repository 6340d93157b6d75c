/** Asks the served pipeline the questions of a time, in their order, with the catalogue as it was at each. */
import { openIds, type RecommenderBundle } from "../../../models/recommend/bundle.ts";
import { Catalogue } from "../../../models/recommend/catalogue.ts";
import type { ProductChange } from "../../../models/recommend/live-product.ts";
import { ANYONE, type Recommended } from "../../../models/recommend/recommend-request.ts";
import { type Ranker, Recommender } from "../../../models/recommend/recommender.ts";
import { bookBefore } from "./products-at.ts";
import type { Question } from "./questions.ts";

export interface Asked {
  readonly bundle: RecommenderBundle;
  readonly ranker: Ranker | null;
  readonly limit: number;
  /** The rivals know no pages: what is in view is the newest thing met, and their own order decides everywhere. */
  readonly everywhereHome: boolean;
}

/** @param questions ascending by time. @param changes of the whole log, ascending; @param since epoch milliseconds up to which the bundle knows them */
export function* answers(
  asked: Asked,
  questions: readonly Question[],
  { changes, since }: { readonly changes: readonly ProductChange[]; readonly since: number },
): Generator<{ readonly question: Question; readonly answer: Recommended }> {
  const catalogue = new Catalogue(asked.bundle.table, openIds(asked.bundle));
  const recommender = new Recommender(asked.bundle, catalogue, asked.ranker);
  const book = bookBefore(changes, since);
  let next = changes.findIndex((change) => change.at >= since);
  if (next < 0) next = changes.length;
  for (const question of questions) {
    const changed = new Set<string>();
    for (let change = changes[next]; change !== undefined && change.at <= question.now; change = changes[++next]) {
      book.take(change);
      changed.add(change.id);
    }
    catalogue.apply([...changed].flatMap((id) => book.product(id) ?? []));
    const { facts, now, placement, productId } = question;
    const page = asked.everywhereHome
      ? { placement: "home" as const, productId: null, exclude: productId === null ? [] : [productId] }
      : { placement, productId };
    yield { question, answer: recommender.recommend({ ...ANYONE, ...page, facts, now, limit: asked.limit }) };
  }
}

/** Asks the served pipeline the questions of a time, in their order, with the catalogue as it was at each. */
import { openIds, type RecommenderBundle } from "../../../models/recommend/bundle.ts";
import { Catalogue } from "../../../models/recommend/catalogue.ts";
import { NO_PRODUCT_VALUES } from "../../../models/recommend/product-values.ts";
import { ANYONE, type Recommended } from "../../../models/recommend/recommend-request.ts";
import { type Ranker, Recommender } from "../../../models/recommend/recommender.ts";
import { ProductReplay } from "./product-replay.ts";
import { bookBefore } from "./products-at.ts";
import type { Question } from "./questions.ts";
import type { ShopLog } from "./shop-log.ts";

export interface Asked {
  readonly bundle: RecommenderBundle;
  readonly ranker: Ranker | null;
  readonly limit: number;
  /** The rivals know no pages: what is in view is the newest thing met, and their own order decides everywhere. */
  readonly everywhereHome: boolean;
  /** Whether anybody looks at the ranking vectors: a ranker, or who learns from them. Without, products' values are not replayed. */
  readonly vectors: boolean;
}

/** The whole log, of which a question sees what was before it, and the time up to which the bundle knows it, epoch milliseconds. */
export interface PastLog {
  readonly log: Pick<ShopLog, "changes" | "productIds" | "product" | "action" | "at">;
  readonly since: number;
}

/** @param questions ascending by time */
export function* answers(
  asked: Asked,
  questions: readonly Question[],
  { log, since }: PastLog,
): Generator<{ readonly question: Question; readonly answer: Recommended }> {
  const catalogue = new Catalogue(asked.bundle.table, openIds(asked.bundle));
  const products = asked.vectors ? new ProductReplay(log, (item) => catalogue.idOf(item)) : NO_PRODUCT_VALUES;
  const recommender = new Recommender(asked.bundle, catalogue, asked.ranker, undefined, products);
  const { changes } = log;
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
    // Who opens a page asks before the view has become a fact.
    const visitor = {
      kind: question.known ? "customer" : "session",
      facts: facts.filter(({ at }) => at < now),
    } as const;
    yield { question, answer: recommender.recommend({ ...ANYONE, ...page, facts, visitor, now, limit: asked.limit }) };
  }
}

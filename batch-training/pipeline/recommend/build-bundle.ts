/** Everything of a bundle that follows from the log: the item table, the lists, the neighbours of products. */
import { type NeighbourLists, neighbourLists, type RecommenderBundle } from "../../../models/recommend/bundle.ts";
import { type ItemRow, itemTable } from "../../../models/recommend/item-table.ts";
import type { RecommendPolicy } from "../../../models/recommend/policy.ts";
import { PRODUCT_WIDTH } from "../../../models/recommend/ranking-service.ts";
import type { ServedRecommender } from "../../../models/recommend/served-recommender.ts";
import { similarityLists } from "../../train/recommenders/item-knn.ts";
import { interactionMatrix } from "../../train/recommenders/sparse-matrix.ts";
import type { TrainingLog } from "../../train/recommenders/training-log.ts";
import { ProductReplay } from "./product-replay.ts";
import { isInterest, type ShopLog } from "./shop-log.ts";
import type { ShopTraining } from "./training-logs.ts";

/** Neighbours kept of each product. */
const SIMILAR = 50;
const TOGETHER = 30;
const LISTED = 200;
const LISTED_NEW = 50;
/** A product published earlier than this is not new. */
const NEW_DAYS = 45;
const WEEK_SECONDS = 7 * 86_400;

export function buildBundle(
  log: ShopLog,
  training: ShopTraining,
  parts: {
    readonly retrieval: ServedRecommender;
    readonly policy: RecommendPolicy;
    readonly ranker: Uint8Array | null;
    readonly similarShrinkage: number;
  },
): RecommenderBundle {
  const { retrieval, policy, ranker, similarShrinkage } = parts;
  const rows = itemRows(log, training);
  const { met, recent } = interest(log, training);
  const best = (value: (item: number) => number): Int32Array =>
    Int32Array.from(
      Array.from(rows.keys())
        .filter((item) => rows[item]?.active === true && value(item) > 0)
        .sort((a, b) => value(b) - value(a) || a - b)
        .slice(0, LISTED),
    );
  const newest = training.until / 1_000 - NEW_DAYS * 86_400;
  return {
    table: itemTable(rows),
    asOf: training.until,
    retrieval,
    policy,
    ranker,
    similar: neighbours(training.byVisit, SIMILAR, similarShrinkage),
    together: neighbours(training.byBasket, TOGETHER, similarShrinkage),
    popular: best((item) => met[item] ?? 0),
    trending: best((item) => recent[item] ?? 0),
    fresh: best((item) => (rows[item]?.publishedAt ?? 0) - newest).subarray(0, LISTED_NEW),
  };
}

/** Interactions with each item over the whole time, and of late: halved with every week of age. */
function interest(log: ShopLog, { items, until }: ShopTraining): { met: Float64Array; recent: Float64Array } {
  const [met, recent] = [new Float64Array(items.ids.length), new Float64Array(items.ids.length)];
  for (const [row, product] of log.product.entries()) {
    const at = log.at[row] ?? 0;
    const item = items.ofProduct[product] ?? -1;
    if (at >= until || item < 0 || !isInterest(log, row)) continue;
    met[item] = (met[item] ?? 0) + 1;
    recent[item] = (recent[item] ?? 0) + 2 ** (-(until - at) / 1_000 / WEEK_SECONDS);
  }
  return { met, recent };
}

/** Rivals are built over one training, each of them with the same products. */
const valuesOfTraining = new WeakMap<ShopTraining, Float32Array>();

/** Values of the items' own ranking features at the end of the training time, one row of each. */
function valuesAt(log: ShopLog, training: ShopTraining): Float32Array {
  const { items, until } = training;
  let values = valuesOfTraining.get(training);
  if (!values) {
    const replay = new ProductReplay(log, (item) => items.ids[item] ?? "");
    values = new Float32Array(items.ids.length * PRODUCT_WIDTH);
    for (const item of items.ids.keys()) replay.write(item, until, values, item * PRODUCT_WIDTH);
    valuesOfTraining.set(training, values);
  }
  return values;
}

function itemRows(log: ShopLog, training: ShopTraining): ItemRow[] {
  const { items, book } = training;
  const values = valuesAt(log, training);
  return items.ids.map((id, item): ItemRow => {
    const known = book.product(id);
    return {
      id,
      categories: known?.categories ?? [],
      brand: known?.brand ?? null,
      price: known?.price ?? null,
      publishedAt: known?.publishedAt ?? null,
      // Sold without ever having been announced: nothing says that it is gone.
      active: known?.active ?? true,
      stock: known?.stock ?? null,
      values: values.subarray(item * PRODUCT_WIDTH, (item + 1) * PRODUCT_WIDTH),
    };
  });
}

function neighbours(log: TrainingLog, most: number, shrinkage: number): NeighbourLists {
  const { start, neighbour, weight } = similarityLists(interactionMatrix(log), {
    neighbours: most,
    shrinkage,
    power: 0.5,
  });
  const rows = Array.from({ length: log.items }, (_, item) =>
    Array.from(neighbour.subarray(start[item] ?? 0, start[item + 1] ?? 0), (other, place): [number, number] => [
      other,
      Math.min(1, weight[(start[item] ?? 0) + place] ?? 0),
    ]),
  );
  return neighbourLists(rows);
}

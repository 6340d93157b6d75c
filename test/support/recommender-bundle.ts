import {
  type NeighbourLists,
  neighbourLists,
  type RecommenderBundle,
  WHOLE_WEIGHT,
} from "../../models/recommend/bundle.ts";
import { byteEmbeddings } from "../../models/recommend/byte-embeddings.ts";
import { type ItemRow, itemTable } from "../../models/recommend/item-table.ts";
import { DEFAULT_POLICY, type RecommendPolicy } from "../../models/recommend/policy.ts";
import { PRODUCT_WIDTH } from "../../models/recommend/ranking-service.ts";
import type { ServedEmbeddings, ServedPart, ServedRecommender } from "../../models/recommend/served-recommender.ts";
import { SeededRandom } from "./seeded-random.ts";

export interface BundleOptions {
  readonly items: number;
  readonly seed: number;
  readonly dimensions?: number;
  readonly neighbours?: number;
  readonly policy?: Partial<RecommendPolicy>;
  /** `embeddings`: those alone, with the neighbours as lists of their own. */
  readonly retrieval?: "neighbours" | "embeddings" | "blend";
  /** Of the embeddings; default: floats. A trainer publishes 8 bits. */
  readonly precision?: "float" | "bytes";
}

/** Epoch seconds of the newest product. */
export const BUNDLE_TIME = 1_780_000_000;
const profile = { stepDecay: 0.9, halfLifeSeconds: 30 * 86_400 };

/** A generated recommender: item `p-<index>`, numbers drawn from the seed. */
export function generatedBundle(options: BundleOptions): RecommenderBundle {
  const { items, seed, neighbours = 5 } = options;
  const random = new SeededRandom(seed);
  const rows = Array.from({ length: items }, (_, index): ItemRow => {
    const department = random.below(4);
    return {
      id: `p-${index}`,
      categories: [`department ${department}`, `shelf ${department}-${random.below(5)}`],
      brand: random.below(4) === 0 ? null : `brand ${random.below(6)}`,
      price: 100 + random.below(10_000),
      publishedAt: BUNDLE_TIME - random.below(300) * 86_400,
      active: true,
      stock: null,
      values: Array.from({ length: PRODUCT_WIDTH }, () => random.below(items)),
    };
  });
  const lists = randomLists(random, items, neighbours);
  const order = Int32Array.from({ length: items }, (_, index) => index);
  return {
    asOf: BUNDLE_TIME * 1_000,
    table: itemTable(rows),
    retrieval: retrievalOf(options, lists, random),
    similar: options.retrieval === "embeddings" ? lists : null,
    together: randomLists(random, items, Math.min(3, neighbours)),
    popular: order.slice(0, 200),
    trending: order.slice(0, 100).toReversed(),
    fresh: order.slice(-50),
    policy: { ...DEFAULT_POLICY, ...options.policy },
    ranker: null,
  };
}

function retrievalOf(options: BundleOptions, lists: NeighbourLists, random: SeededRandom): ServedRecommender {
  const { items, dimensions = 8, retrieval = "blend" } = options;
  const near: ServedPart = {
    kind: "neighbours",
    items,
    profile,
    start: lists.start,
    neighbour: lists.item,
    weight: Float32Array.from(lists.weight, (weight) => weight / WHOLE_WEIGHT),
  };
  if (retrieval === "neighbours") return near;
  const vectors = Float32Array.from({ length: items * dimensions }, () => random.next() - 0.5);
  const gram = new Float32Array(dimensions * dimensions);
  for (let at = 0; at < dimensions; at++) gram[at * dimensions + at] = 1;
  const exact: ServedEmbeddings = {
    kind: "embeddings",
    items,
    dimensions,
    vectors,
    gram,
    ridge: { level: 0.1, offset: 1, power: 0.5 },
    profile,
  };
  const embeddings = options.precision === "bytes" ? byteEmbeddings(exact) : exact;
  if (retrieval === "embeddings") return embeddings;
  return {
    kind: "blend",
    items,
    scale: "deviation",
    parts: [
      { weight: 1, part: near },
      { weight: 0.5, part: embeddings },
      { weight: 0.7, part: { kind: "repeat", items, halfLifeSeconds: Infinity } },
    ],
  };
}

function randomLists(random: SeededRandom, items: number, most: number): NeighbourLists {
  const rows = Array.from({ length: items }, (_, own) => {
    const others = new Set<number>();
    while (others.size < Math.min(most, items - 1)) {
      const other = random.below(items);
      if (other !== own) others.add(other);
    }
    return Array.from(others, (other, place): [number, number] => [other, 1 / (1 + place)]);
  });
  return neighbourLists(rows);
}

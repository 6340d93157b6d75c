import { MAX_MATCHES, type VectorSearch } from "../../models/engine/vector-search.ts";
import type { IndexSearch } from "../../models/recommend/indexed-part.ts";
import type { Recommender } from "../../models/recommend/recommender.ts";
import type { RecommendRequest } from "../../models/recommend/recommend-request.ts";
import { itemOfVector, padded, vectorNamespace } from "../../models/recommend/vector-place.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { DeadlineExceeded, within } from "../deadline.ts";
import { logWarning } from "../http/log.ts";
import type { LoadedRecommender } from "./load-recommender.ts";

/** Four times what Vectorize's documents give as the median of a query. */
const DEADLINE_MS = 120;
/** After so many queries in a row that failed or were late, none is asked for a while: a list must not wait for what does not answer. */
const FAILURES = 5;
const PAUSE_MS = 5_000;
/** Namespaces kept: a tenant has one or two at a time. */
const MAX_NAMESPACES = 256;

export interface VectorSearcherDeps {
  /** Null: every vector is in the isolate. */
  readonly index: Pick<VectorSearch, "dimensions" | "query"> | null;
  readonly now: () => number;
  readonly background: (promise: Promise<unknown>) => void;
  readonly metrics: MetricRegistry;
}

/** What becomes of a search, as it is counted. `empty`: the version's vectors are not in the index. */
type Outcome = "found" | "empty" | "late" | "failed" | "paused";

export interface VectorAnswer {
  /** Null where the index did not answer. */
  readonly search: IndexSearch | null;
  readonly missing: boolean;
}

const NOTHING_ASKED: VectorAnswer = { search: null, missing: false };

/** Asks the vector index about the items whose vectors are not in this isolate: the second round of a list, where there is one. Never throws. */
export class VectorSearcher {
  readonly #deps: VectorSearcherDeps;
  readonly #namespaces = new Map<string, string>();
  #failures = 0;
  #pausedUntil = Number.NEGATIVE_INFINITY;

  constructor(deps: VectorSearcherDeps) {
    this.#deps = deps;
  }

  /** A value at once where there is nothing to ask. */
  find(
    tenant: string,
    loaded: LoadedRecommender | null,
    recommender: Pick<Recommender, "searchVector">,
    asked: RecommendRequest,
  ): VectorAnswer | Promise<VectorAnswer> {
    const { index } = this.#deps;
    if (index === null || !loaded || loaded.placed.indexed === null) return NOTHING_ASKED;
    const user = recommender.searchVector(asked);
    if (user === null) return NOTHING_ASKED;
    if (this.#deps.now() < this.#pausedUntil) return this.#settled("paused", null);
    return this.#query(index, this.#namespaceOf(tenant, loaded), user);
  }

  async #query(
    index: Pick<VectorSearch, "dimensions" | "query">,
    namespace: string,
    user: Float64Array,
  ): Promise<VectorAnswer> {
    try {
      const asking = async () => await index.query(namespace, padded(user, index.dimensions), MAX_MATCHES);
      const matches = await within(asking(), DEADLINE_MS, this.#deps.background);
      // Whatever else an index holds: only this version's items count.
      const known = matches
        .map(({ id, score }) => ({ item: itemOfVector(namespace, id), score }))
        .filter(({ item, score }) => item >= 0 && Number.isFinite(score));
      this.#failures = 0;
      return this.#settled(known.length > 0 ? "found" : "empty", {
        user,
        items: Int32Array.from(known, ({ item }) => item),
        scores: Float32Array.from(known, ({ score }) => score),
      });
    } catch (error) {
      if (++this.#failures >= FAILURES) {
        this.#failures = 0;
        this.#pausedUntil = this.#deps.now() + PAUSE_MS;
        logWarning("the vector index is not asked for a while", { seconds: PAUSE_MS / 1_000, reason: String(error) });
      }
      return this.#settled(error instanceof DeadlineExceeded ? "late" : "failed", null);
    }
  }

  #settled(outcome: Outcome, search: IndexSearch | null): VectorAnswer {
    this.#deps.metrics.count("vector_searches_total", { outcome });
    return { search, missing: outcome !== "found" };
  }

  #namespaceOf(tenant: string, { name, version }: LoadedRecommender): string {
    const key = `${tenant}\n${name}\n${version}`;
    const known = this.#namespaces.get(key);
    if (known !== undefined) return known;
    const namespace = vectorNamespace(tenant, name, version);
    if (this.#namespaces.size >= MAX_NAMESPACES) this.#namespaces.clear();
    this.#namespaces.set(key, namespace);
    return namespace;
  }
}

import type * as z from "zod";
import type { RecommendationRequest, RecommendationResponse } from "../../models/contract/api/recommendations.ts";
import type { Pseudonym } from "../../models/contract/pseudonymise.ts";
import { FALLBACK_FLAGS, type RecommendationFlag } from "../../models/contract/recommendation-flags.ts";
import { encodeVectors } from "../../models/recommend/exposure.ts";
import { RANKING_SERVICE } from "../../models/recommend/ranking-features.ts";
import type { Recommended, RecommendRequest } from "../../models/recommend/recommend-request.ts";
import type { VisitorFact } from "../../models/recommend/visitor-history.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import type { VisitorState } from "../../durable-objects/visitor-history.core.ts";
import { within } from "../deadline.ts";
import { mergedHistories } from "../../models/recommend/contradictions.ts";
import type { Arm } from "../../models/contract/recommendation-arms.ts";
import { armOf } from "../../models/recommend/experiment.ts";
import { virtualShardOf } from "../../models/sharding/virtual-shards.ts";
import type { Exposure } from "./exposures.ts";
import { KeptLists, type KeptListsDeps } from "./kept-lists.ts";
import type { RecommenderProvider, RecommenderSelection } from "./recommender-provider.ts";
import type { RecommendationIds } from "./recommendation-ids.ts";
import type { Shops } from "./shops.ts";

type Request = z.output<typeof RecommendationRequest>;
type Response = z.output<typeof RecommendationResponse>;

/** A visitor's object answers within this time when it is awake; later the list is made without it. */
const HISTORY_DEADLINE_MS = 50;
/** The first answer of an isolate waits this long for the products. */
const PRODUCTS_DEADLINE_MS = 500;

export interface ServeDeps extends KeptListsDeps {
  readonly provider: RecommenderProvider;
  readonly shops: Shops;
  readonly ids: RecommendationIds;
  /** Share of visitors whose lists are made without the recommender. */
  readonly controlShare: number;
  readonly pseudonyms: (tenant: string) => Pseudonym;
  readonly random: () => string;
  readonly now: () => number;
  readonly metrics: MetricRegistry;
}

export interface ServedList {
  readonly response: Response;
  readonly exposure: Exposure;
}

/** What is known of who asks. */
interface Visitor {
  readonly customer: string | null;
  readonly session: string | null;
  readonly facts: readonly VisitorFact[];
  /** What the shared features are of: null for nobody, and without consent. */
  readonly known: RecommendRequest["visitor"];
  readonly flags: readonly RecommendationFlag[];
}

/** Who a list is counted for; null: nobody who may be counted. */
function unitOf({ customer, session, flags }: Visitor): string | null {
  if (flags.includes("not-personalised")) return null;
  return customer !== null ? `c:${customer}` : session !== null ? `s:${session}` : null;
}

/** Answers recommendations. One round of parallel reads at most, and none where everything is in memory; one more where embeddings lie in a vector index. */
export class RecommendationServer {
  readonly #deps: ServeDeps;
  readonly #kept: KeptLists;

  constructor(deps: ServeDeps) {
    this.#deps = deps;
    this.#kept = new KeptLists(deps);
  }

  async serve(tenant: string, request: Request, now: number): Promise<ServedList> {
    const { provider, shops, vectors, background } = this.#deps;
    // Started together; each is a value at once where this isolate has it in memory.
    const visiting = this.#visitor(tenant, request);
    const selecting = provider.select(tenant);
    const selection = selecting instanceof Promise ? await selecting : selecting;
    const { shop, wait, stale } = shops.of(tenant, selection.loaded, now);
    if (wait !== null) await within(wait, PRODUCTS_DEADLINE_MS, background).catch(() => {});
    const visitor = visiting instanceof Promise ? await visiting : visiting;
    const flags = new Set<RecommendationFlag>([...selection.flags, ...visitor.flags]);
    if (stale()) flags.add("catalogue-stale");
    const asked = recommendRequest(request, visitor, now);
    const unit = selection.flags.includes("no-model") ? null : unitOf(visitor);
    const arm = armOf(unit, this.#deps.controlShare);
    if (arm === "control") {
      const { items, flags: lacks } = shop.control().recommend(asked);
      const found = { items, flags: lacks, vectors: new Float32Array(0) };
      const made = { ...selection, loaded: null };
      return this.#answer(tenant, { request, visitor, selection: made, found, flags: [...flags, ...lacks], now, arm });
    }
    const searching = vectors.find(tenant, selection.loaded, shop.recommender, asked);
    const { search, missing } = searching instanceof Promise ? await searching : searching;
    if (missing) flags.add("vectors-missing");
    let found = shop.recommender.recommend(asked, search);
    if (visitor.flags.includes("history-missing") && isHome(request)) {
      const earlier = visitor.customer === null ? null : await this.#kept.read(tenant, visitor.customer, selection);
      const patched = earlier === null ? null : shop.recommender.patch(asked, earlier.items);
      if (patched !== null && patched.items.length > 0) {
        found = filledUp(patched, found, request.limit);
        flags.add("precomputed");
      }
    } else if (
      !missing &&
      visitor.customer !== null &&
      visitor.facts.length > 0 &&
      visitor.flags.length === 0 &&
      isHome(request)
    ) {
      this.#kept.renew(tenant, { customer: visitor.customer, selection, recommender: shop.recommender, now });
    }
    for (const flag of found.flags) flags.add(flag);
    return this.#answer(tenant, { request, visitor, selection, found, flags: [...flags], now, arm });
  }

  /** From memory where the copy is young enough, else from the object, within the deadline. */
  #visitor(tenant: string, request: Request): Visitor | Promise<Visitor> {
    const pseudonym = this.#deps.pseudonyms(tenant);
    const customer = request.userId === undefined ? null : pseudonym("customer", request.userId);
    const sessionId = request.context?.sessionId;
    const session = sessionId === undefined ? null : pseudonym("session", sessionId);
    const keys = [...(customer === null ? [] : [`c:${customer}`]), ...(session === null ? [] : [`s:${session}`])];
    const known = (states: readonly (VisitorState | undefined)[], flag: RecommendationFlag | null): Visitor => {
      const refused = states.some((state) => state?.consent === false);
      const flags: RecommendationFlag[] = flag === null ? [] : [flag];
      if (refused) return { customer, session, facts: [], known: null, flags: [...flags, "not-personalised"] };
      const facts = mergedHistories(states.map((state) => state?.facts ?? []));
      // The state's own array: what is made from it is kept as long as the state is.
      const [first] = states;
      const kind = customer === null ? "session" : "customer";
      return { customer, session, facts, known: first === undefined ? null : { kind, facts: first.facts }, flags };
    };
    if (keys.length === 0) return known([], null);
    const { visitors, background } = this.#deps;
    const { states, usable } = visitors.peek(tenant, keys);
    if (usable) return known(states, null);
    return within(visitors.read(tenant, keys), HISTORY_DEADLINE_MS, background).then(
      (read) => known(read, null),
      () => known(states, states.some((state) => state !== undefined) ? "history-stale" : "history-missing"),
    );
  }

  #answer(
    tenant: string,
    served: {
      readonly request: Request;
      readonly visitor: Visitor;
      readonly selection: RecommenderSelection;
      readonly found: Recommended;
      readonly flags: readonly RecommendationFlag[];
      readonly now: number;
      readonly arm: Arm;
    },
  ): ServedList {
    const { request, visitor, selection, found, flags, now, arm } = served;
    const random = this.#deps.random();
    const unit = unitOf(visitor);
    const shard = virtualShardOf(unit ?? random);
    const recommendationId = this.#deps.ids.make(tenant, { answeredAt: now, arm, shard }, random);
    const model = selection.loaded?.name ?? null;
    const modelVersion = selection.loaded?.version ?? null;
    // Without consent nothing is written down that says for whom the list was.
    const personal = !flags.includes("not-personalised");
    const items = found.items.map((item, index) => ({ ...item, position: index + 1 }));
    this.#count(served, items.length);
    return {
      response: { recommendationId, items, model, modelVersion, arm, degraded: [...flags] },
      exposure: {
        record: {
          v: 1,
          tenant,
          recommendationId,
          at: now,
          placement: request.placement,
          customer: unit === null ? null : visitor.customer,
          session: unit === null ? null : visitor.session,
          model,
          modelVersion,
          arm,
          degraded: flags,
          ranking: RANKING_SERVICE.hash,
          items: found.items.map(({ productId, source, score }) => ({ productId, source, score })),
          vectors: encodeVectors(found.vectors),
        },
        event: {
          specversion: "1.0",
          id: recommendationId,
          source: `/edgewise/${tenant}/recommendations`,
          time: new Date(now).toISOString(),
          type: "ml.recommendation.served.v1",
          data: {
            recommendationId,
            ...(personal && request.userId !== undefined && { customerId: request.userId }),
            ...(personal && request.context?.sessionId !== undefined && { sessionId: request.context.sessionId }),
            items: items.map(({ productId, position, source }) => ({ productId, position, source })),
            model,
            modelVersion,
            arm,
            degraded: [...flags],
          },
        },
      },
    };
  }

  #count(
    {
      request,
      selection,
      flags,
      now,
      arm,
    }: {
      readonly request: Request;
      readonly selection: RecommenderSelection;
      readonly flags: readonly RecommendationFlag[];
      readonly now: number;
      readonly arm: Arm;
    },
    items: number,
  ): void {
    const { metrics } = this.#deps;
    const fallback = flags.some((flag) => FALLBACK_FLAGS.includes(flag));
    const { loaded } = selection;
    metrics.count("recommendations_served_total", { placement: request.placement, fallback: String(fallback), arm });
    metrics.count("recommendation_items_served_total", { arm }, items);
    metrics.count("model_version_request_count", {
      model: loaded?.name ?? "popularity",
      version: loaded?.version ?? "popularity",
    });
    for (const flag of flags) metrics.count("degraded_recommendations_total", { flag });
    metrics.observe("recommendation_latency_seconds", (this.#deps.now() - now) / 1_000, {});
  }
}

/** An earlier list, and behind it what can be said now: a page is not left half empty. */
function filledUp(earlier: Recommended, now: Recommended, limit: number): Recommended {
  const shown = new Set(earlier.items.map(({ productId }) => productId));
  const more = now.items.filter(({ productId }) => !shown.has(productId));
  return { ...earlier, items: [...earlier.items, ...more].slice(0, limit) };
}

function isHome(request: Request): boolean {
  return request.placement === "home" && request.context?.productId === undefined;
}

function recommendRequest(request: Request, visitor: Visitor, now: number): RecommendRequest {
  const { context } = request;
  const personal = !visitor.flags.includes("not-personalised");
  return {
    placement: request.placement,
    facts: visitor.facts,
    visitor: visitor.known,
    productId: context?.productId ?? null,
    basket: context?.basket ?? [],
    // Without consent the session is no ground for a list either; the product in view and the basket are part of the page.
    recent: personal ? (context?.recentProductIds ?? []) : [],
    exclude: context?.excludeProductIds ?? [],
    categories: context?.categories ?? [],
    priceFrom: context?.priceFrom ?? null,
    priceTo: context?.priceTo ?? null,
    limit: request.limit,
    now,
  };
}

import { MODEL_VERSION_HEADER } from "../../models/contract/api/define.ts";
import {
  recommend,
  recommendBulk,
  recommendProducts,
  sendFeedback,
} from "../../models/contract/api/recommendations.ts";
import type { Pseudonym } from "../../models/contract/pseudonymise.ts";
import type { QueuedEvents } from "../../models/contract/queued-events.ts";
import { Failure } from "../http/failure.ts";
import { JsonAnswer } from "../http/json-answer.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { RequestContext } from "../http/request-context.ts";
import type { App } from "../http/mount.ts";
import type { Exposures } from "./exposures.ts";
import { feedbackEvents } from "./feedback.ts";
import type { RecommendationIds } from "./recommendation-ids.ts";
import type { RecommendationServer, ServedList } from "./serve.ts";

export interface RecommendationRouteDeps {
  readonly server: RecommendationServer;
  readonly exposures: Exposures;
  readonly ids: RecommendationIds;
  readonly pseudonyms: (tenant: string) => Pseudonym;
  readonly enqueue: (messages: readonly QueuedEvents[]) => Promise<void>;
}

type RecommendationBody = Parameters<RecommendationServer["serve"]>[1];

export function mountRecommendations(app: App, http: HttpDeps, deps: RecommendationRouteDeps): void {
  const serveOne = async (context: RequestContext, request: RecommendationBody): Promise<JsonAnswer> => {
    const list = await deps.server.serve(context.identity.tenant, request, context.now);
    deps.exposures.add([list.exposure], (promise) => context.waitUntil(promise));
    return new JsonAnswer(list.response, { [MODEL_VERSION_HEADER]: versionOf(list) });
  };

  mount(app, http, recommendProducts, async ({ query }, context) => {
    return await serveOne(context, { ...query, placement: "home" });
  });

  mount(app, http, recommend, async ({ body }, context) => {
    const wrong = objectionTo(body, "");
    return wrong === null ? await serveOne(context, body) : new Failure("invalid-request", { issues: [wrong] });
  });

  mount(app, http, recommendBulk, async ({ body }, context) => {
    const { tenant } = context.identity;
    const wrong = body.requests.flatMap((request, at) => objectionTo(request, `/requests/${at}`) ?? []);
    if (wrong.length > 0) return new Failure("invalid-request", { issues: wrong });
    const lists = await Promise.all(body.requests.map((request) => deps.server.serve(tenant, request, context.now)));
    deps.exposures.add(
      lists.map((list) => list.exposure),
      (promise) => context.waitUntil(promise),
    );
    const [first] = lists;
    return Response.json(
      { responses: lists.map((list) => list.response) },
      { headers: { [MODEL_VERSION_HEADER]: first ? versionOf(first) : "popularity" } },
    );
  });

  mount(app, http, sendFeedback, async ({ body }, context) => {
    const { tenant } = context.identity;
    const given = Array.isArray(body) ? body : [body];
    const found = feedbackEvents(deps, { tenant, given, now: context.now });
    if (found.events.length === 0) return new Failure("recommendation-not-found");
    await deps.enqueue([found.message]);
    return Response.json({ accepted: found.events.length, unknown: found.unknown }, { status: 202 });
  });
}

function versionOf({ response }: ServedList): string {
  return response.modelVersion ?? "popularity";
}

/** What the schema cannot say: a band that nothing can lie in is a mistake, not a filter. */
function objectionTo({ context }: RecommendationBody, path: string): { path: string; message: string } | null {
  const { priceFrom = 0, priceTo = Infinity } = context ?? {};
  return priceFrom <= priceTo ? null : { path: `${path}/context/priceTo`, message: `below priceFrom, ${priceFrom}` };
}

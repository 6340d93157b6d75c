import {
  explainFeature,
  type FeatureEntities,
  type FeatureRowRequest,
  type FeatureVectors,
  getFeatureService,
  getFeatureVector,
  getFeatureVectors,
  listFeatureServices,
} from "../../models/contract/api/features.ts";
import type { Issue } from "../../models/contract/errors.ts";
import { MAX_FUTURE_SKEW_MS } from "../../models/contract/events.ts";
import { type PersonalKind, type Pseudonym, pseudonymise } from "../../models/contract/pseudonymise.ts";
import type { Catalog } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import {
  entityIdOf,
  type EntityType,
  type FeatureVector,
  isComposite,
  PAIR_SEPARATOR,
  partTypes,
  type SingleType,
  type VectorRequest,
} from "../../models/features/feature-store.ts";
import { requestEntities } from "../../models/features/finish-vector.ts";
import { HORIZON_SLACK_MS } from "../../models/features/group-state.ts";
import { serviceDocument } from "../../models/features/registry.ts";
import { Failure } from "../http/failure.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";
import type { LoadStore } from "./load-store.ts";
import type { ShardFeatureStore } from "./shard-feature-store.ts";

const DEFAULT_DEADLINE_MS = 500;

export interface FeatureRouteDeps {
  readonly store: Pick<ShardFeatureStore, "vectors" | "explain" | "load">;
  readonly loads: LoadStore;
  readonly catalog: Catalog;
  readonly services: readonly CompiledService[];
  readonly pseudonyms: (tenant: string) => Pseudonym;
}

export const PERSONAL: Readonly<Partial<Record<SingleType, PersonalKind>>> = {
  customer: "customer",
  device: "device",
  card: "card",
  address: "address",
  session: "session",
};

export function mountFeatures(app: App, http: HttpDeps, deps: FeatureRouteDeps): void {
  const find = (name: string): CompiledService | undefined => deps.services.find((service) => service.name === name);

  mount(app, http, listFeatureServices, () =>
    Response.json({
      services: deps.services.map(({ name, hash, names, definition }) => ({
        name,
        hash,
        owner: definition.owner,
        description: definition.description,
        entities: definition.entities.map((entity) => entity.type),
        features: names,
      })),
    }),
  );

  mount(app, http, getFeatureService, ({ params }) => {
    const service = find(params.service);
    return service ? Response.json(serviceDocument(service.definition)) : new Failure("service-not-found");
  });

  mount(app, http, getFeatureVector, async ({ params, query }, { identity, now }) => {
    const { asOf, deadlineMs, maxAgeMs, ...entities } = query;
    const service = find(params.service);
    if (!service) return new Failure("service-not-found");
    return await answer(deps, service, {
      tenant: identity.tenant,
      now,
      asOf,
      deadlineMs,
      maxAgeMs,
      rows: [{ entities }],
      at: () => "",
    });
  });

  mount(app, http, getFeatureVectors, async ({ params, body }, { identity, now }) => {
    const service = find(params.service);
    if (!service) return new Failure("service-not-found");
    const at = (row: number): string => `/rows/${row}/entities/`;
    return await answer(deps, service, { tenant: identity.tenant, now, at, ...body });
  });

  mount(app, http, explainFeature, async ({ params, query }, { identity, now }) => {
    const { asOf, ...entities } = query;
    const service = find(params.service);
    if (!service) return new Failure("service-not-found");
    const checked = requestsOf(deps, service, {
      tenant: identity.tenant,
      now,
      asOf,
      rows: [{ entities }],
      at: () => "",
    });
    if (checked instanceof Failure) return checked;
    const [request] = checked;
    const explained = request ? await deps.store.explain(request, params.feature, DEFAULT_DEADLINE_MS) : null;
    return explained ? Response.json(explained) : new Failure("feature-not-found");
  });
}

interface Asked {
  readonly tenant: string;
  readonly now: number;
  readonly asOf?: string | undefined;
  readonly rows: readonly FeatureRowRequest[];
  /** JSON Pointer, or the parameter's beginning, of a row's entities. */
  readonly at: (row: number) => string;
}

async function answer(
  deps: FeatureRouteDeps,
  service: CompiledService,
  asked: Asked & { readonly deadlineMs?: number | undefined; readonly maxAgeMs?: number | undefined },
): Promise<Response | Failure> {
  const requests = requestsOf(deps, service, asked);
  if (requests instanceof Failure) return requests;
  const vectors = await deps.store.vectors(requests, {
    deadlineMs: asked.deadlineMs ?? DEFAULT_DEADLINE_MS,
    maxAgeMs: asked.maxAgeMs ?? 0,
  });
  const body: FeatureVectors = {
    service: { name: service.name, hash: service.hash },
    asOf: new Date(requests[0]?.asOf ?? asked.now).toISOString(),
    names: [...service.names],
    rows: vectors.map(rowOf),
  };
  return Response.json(body);
}

function rowOf({ vector, statuses, ages, watermarks, degraded }: FeatureVector): FeatureVectors["rows"][number] {
  return {
    values: Array.from(vector, (value) => (Number.isNaN(value) ? null : value)),
    statuses: [...statuses],
    ages: [...ages],
    watermarks: [...watermarks],
    degraded: [...degraded],
  };
}

/** The rows as the store takes them, with pseudonyms; or what is wrong with them. */
function requestsOf(deps: FeatureRouteDeps, service: CompiledService, asked: Asked): VectorRequest[] | Failure {
  const asOf = asked.asOf === undefined ? asked.now : Date.parse(asked.asOf);
  const issues: Issue[] = [];
  if (asOf > asked.now + MAX_FUTURE_SKEW_MS) issues.push({ path: "asOf", message: "more than 5 minutes ahead" });
  if (asOf < asked.now - HORIZON_SLACK_MS)
    issues.push({
      path: "asOf",
      message: "more than 24 hours ago: state no longer reaches back; build the row offline",
    });
  const pseudonym = deps.pseudonyms(asked.tenant);
  const types = service.entities.map((entity) => entity.type);
  const known = [...new Set(types.flatMap(partTypes))];
  const requests = asked.rows.map((row, index): VectorRequest => {
    const payload = row.order === undefined ? null : pseudonymise(row.order, pseudonym);
    const given = row.entities === undefined ? {} : withPseudonyms(row.entities, pseudonym);
    for (const type of Object.keys(given) as SingleType[]) {
      if (!known.includes(type))
        issues.push({
          path: `${asked.at(index)}${type}`,
          message: `${service.name} has features of ${known.join(", ")} only`,
        });
    }
    const ids = payload === null ? [] : requestEntities(service, { payload, asOf });
    const entities = Object.fromEntries(
      types.map((type, at) => [type, entityIdOf(type, given) ?? ids[at] ?? undefined]),
    );
    return { tenant: asked.tenant, service: service.name, entities, payload, asOf };
  });
  return issues.length > 0 ? new Failure("invalid-request", { issues }) : requests;
}

/** An entity's id as state has it: pseudonyms where it is personal, in each part of a pair. */
export function storedId(type: EntityType, id: string, pseudonym: Pseudonym): string {
  const parts = isComposite(type) ? id.split(PAIR_SEPARATOR) : [id];
  return parts
    .map((part, index) => {
      const single = partTypes(type)[index];
      const kind = single && PERSONAL[single];
      return kind === undefined ? part : pseudonym(kind, part);
    })
    .join(PAIR_SEPARATOR);
}

function withPseudonyms(entities: FeatureEntities, pseudonym: Pseudonym): Partial<Record<SingleType, string>> {
  const named: Partial<Record<SingleType, string>> = {};
  for (const [key, id] of Object.entries(entities)) {
    const type = key as SingleType;
    if (id !== undefined) named[type] = storedId(type, id, pseudonym);
  }
  return named;
}

import {
  advanceReshard as advanceRoute,
  getFeatureShards,
  type ReshardProgress,
} from "../../models/contract/api/feature-shards.ts";
import { VIRTUAL_SHARDS } from "../../models/sharding/virtual-shards.ts";
import { Failure } from "../http/failure.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";
import { advanceReshard, ReshardConflict, type ReshardDeps, type ReshardPlan } from "../jobs/reshard-entities.ts";
import type { HotEntity } from "./replicas.ts";

export interface ShardRouteDeps {
  readonly objects: number;
  readonly hotEntities: readonly HotEntity[];
  readonly reshard: (tenant: string) => ReshardDeps;
}

export function mountFeatureShards(app: App, http: HttpDeps, deps: ShardRouteDeps): void {
  mount(app, http, getFeatureShards, async (_, { identity }) => {
    const plan = await deps.reshard(identity.tenant).load();
    return Response.json({
      objects: deps.objects,
      virtualShards: VIRTUAL_SHARDS,
      hotEntities: deps.hotEntities,
      reshard: plan && progressOf(plan),
    });
  });

  mount(app, http, advanceRoute, async ({ body }, { identity }) => {
    try {
      const work = { to: body.objects, pages: body.pages };
      return Response.json(progressOf(await advanceReshard(deps.reshard(identity.tenant), work)));
    } catch (error) {
      if (error instanceof ReshardConflict) return new Failure("reshard-conflict", { detail: error.message });
      throw error;
    }
  });
}

function progressOf({ from, to, phase, object, moved, dropped, ...times }: ReshardPlan): ReshardProgress {
  const text = (time: number): string => new Date(time).toISOString();
  return {
    from,
    to,
    phase,
    object,
    moved,
    dropped,
    startedAt: text(times.startedAt),
    updatedAt: text(times.updatedAt),
    readyAt: times.readyAt === null ? null : text(times.readyAt),
  };
}

import type { Manifest } from "../../models/contract/manifest.ts";
import type { RoutingRecord } from "../../models/contract/api/models.ts";
import type { RecommendationFlag } from "../../models/contract/recommendation-flags.ts";
import { type Served, SessionCache, SessionUnavailable, VersionRefused } from "../../models/engine/session-cache.ts";
import { BUNDLE_FILES } from "../../models/recommend/bundle.ts";
import type { Result } from "../../models/result.ts";
import type { MetricRegistry } from "../../models/stats/metric-registry.ts";
import { type ArtefactPlace, type ModelStore, verified } from "../adapters/model-store.ts";
import { within } from "../deadline.ts";
import { logWarning } from "../http/log.ts";
import type { LoadedRecommender } from "./load-recommender.ts";

/** Recommenders of an isolate together: 100,000 items of 64 dimensions with their lists; an isolate has 128 MB for everything. */
const BUDGET_BYTES = 56 * 1024 * 1024;
/** The first look of an isolate at its routing record, and at a model that is not in memory; then the catalogue answers. */
const ROUTING_DEADLINE_MS = 1_000;
const LOAD_DEADLINE_MS = 3_000;

export interface RecommenderProviderDeps {
  readonly model: string;
  readonly routing: {
    peek(tenant: string, model: string): RoutingRecord | null | undefined;
    load(tenant: string, model: string): Promise<RoutingRecord | null>;
  };
  readonly store: ModelStore;
  readonly open: (
    manifest: Manifest,
    files: ReadonlyMap<string, Uint8Array>,
  ) => Promise<Result<LoadedRecommender, string>>;
  readonly now: () => number;
  readonly after: (milliseconds: number) => Promise<void>;
  readonly background: (promise: Promise<unknown>) => void;
  readonly metrics: MetricRegistry;
}

/** What recommends now; `loaded` is null where the catalogue alone must answer, and the flags say why. */
export interface RecommenderSelection {
  readonly loaded: LoadedRecommender | null;
  readonly flags: readonly RecommendationFlag[];
}

/** Chooses what serves: the promoted version, else the one before it, else nothing. Never throws. */
export class RecommenderProvider {
  readonly #deps: RecommenderProviderDeps;
  readonly #sessions: SessionCache<LoadedRecommender>;

  constructor(deps: RecommenderProviderDeps) {
    this.#deps = deps;
    this.#sessions = new SessionCache({
      budgetBytes: BUDGET_BYTES,
      load: (key, version) => this.#load(key, version),
      // Opening proves: a bundle that does not reproduce its golden rows is not opened.
      prove: () => null,
      now: deps.now,
      after: deps.after,
      keepAlive: deps.background,
    });
  }

  select(tenant: string): RecommenderSelection | Promise<RecommenderSelection> {
    const { routing, model } = this.#deps;
    const record = routing.peek(tenant, model);
    if (record === undefined) return this.#selectFirst(tenant);
    if (!record?.serving) return { loaded: null, flags: ["no-model"] };
    const ready = this.#sessions.peek(`${tenant}/${model}`, record.serving);
    return ready ? selection(ready) : this.#selectLoading(tenant, record, record.serving);
  }

  async #selectFirst(tenant: string): Promise<RecommenderSelection> {
    try {
      const { routing, background, model } = this.#deps;
      const record = await within(routing.load(tenant, model), ROUTING_DEADLINE_MS, background);
      if (!record?.serving) return { loaded: null, flags: ["no-model"] };
      return await this.#selectLoading(tenant, record, record.serving);
    } catch (error) {
      logWarning("the routing record cannot be read", { model: this.#deps.model, reason: String(error) });
      return { loaded: null, flags: ["no-model"] };
    }
  }

  async #selectLoading(tenant: string, record: RoutingRecord, serving: string): Promise<RecommenderSelection> {
    const { background, model } = this.#deps;
    const key = `${tenant}/${model}`;
    try {
      return selection(await within(this.#sessions.get(key, serving), LOAD_DEADLINE_MS, background));
    } catch (error) {
      const flag = flagOf(error);
      logWarning("a recommender cannot serve", { model, version: serving, reason: String(error) });
      if (record.previous === null) return { loaded: null, flags: [flag] };
      try {
        const previous = await within(this.#sessions.get(key, record.previous), LOAD_DEADLINE_MS, background);
        return { loaded: previous.session, flags: [flag] };
      } catch (second) {
        logWarning("the previous recommender cannot serve", {
          model,
          version: record.previous,
          reason: String(second),
        });
        return { loaded: null, flags: [flag] };
      }
    }
  }

  async #load(key: string, version: string): Promise<LoadedRecommender> {
    const [tenant = "", name = ""] = key.split("/");
    const loaded = await this.#read({ tenant, name, version });
    this.#deps.metrics.count("model_loads_total", { outcome: loaded.ok ? "loaded" : "refused" });
    if (loaded.ok) return loaded.value;
    logWarning("a recommender was not loaded", { model: name, version, reason: loaded.error });
    throw new VersionRefused(loaded.error);
  }

  /** Files are read side by side: their names are known, and the manifest is needed only to verify them. */
  async #read(place: ArtefactPlace): Promise<Result<LoadedRecommender, string>> {
    const { store, open } = this.#deps;
    const paths = Object.values(BUNDLE_FILES);
    const [manifest, ...stored] = await Promise.all([
      store.manifest(place),
      ...paths.map((path) => store.bytes(place, path)),
    ]);
    if (!manifest.ok) return { ok: false, error: manifest.error.reason };
    const files = new Map<string, Uint8Array>();
    for (const [at, path] of paths.entries()) {
      const entry = manifest.value.files.find((file) => file.path === path);
      if (!entry) continue;
      const bytes = verified(path, stored[at] ?? null, entry.sha256);
      if (!bytes.ok) return { ok: false, error: bytes.error.reason };
      files.set(path, bytes.value);
    }
    return await open(manifest.value, files);
  }
}

function selection(served: Served<LoadedRecommender>): RecommenderSelection {
  if (served.instead === null) return { loaded: served.session, flags: [] };
  return { loaded: served.session, flags: [served.instead === "refused" ? "model-refused" : "model-stale"] };
}

function flagOf(error: unknown): RecommendationFlag {
  return error instanceof SessionUnavailable && error.code === "refused" ? "model-refused" : "model-stale";
}

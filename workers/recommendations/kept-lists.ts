import { RANKING_SERVICE } from "../../models/recommend/ranking-features.ts";
import { ANYONE } from "../../models/recommend/recommend-request.ts";
import type { Recommender } from "../../models/recommend/recommender.ts";
import type { PrecomputedList, PrecomputedLists } from "../adapters/precomputed-lists.ts";
import { within } from "../deadline.ts";
import { logWarning } from "../http/log.ts";
import type { RecommenderSelection } from "./recommender-provider.ts";
import type { VectorSearcher } from "./vector-searcher.ts";
import type { VisitorReader } from "./visitor-reader.ts";

const READ_DEADLINE_MS = 50;
/** Lists of active visitors are kept a day, with more items than a page, and renewed at most this often by an isolate. */
const TTL_SECONDS = 86_400;
const ITEMS = 50;
const RENEW_AGAIN_MS = 10 * 60_000;
/** Between two lists kept by an isolate: each costs as much as an answer, and answers wait meanwhile. */
const GAP_MS = 100;
/** Visitors whose last list an isolate remembers. */
const MAX_REMEMBERED = 5_000;
/** Format of kept lists and code that makes them: part of their digest. */
const FORMAT = 1;

export interface KeptListsDeps {
  readonly precomputed: PrecomputedLists;
  readonly visitors: VisitorReader;
  readonly vectors: VectorSearcher;
  readonly background: (promise: Promise<unknown>) => void;
}

/** Lists of active customers, kept for the time when their history cannot be read. */
export class KeptLists {
  readonly #deps: KeptListsDeps;
  readonly #renewedAt = new Map<string, number>();
  /** When a list was last made for keeping. */
  #lastRenewal = Number.NEGATIVE_INFINITY;

  constructor(deps: KeptListsDeps) {
    this.#deps = deps;
  }

  /** The list made under this configuration; null: there is none, or it cannot be read in time. */
  async read(tenant: string, customer: string, selection: RecommenderSelection): Promise<PrecomputedList | null> {
    const { precomputed, background } = this.#deps;
    const reading = precomputed.read(tenant, customer, digestOf(selection));
    return await within(reading, READ_DEADLINE_MS, background).catch(() => null);
  }

  /** Makes and writes a list of a customer who comes again, after the response. */
  renew(
    tenant: string,
    of: {
      readonly customer: string;
      readonly selection: RecommenderSelection;
      readonly recommender: Pick<Recommender, "recommend" | "searchVector">;
      readonly now: number;
    },
  ): void {
    const { customer, selection, now } = of;
    const key = `${tenant}/${customer}/${selection.loaded?.version ?? ""}`;
    const before = this.#renewedAt.get(key);
    if (before === undefined && this.#renewedAt.size >= MAX_REMEMBERED) this.#renewedAt.clear();
    // Active is who comes again: the first list is remembered, the second one kept.
    if (before === undefined) this.#renewedAt.set(key, Number.NEGATIVE_INFINITY);
    if (before === undefined || now - before < RENEW_AGAIN_MS) return;
    // Who is passed over has their list kept at a later visit.
    if (now - this.#lastRenewal < GAP_MS) return;
    this.#lastRenewal = now;
    this.#renewedAt.set(key, now);
    const failed = (error: unknown): void => logWarning("a list was not kept", { reason: String(error) });
    this.#deps.background(this.#write(tenant, of).catch(failed));
  }

  async #write(
    tenant: string,
    { customer, selection, recommender, now }: Parameters<KeptLists["renew"]>[1],
  ): Promise<void> {
    const { precomputed, vectors, visitors } = this.#deps;
    // As the visitor's object has it now: who withdrew consent a moment ago is in no list. Nothing of the request's page is in it either.
    const [state] = await visitors.read(tenant, [`c:${customer}`]);
    if (!state || state.consent === false) return;
    const { facts } = state;
    const asked = { ...ANYONE, facts, visitor: { kind: "customer", facts }, limit: ITEMS, now } as const;
    const { search, missing } = await vectors.find(tenant, selection.loaded, recommender, asked);
    if (missing) return;
    const { items } = recommender.recommend(asked, search);
    const { name = null, version = null } = selection.loaded ?? {};
    const made = { v: 1, digest: digestOf(selection), model: name, modelVersion: version, at: now } as const;
    await precomputed.write(tenant, customer, { ...made, items: [...items] }, TTL_SECONDS);
  }
}

/** Configuration that lists are made under: model version, policy with it, and code. */
function digestOf({ loaded }: RecommenderSelection): string {
  return `${FORMAT}.${loaded?.version ?? "popularity"}.${RANKING_SERVICE.hash.slice(0, 16)}`;
}

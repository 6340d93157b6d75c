import { FEATURE_CATALOG, PRODUCT_RANKING } from "../catalog/feature-catalog.ts";
import type { RankingRequest } from "../catalog/product-recommendations/features.ts";
import type { CompiledGroup } from "../features/catalog.ts";
import type { FeatureDefinition } from "../features/definition.ts";
import { addEntityFact, emptyEntity, type EntityState } from "../features/entity-state.ts";
import { asNumber, type Evaluate, type Scope } from "../features/evaluate.ts";
import { featureInputs, requestPaths } from "../features/compile-service.ts";
import type { EntityType } from "../features/feature-store.ts";
import { finishEntity } from "../features/finish-vector.ts";
import type { CoarsenedFacts } from "../features/group-state.ts";
import type { VisitorAction } from "./policy.ts";

/**
 * The shared service of ranking features, taken apart by what a value is about, so that a request computes each once: the product's own values come from
 * entity shards or a table, the visitor's and those of visitor and product from the visitor's history, by the code that serves and replays all features.
 */

/** In the order in which they lie in the service's vector. */
export const SECTIONS = ["product", "visitor", "pair", "offer", "page"] as const;
export type Section = (typeof SECTIONS)[number];
/** Those with state. */
export type EntitySection = "product" | "visitor" | "pair";
const ENTITIES: Readonly<Record<EntitySection, EntityType>> = {
  product: "product",
  visitor: "visitor",
  pair: "customer_product",
};
/** Paths of the request that are about the product offered; all others are about the page. */
const OFFERED: readonly string[] = ["price", "publishedAt"] satisfies (keyof RankingRequest)[];

/** What an event of a type says a visitor did; the same rule as in visitor-history.ts. */
const ACTIONS: Readonly<Record<string, VisitorAction>> = {
  "behavior.page_view.v1": "view",
  "behavior.add_to_cart.v1": "cart",
  "behavior.purchase.v1": "purchase",
  "order.placed.v1": "purchase",
};

export const SERVICE_WIDTH = PRODUCT_RANKING.width;

/** Where a section lies in the service's vector. */
export interface Place {
  readonly start: number;
  readonly end: number;
}
export const PLACES: Readonly<Record<Section, Place>> = placesOf();
/** Values of a product: one row of the product table. */
export const PRODUCT_WIDTH = PLACES.product.end - PLACES.product.start;

/** Products' values are read from the shards at most this often, milliseconds: their windows are of days. */
export const PRODUCT_VALUES_MS = 600_000;

export function sectionOf(name: string): Section {
  const { definition } = PRODUCT_RANKING;
  const feature = [...definition.features, ...definition.support].find((one) => one.name === name);
  if (!feature) throw new Error(`${PRODUCT_RANKING.name} has no feature ${name}`);
  return sectionOfFeature(feature);
}

function sectionOfFeature(feature: FeatureDefinition): Section {
  if (feature.kind === "request")
    return requestPaths(feature.value).some((path) => OFFERED.includes(path)) ? "offer" : "page";
  if (feature.kind === "derived") {
    const sections = new Set(featureInputs(feature.value).map(sectionOf));
    const [only] = sections;
    if (only === undefined || sections.size > 1)
      throw new Error(
        `${feature.name} mixes ${[...sections].join(" and ")}: it would have to be computed for every candidate`,
      );
    return only;
  }
  if ("column" in feature.aggregation && feature.aggregation.column !== null)
    throw new Error(`${feature.name} reads a column, which a visitor's history does not tell`);
  const found = (Object.keys(ENTITIES) as EntitySection[]).find((own) => ENTITIES[own] === feature.group.entity);
  if (!found) throw new Error(`${feature.name} is of a ${feature.group.entity}, which a ranking request has not`);
  return found;
}

function placesOf(): Record<Section, Place> {
  const sections = PRODUCT_RANKING.definition.features.map(sectionOfFeature);
  const place = (section: Section): Place => {
    const start = sections.indexOf(section);
    const end = sections.lastIndexOf(section) + 1;
    if (start < 0 || sections.slice(start, end).some((other) => other !== section))
      throw new Error(`the ${section} features of ${PRODUCT_RANKING.name} do not lie together`);
    return { start, end };
  };
  return {
    product: place("product"),
    visitor: place("visitor"),
    pair: place("pair"),
    offer: place("offer"),
    page: place("page"),
  };
}

interface SectionCode {
  /** Of the entity, in the service. */
  readonly index: number;
  /** Indexes of the section's features, in the order of the vector. */
  readonly features: readonly number[];
  readonly layouts: readonly CompiledGroup[];
  readonly groups: Readonly<Record<VisitorAction, readonly CompiledGroup[]>>;
  /** Values of an entity of which nothing is known. */
  readonly nothing: Float32Array;
}

function codeOf(section: EntitySection): SectionCode {
  const index = PRODUCT_RANKING.entities.findIndex(({ type }) => type === ENTITIES[section]);
  const own = new Set(PRODUCT_RANKING.windows.filter(({ entity }) => entity === index).map(({ group }) => group));
  const fedBy = (action: VisitorAction): CompiledGroup[] =>
    [...own].filter(({ definition }) => definition.source.events.some(({ type }) => ACTIONS[type] === action));
  const { start, end } = PLACES[section];
  const features = PRODUCT_RANKING.vector.slice(start, end);
  const nothing = new Float32Array(end - start);
  finishSection({ index, features }, null, { asOf: 0, out: nothing, at: 0 });
  return {
    index,
    features,
    layouts: FEATURE_CATALOG.layouts(ENTITIES[section]),
    groups: { view: fedBy("view"), cart: fedBy("cart"), purchase: fedBy("purchase"), dismiss: [] },
    nothing,
  };
}

/** Finishes the features of one entity: a vector's others would take five times as long. */
function finishSection(
  { index, features }: Pick<SectionCode, "index" | "features">,
  state: EntityState | null,
  to: { readonly asOf: number; readonly out: Float32Array; readonly at: number },
): void {
  const { asOf, out } = to;
  finishEntity(PRODUCT_RANKING, { index, state }, { payload: null, asOf }, VALUES);
  const scope: Scope = { root: null, time: asOf, asOf, feature: valueOf };
  let { at } = to;
  for (const feature of features) {
    const compiled = PRODUCT_RANKING.features[feature];
    let value = VALUES[feature] ?? Number.NaN;
    if (compiled?.kind === "derived") {
      value = asNumber(compiled.value(scope));
      if (Number.isNaN(value)) value = compiled.fallback;
    }
    out[at++] = value;
  }
}

/** Of all features, for one section after the other. */
const VALUES = new Float64Array(PRODUCT_RANKING.features.length);
const valueOf = (name: string): number => VALUES[PRODUCT_RANKING.positionOf(name)] ?? Number.NaN;

const CODE: Readonly<Record<EntitySection, SectionCode>> = {
  product: codeOf("product"),
  visitor: codeOf("visitor"),
  pair: codeOf("pair"),
};

/** Values of a product, a visitor or a pair of which nothing is known. Counts are 0, times are missing. */
export const nothingKnown = (section: EntitySection): Float32Array => CODE[section].nothing;

/** Facts are given once and in the order of their time, so none is asked for again. */
const NOTHING_COARSENED: CoarsenedFacts = { has: () => false, add: () => {} };

/** What is known of one product, visitor or pair, made from what visitors did, in the order of its time. */
export class RankedEntity {
  readonly #code: SectionCode;
  readonly #state: EntityState;
  #facts = 0;

  constructor(section: EntitySection) {
    this.#code = CODE[section];
    this.#state = emptyEntity(this.#code.layouts);
  }

  /** @param at epoch milliseconds, not before the fact before */
  add(action: VisitorAction, at: number): void {
    for (const group of this.#code.groups[action]) {
      const fact = { time: at, identity: ++this.#facts, columns: [], retractedAt: Infinity, retraction: false };
      addEntityFact(this.#state, group, fact, at, NOTHING_COARSENED);
    }
  }

  /** Writes the values of the section as of a time, from `at` on. */
  write(asOf: number, out: Float32Array, at: number): void {
    finishSection(this.#code, this.#state, { asOf, out, at });
  }
}

interface RequestValue {
  readonly place: number;
  readonly value: Evaluate;
  readonly fallback: number;
}
const requestValues = (section: "offer" | "page"): readonly RequestValue[] =>
  Array.from({ length: PLACES[section].end - PLACES[section].start }, (_, offset) => {
    const place = PLACES[section].start + offset;
    const feature = PRODUCT_RANKING.features[PRODUCT_RANKING.vector[place] ?? -1];
    if (feature?.kind !== "request")
      throw new Error(`feature ${place} of ${PRODUCT_RANKING.name} is not of the request`);
    return { place, value: feature.value, fallback: feature.fallback };
  });
const REQUEST_VALUES = { offer: requestValues("offer"), page: requestValues("page") } as const;

/** Writes what follows from the request alone. @param out the service's vector begins at `at` */
export function writeRequest(section: "offer" | "page", scope: Scope, out: Float32Array, at: number): void {
  for (const { place, value, fallback } of REQUEST_VALUES[section]) {
    const found = asNumber(value(scope));
    out[at + place] = Number.isNaN(found) ? fallback : found;
  }
}

import type { DegradedFlag, Watermark } from "../contract/decision-record.ts";
import type { StoredEvent } from "../contract/events.ts";
import type { Order } from "../contract/events/orders.ts";

/** What state is kept for. `id` is a pseudonym where the entity is personal. */
export const SINGLE_TYPES = [
  "customer",
  "device",
  "card",
  "address",
  "session",
  "terminal",
  "product",
  "sensor",
] as const;
export type SingleType = (typeof SINGLE_TYPES)[number];

/** Pairs of entities that state is kept for, and of what. A new pair is one line here. */
export const COMPOSITE_TYPES = {
  customer_product: ["customer", "product"],
  customer_terminal: ["customer", "terminal"],
  customer_device: ["customer", "device"],
  customer_address: ["customer", "address"],
  card_terminal: ["card", "terminal"],
} as const satisfies Record<string, readonly [SingleType, SingleType]>;
export type CompositeType = keyof typeof COMPOSITE_TYPES;

/** Entities that have the id of the first of these types that is known. A visitor is a customer, or the session of somebody who has not said who they are. */
export const ALTERNATIVE_TYPES = {
  visitor: ["customer", "session"],
} as const satisfies Record<string, readonly SingleType[]>;
export type AlternativeType = keyof typeof ALTERNATIVE_TYPES;

export type EntityType = SingleType | CompositeType | AlternativeType;
export const ENTITY_TYPES: readonly EntityType[] = [
  ...SINGLE_TYPES,
  ...(Object.keys(COMPOSITE_TYPES) as CompositeType[]),
  ...(Object.keys(ALTERNATIVE_TYPES) as AlternativeType[]),
];

/** Joins the ids of a pair, the first before it: it is in no id. */
export const PAIR_SEPARATOR = "|";

/** The types whose ids the id of a type is made from: all of a pair's, one of an alternative's. */
export function partTypes(type: EntityType): readonly SingleType[] {
  if (isAlternative(type)) return ALTERNATIVE_TYPES[type];
  return isComposite(type) ? COMPOSITE_TYPES[type] : [type];
}

export function isComposite(type: EntityType): type is CompositeType {
  return Object.hasOwn(COMPOSITE_TYPES, type);
}

export function isAlternative(type: EntityType): type is AlternativeType {
  return Object.hasOwn(ALTERNATIVE_TYPES, type);
}

/** The id of an entity from ids by type; undefined where it cannot be told. */
export function entityIdOf(type: EntityType, ids: Readonly<Partial<Record<SingleType, string>>>): string | undefined {
  const parts = partTypes(type).map((part) => ids[part]);
  if (isAlternative(type)) return parts.find((part) => part !== undefined);
  return parts.every((part) => part !== undefined) ? parts.join(PAIR_SEPARATOR) : undefined;
}

export interface EntityKey {
  readonly type: EntityType;
  readonly id: string;
}

export type FeatureStatus = "present" | "missing" | "expired";

/** A finished vector of one feature service, as of one time. */
export interface FeatureVector {
  readonly service: { readonly name: string; readonly hash: string };
  /** One float32 per feature of the service, in its order; NaN = missing. The caller's own copy. */
  readonly vector: Float32Array;
  readonly statuses: readonly FeatureStatus[];
  /** Seconds since the newest fact behind each feature, at `asOf`; null where there is none. */
  readonly ages: readonly (number | null)[];
  /** The smallest age above 0, which is the request itself; null where there is none. */
  readonly newestAge: number | null;
  readonly watermarks: readonly Watermark[];
  readonly degraded: readonly DegradedFlag[];
}

/** Features of one order: `order` has pseudonyms for its personal identifiers. */
export interface OrderFeatureRequest {
  readonly tenant: string;
  readonly service: string;
  readonly order: Order;
  /** Epoch milliseconds. Facts with event time <= asOf count, the order's own excepted: the request-time part adds it once. */
  readonly asOf: number;
}

/** Features of any entities, with or without the payload of a request. */
export interface VectorRequest {
  readonly tenant: string;
  readonly service: string;
  /** Ids by type, pseudonyms where the entity is personal. Features of entities that are not given are missing. */
  readonly entities: Readonly<Partial<Record<EntityType, string>>>;
  /** Payload of the service's request source; null: none, so its own features are missing and nothing counts it. */
  readonly payload: unknown;
  /** Epoch milliseconds. */
  readonly asOf: number;
}

/**
 * applied: the effect is in the state now. duplicate: it was before (same content). conflict: the identity is known with
 * other content. too-old: identities of that age are no longer kept, so exactly-once cannot be promised.
 */
export type ApplyOutcome = "applied" | "duplicate" | "conflict" | "too-old";

/**
 * Entity state as the use cases see it. The Worker implements it over Durable Object shards and isolate memory; the offline
 * builder over a replay of the log.
 */
export interface FeatureStore {
  /**
   * Applies events exactly once by (source, id), grouped by shard object. Outcomes in the order given. An event that was applied
   * in part when its consumer died is completed by the next try, whose outcome is `applied` or, if only later steps were lost,
   * `duplicate`: later steps must not depend on seeing `applied`.
   */
  apply(tenant: string, events: readonly StoredEvent[]): Promise<ApplyOutcome[]>;
  /** Marks events as processed to the end: log, orders and decisions are stored too. Until then `ingested` says no. */
  settle(tenant: string, events: readonly StoredEvent[]): Promise<void>;
  /** Whether events were processed to the end, in the order of the ids. Known for 35 days. */
  ingested(tenant: string, source: string, ids: readonly string[]): Promise<boolean[]>;
  /** Reads vectors from the shards, one call per object for all requests together. Records nothing. */
  read(requests: readonly OrderFeatureRequest[], deadlineMs: number): Promise<FeatureVector[]>;
  /** The vector from isolate memory alone, without I/O; null unless the state of every entity is there. */
  peek(request: OrderFeatureRequest): FeatureVector | null;
  /**
   * One parallel round of calls to the entities' shards: records the order as an attempt (once by order id, so that its
   * event is recognised later) and returns the vector of the state before it. `confirmed` tells that `peeked`, what `peek` gave
   * for the same request, was made from exactly this state. After `deadlineMs` the vector comes from memory or defaults, flagged.
   */
  attempt(
    request: OrderFeatureRequest,
    deadlineMs: number,
    peeked?: FeatureVector | null,
  ): Promise<{ vector: FeatureVector; confirmed: boolean }>;
}

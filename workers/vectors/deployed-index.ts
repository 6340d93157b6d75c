import type { DrizzleD1Database } from "drizzle-orm/d1";
import type { RoutingRecord } from "../../models/contract/api/models.ts";
import type { VectorSearch } from "../../models/engine/vector-search.ts";
import type { ModelStore } from "../adapters/model-store.ts";

/** No further write or removal begins after this long: whoever waits for the answer still does. */
export const CALL_MS = 20_000;

/** The deployment's vector index and what of a catalogue belongs into it. */
export interface DeployedIndex {
  readonly search: VectorSearch & {
    /** Why nothing may be written into it; null: it is as it was configured. */
    objection(): Promise<string | null>;
  };
  /** Items whose vectors every isolate holds. */
  readonly headItems: number;
}

export interface VectorsDeps {
  readonly db: DrizzleD1Database;
  readonly store: ModelStore;
  /** Null: embeddings are searched in the isolates. */
  readonly index: DeployedIndex | null;
  /** The records that were in force, oldest first. */
  readonly history: (tenant: string, model: string) => Promise<readonly RoutingRecord[]>;
  readonly now: () => number;
}

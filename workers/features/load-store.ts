import type { LoadState, StagedPart } from "../../durable-objects/staged-loads.ts";
import type { EntityFact } from "../../models/features/catalog.ts";
import { entityName, type FactBatch } from "../../models/features/fact-batch.ts";
import { OutgoingFacts } from "./entity-copies.ts";
import { type Replicas, routedFact } from "./replicas.ts";

/** The operations of one object that loads need. */
export interface LoadClient {
  stageLoad(part: StagedPart, batch: FactBatch): Promise<void>;
  loadPartStaged(load: string, part: number, objects: string[]): Promise<void>;
  loadState(load: string): Promise<LoadState | null>;
  commitLoad(load: string, parts: number): Promise<{ committedAt: number; objects: string[] } | null>;
  foldLoad(load: string, committedAt: number): Promise<boolean>;
}

export interface LoadStoreDeps {
  /** Object that holds a key. */
  readonly nameOf: (tenant: string, key: string) => string;
  readonly client: (object: string) => LoadClient;
  readonly replicas: Replicas;
  readonly now: () => number;
}

/** A load of one tenant: `name` is the group's and the batch's. */
export interface LoadName {
  readonly tenant: string;
  readonly name: string;
}

/** Loads that become visible as a whole: parts are staged by the objects of their entities, and one write at the coordinator commits. */
export class LoadStore {
  readonly #deps: LoadStoreDeps;

  constructor(deps: LoadStoreDeps) {
    this.#deps = deps;
  }

  async state(load: LoadName): Promise<LoadState | null> {
    return await this.#coordinator(load).loadState(load.name);
  }

  /** Stages a part, unless the load is committed. Again changes nothing; a part counts as staged once every object has it. */
  async stage(load: LoadName, part: number, facts: readonly EntityFact[]): Promise<"staged" | "committed"> {
    const coordinator = this.#coordinatorName(load);
    const known = await this.#coordinator(load).loadState(load.name);
    if (known !== null && known.committedAt !== null) return "committed";
    const now = this.#deps.now();
    const outgoing = new Map<string, OutgoingFacts>();
    for (const whole of facts) {
      const fact = routedFact(whole, this.#deps.replicas);
      const object = this.#deps.nameOf(load.tenant, entityName(fact.entity));
      const sent = outgoing.get(object) ?? new OutgoingFacts();
      outgoing.set(object, sent);
      sent.add(fact, now, 0);
    }
    await Promise.all(
      [...outgoing].map(([object, sent]) =>
        this.#deps.client(object).stageLoad({ load: load.name, part, coordinator }, sent.take()),
      ),
    );
    await this.#coordinator(load).loadPartStaged(load.name, part, [...outgoing.keys()]);
    return "staged";
  }

  /**
   * Makes a load visible, or goes on with it after a crash. Null where parts are missing. Objects fold what they staged before this
   * returns; one that could not be reached does so when it is asked about the entities.
   */
  async commit(load: LoadName, parts: number): Promise<{ committedAt: number } | null> {
    const committed = await this.#coordinator(load).commitLoad(load.name, parts);
    if (!committed) return null;
    await Promise.all(
      committed.objects.map(async (object) => {
        while (await this.#deps.client(object).foldLoad(load.name, committed.committedAt));
      }),
    );
    return { committedAt: committed.committedAt };
  }

  #coordinatorName({ tenant, name }: LoadName): string {
    return this.#deps.nameOf(tenant, `load:${name}`);
  }

  #coordinator(load: LoadName): LoadClient {
    return this.#deps.client(this.#coordinatorName(load));
  }
}

import type { VisitorChange, VisitorState } from "../../durable-objects/visitor-history.core.ts";
import { type VisitorHistory, visitorHistoryName } from "../../durable-objects/visitor-history.ts";

/** Histories of visitors over their objects: one call per object, whatever the number of visitors. */
export class VisitorHistories {
  readonly #namespace: DurableObjectNamespace<VisitorHistory>;
  readonly #objects: number;

  constructor(namespace: DurableObjectNamespace<VisitorHistory>, objects: number) {
    this.#namespace = namespace;
    this.#objects = objects;
  }

  /** Returns the identities that were new, by visitor in the order given. */
  async apply(tenant: string, changes: readonly VisitorChange[]): Promise<string[][]> {
    const fresh: string[][] = changes.map(() => []);
    await this.#perObject(
      tenant,
      changes,
      (change) => change.visitor,
      async (stub, part, places) => {
        const answer: string[][] = await stub.apply(part);
        for (const [at, identities] of answer.entries()) fresh[places[at] ?? -1] = identities;
      },
    );
    return fresh;
  }

  async states(tenant: string, visitors: readonly string[]): Promise<Map<string, VisitorState>> {
    const found = new Map<string, VisitorState>();
    await this.#perObject(
      tenant,
      visitors,
      (visitor) => visitor,
      async (stub, part) => {
        const states: VisitorState[] = await stub.states(part);
        for (const [at, state] of states.entries()) found.set(part[at] ?? "", state);
      },
    );
    return found;
  }

  async #perObject<T>(
    tenant: string,
    entries: readonly T[],
    visitorOf: (entry: T) => string,
    call: (stub: DurableObjectStub<VisitorHistory>, part: T[], places: number[]) => Promise<void>,
  ): Promise<void> {
    const groups = Map.groupBy(entries.keys(), (at) => {
      const visitor = visitorOf(entries[at] as T);
      return visitorHistoryName({ tenant, visitor, objects: this.#objects });
    });
    await Promise.all(
      [...groups].map(([name, places]) =>
        call(
          this.#namespace.getByName(name),
          places.map((at) => entries[at] as T),
          places,
        ),
      ),
    );
  }
}

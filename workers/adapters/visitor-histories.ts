import type { AnsweredList, Attributed, ListOutcome } from "../../durable-objects/list-outcomes.core.ts";
import type { VisitorChange, VisitorState } from "../../durable-objects/visitor-history.core.ts";
import { shardOfVisitor, type VisitorHistory, visitorHistoryName } from "../../durable-objects/visitor-history.ts";

/** Something that lies in a virtual shard of visitors. */
export interface Sharded<T> {
  readonly shard: number;
  readonly value: T;
}

/** Lists that an object is told at a time, about a millisecond's work: whoever asks it for a visitor's history waits no longer than that. */
const LISTS_PER_CALL = 25;

/** Histories of visitors, and the lists they were shown, over their objects: one call per object, whatever the number of visitors. */
export class VisitorHistories {
  readonly #namespace: DurableObjectNamespace<VisitorHistory>;
  readonly #objects: number;

  constructor(namespace: DurableObjectNamespace<VisitorHistory>, objects: number) {
    this.#namespace = namespace;
    this.#objects = objects;
  }

  async apply(tenant: string, changes: readonly VisitorChange[]): Promise<void> {
    const groups = this.#perObject(tenant, changes, ({ visitor }) => shardOfVisitor(visitor));
    await Promise.all(Array.from(groups, ([name, part]) => this.#namespace.getByName(name).apply(part)));
  }

  async states(tenant: string, visitors: readonly string[]): Promise<Map<string, VisitorState>> {
    const found = new Map<string, VisitorState>();
    const groups = this.#perObject(tenant, visitors, shardOfVisitor);
    await Promise.all(
      Array.from(groups, async ([name, part]) => {
        const states: VisitorState[] = await this.#namespace.getByName(name).states(part);
        for (const [at, state] of states.entries()) found.set(part[at] ?? "", state);
      }),
    );
    return found;
  }

  /** Lists that were answered and outcomes of lists, each with the virtual shard that its id names. */
  async attribute(
    tenant: string,
    lists: readonly Sharded<AnsweredList>[],
    outcomes: readonly Sharded<ListOutcome>[],
  ): Promise<{ readonly attributed: Attributed; readonly of: readonly ListOutcome[] }[]> {
    const shardOf = ({ shard }: { shard: number }): number => shard;
    const [own, told] = [this.#perObject(tenant, lists, shardOf), this.#perObject(tenant, outcomes, shardOf)];
    const names = new Set([...own.keys(), ...told.keys()]);
    const found = await Promise.all(
      Array.from(names, (name) => this.#attribute(name, own.get(name) ?? [], told.get(name) ?? [])),
    );
    return found.flat();
  }

  async #attribute(
    name: string,
    lists: readonly Sharded<AnsweredList>[],
    outcomes: readonly Sharded<ListOutcome>[],
  ): Promise<{ readonly attributed: Attributed; readonly of: readonly ListOutcome[] }[]> {
    const found = [];
    let of = outcomes.map(({ value }) => value);
    for (let from = 0; from === 0 || from < lists.length; from += LISTS_PER_CALL) {
      if (from > 0) await scheduler.wait(0);
      const answered = lists.slice(from, from + LISTS_PER_CALL).map(({ value }) => value);
      found.push({ attributed: await this.#namespace.getByName(name).attribute(answered, of), of });
      of = [];
    }
    return found;
  }

  /** A stub belongs to the request that made it: every call gets its own. */
  #perObject<T>(tenant: string, entries: readonly T[], shardOf: (entry: T) => number): Map<string, T[]> {
    return Map.groupBy(entries, (entry) =>
      visitorHistoryName({ tenant, shard: shardOf(entry), objects: this.#objects }),
    );
  }
}

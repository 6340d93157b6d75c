import type { DecisionShard } from "../../durable-objects/decision-shard.ts";
import { decisionShardName } from "../../durable-objects/decision-shard.ts";
import type { WrittenDecision } from "../../durable-objects/decision-shard.core.ts";
import type { DecisionRecord } from "../../models/contract/decision-record.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import { within } from "../deadline.ts";
import type { DecisionStore, IdempotencyClaim } from "../fraud/score-order.ts";

/** What a decision waits for: a write of a few milliseconds, or of some hundred where the object must wake up. */
const DEADLINE_MS = 1_000;

/** Orders and decisions over their shards: one call per object, whatever the number of orders. */
export class DecisionShards implements DecisionStore {
  readonly #namespace: DurableObjectNamespace<DecisionShard>;
  readonly #objects: number;

  constructor(namespace: DurableObjectNamespace<DecisionShard>, objects: number) {
    this.#namespace = namespace;
    this.#objects = objects;
  }

  async order(tenant: string, orderId: string): Promise<Order | null> {
    return await within(this.#shard(tenant, orderId).order(orderId), DEADLINE_MS);
  }

  async decisionsOf(tenant: string, orderId: string): Promise<DecisionRecord[]> {
    return await this.#shard(tenant, orderId).decisionsOf(orderId);
  }

  async claimed(tenant: string, orderId: string, claim: IdempotencyClaim): Promise<DecisionRecord | "conflict" | null> {
    return await within<DecisionRecord | "conflict" | null>(this.#shard(tenant, orderId).claimed(claim), DEADLINE_MS);
  }

  async put(
    record: DecisionRecord,
    options: { provisional?: boolean; claim?: IdempotencyClaim | undefined },
  ): Promise<DecisionRecord> {
    const provisional = options.provisional === true ? [record.decisionId] : [];
    const shard = this.#shard(record.tenant, record.orderId);
    const [earlier] = await within<(DecisionRecord | null)[]>(
      shard.putDecisions([written(record)], { provisional, claim: options.claim }),
      DEADLINE_MS,
    );
    return earlier ?? record;
  }

  async keepOrders(tenant: string, orders: readonly Order[]): Promise<void> {
    const groups = this.#grouped(tenant, orders, (order) => order.orderId);
    await Promise.all([...groups].map(([name, group]) => this.#namespace.getByName(name).putOrders(group)));
  }

  async storedDecisions(
    tenant: string,
    wanted: readonly { orderId: string; decisionId: string }[],
  ): Promise<DecisionRecord[]> {
    const groups = this.#grouped(tenant, wanted, (entry) => entry.orderId);
    const found = await Promise.all(
      [...groups].map(([name, group]) =>
        this.#namespace.getByName(name).storedDecisions(group.map((entry) => entry.decisionId)),
      ),
    );
    return found.flat();
  }

  async putDecisions(tenant: string, records: readonly DecisionRecord[]): Promise<DecisionRecord[]> {
    const groups = this.#grouped(tenant, records, (record) => record.orderId);
    const stored = await Promise.all(
      [...groups].map(async ([name, group]) => {
        const earlier = await this.#namespace.getByName(name).putDecisions(group.map(written));
        return group.map((record, index) => earlier[index] ?? record);
      }),
    );
    return stored.flat();
  }

  #shard(tenant: string, orderId: string): DurableObjectStub<DecisionShard> {
    return this.#namespace.getByName(decisionShardName({ tenant, orderId, objects: this.#objects }));
  }

  #grouped<T>(tenant: string, items: readonly T[], orderIdOf: (item: T) => string): Map<string, T[]> {
    const groups = new Map<string, T[]>();
    for (const item of items) {
      const name = decisionShardName({ tenant, orderId: orderIdOf(item), objects: this.#objects });
      const group = groups.get(name);
      if (group) group.push(item);
      else groups.set(name, [item]);
    }
    return groups;
  }
}

function written(record: DecisionRecord): WrittenDecision {
  const { decisionId, orderId, decidedAt } = record;
  return { decisionId, orderId, decidedAt, body: JSON.stringify(record) };
}

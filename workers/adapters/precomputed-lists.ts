import * as z from "zod";
import { Id, ModelName, ModelVersion } from "../../models/contract/primitives.ts";
import { logWarning } from "../http/log.ts";

const PrecomputedList = z.object({
  v: z.literal(1),
  /** Configuration that the list was computed under: another one makes it void. */
  digest: z.string(),
  model: ModelName.nullable(),
  modelVersion: ModelVersion.nullable(),
  /** Epoch milliseconds. */
  at: z.number(),
  items: z.array(z.object({ productId: Id, score: z.number(), source: z.string(), reason: z.string() })).max(100),
});
export type PrecomputedList = z.infer<typeof PrecomputedList>;

/** Lists of active visitors in KV, by pseudonym. */
export class PrecomputedLists {
  readonly #kv: KVNamespace | null;

  constructor(kv: KVNamespace | null) {
    this.#kv = kv;
  }

  /** Null where there is none of this configuration. */
  async read(tenant: string, visitor: string, digest: string): Promise<PrecomputedList | null> {
    const parsed = PrecomputedList.safeParse(await this.#kv?.get(keyOf(tenant, visitor), "json"));
    return parsed.success && parsed.data.digest === digest ? parsed.data : null;
  }

  /** A write that KV refuses is given up: the list is a fallback. */
  async write(tenant: string, visitor: string, list: PrecomputedList, ttlSeconds: number): Promise<void> {
    try {
      await this.#kv?.put(keyOf(tenant, visitor), JSON.stringify(list), { expirationTtl: ttlSeconds });
    } catch (error) {
      logWarning("a precomputed list was not written", { reason: String(error) });
    }
  }

  /** @throws where KV does not answer: whoever withdrew consent must not be forgotten half */
  async forget(tenant: string, visitors: readonly string[]): Promise<void> {
    await Promise.all(visitors.map(async (visitor) => await this.#kv?.delete(keyOf(tenant, visitor))));
  }
}

function keyOf(tenant: string, visitor: string): string {
  return `${tenant}:recommendations:${visitor}`;
}

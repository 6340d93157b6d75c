import type { DecisionRecord } from "../../models/contract/decision-record.ts";
import { within } from "../deadline.ts";
import { logError } from "../http/log.ts";

/** One small object; R2 takes some tens of milliseconds. */
const WRITE_DEADLINE_MS = 2_000;

/** The log of decisions in R2, for a decision whose shard does not answer. Shards write their own objects, by alarm. */
export class DecisionLog {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  /** Resolves once the record is durable, in an object of its own. If its shard kept it after all, readers find it twice, by one id. */
  async setAside(record: DecisionRecord): Promise<void> {
    const { tenant, decisionId } = record;
    logError("a decision was set aside", new Error("its shard did not answer"), { decisionId });
    const hour = new Date(record.decidedAt).toISOString().slice(0, 13);
    const line = new Blob([`${JSON.stringify(record)}\n`]);
    const compressed = await new Response(line.stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer();
    const key = `${tenant}/decisions/decided=${hour}/${decisionId}-aside.ndjson.gz`;
    await within(this.#bucket.put(key, compressed), WRITE_DEADLINE_MS);
  }
}

import type { StoredConsistencyReport } from "../../models/contract/api/feature-consistency.ts";

/** Services whose reports are read at once. */
const MAX_SERVICES = 100;

/** Consistency reports in R2: the newest of each service, and every one by its time. */
export class ConsistencyReports {
  readonly #bucket: R2Bucket;

  constructor(bucket: R2Bucket) {
    this.#bucket = bucket;
  }

  async put(tenant: string, stored: StoredConsistencyReport): Promise<void> {
    const body = JSON.stringify(stored);
    const { service } = stored.report;
    await this.#bucket.put(`${prefixOf(tenant)}history/${service}/${stored.checkedAt}.json`, body);
    await this.#bucket.put(`${prefixOf(tenant)}latest/${service}.json`, body);
  }

  async latest(tenant: string): Promise<StoredConsistencyReport[]> {
    const { objects } = await this.#bucket.list({ prefix: `${prefixOf(tenant)}latest/`, limit: MAX_SERVICES });
    const reports = await Promise.all(
      objects.map(async ({ key }) => await (await this.#bucket.get(key))?.json<StoredConsistencyReport>()),
    );
    return reports.filter((report) => report !== undefined);
  }
}

function prefixOf(tenant: string): string {
  return `${tenant}/features/consistency/`;
}

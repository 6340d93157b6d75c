import { describe, expect, it } from "vitest";
import type { ApiClient } from "../../../batch-training/client/api-client.ts";
import { ApiError } from "../../../batch-training/client/api-error.ts";
import { fingerprint, sendLoad } from "../../../batch-training/features/send-load.ts";
import type { Problem } from "../../../models/contract/errors.ts";
import { type LoadedRow, MAX_LOAD_ROWS } from "../../../models/contract/api/feature-loads.ts";

const GROUP = "customer_profile@1";
const rows = Array.from({ length: 2 * MAX_LOAD_ROWS + 1 }, (_, index): LoadedRow => ({
  entity: `c${index}`,
  at: "2026-03-01T00:00:00.000Z",
  values: { lifetime_value: index },
}));
const job = { group: GROUP, batch: `load-${fingerprint(GROUP, rows)}`, rows };

const NOT_FOUND: Problem = {
  type: "/docs/errors#load-not-found",
  title: "There is no such load.",
  status: 404,
  code: "load-not-found",
  requestId: "r",
};

/** A Worker that keeps what is staged; the n-th call fails as if the network had. */
class FakeWorker {
  readonly staged = new Map<number, number>();
  committedAt: string | null = null;
  sent = 0;
  failAt = -1;

  call = async (route: { operationId: string }, request: unknown): Promise<unknown> => {
    if (this.sent++ === this.failAt) throw new ApiError("gone", { kind: "unreachable" });
    const { body } = request as { body?: { part: number; rows: unknown[]; stage: boolean; parts: number } };
    const state = () => ({ body: { parts: [...this.staged.keys()], committedAt: this.committedAt } });
    switch (route.operationId) {
      case "getFeatureLoad":
        if (this.staged.size === 0)
          throw new ApiError("no such load", { kind: "problem", status: 404, problem: NOT_FOUND });
        return state();
      case "loadFeatures":
        expect(body?.stage).toBe(true);
        this.staged.set(body?.part ?? -1, body?.rows.length ?? 0);
        return { body: {} };
      default:
        expect([...this.staged.keys()].toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
        this.committedAt ??= "2026-03-02T00:00:00.000Z";
        return state();
    }
  };
}

describe("sending a load", () => {
  it("goes on where it was interrupted, at any call, and commits once all is staged", async () => {
    for (let failAt = 0; failAt < 5; failAt++) {
      const worker = new FakeWorker();
      worker.failAt = failAt;
      const client = worker as unknown as Pick<ApiClient, "call">;
      await expect(sendLoad(client, job)).rejects.toThrow();
      const staged = worker.staged.size;
      expect(await sendLoad(client, job)).toContain(`${3 - staged} of 3 parts sent, committed`);
      expect([...worker.staged.values()]).toEqual([MAX_LOAD_ROWS, MAX_LOAD_ROWS, 1]);
      expect(await sendLoad(client, job)).toContain("was committed");
    }
  });

  it("names a load by its content", () => {
    expect(fingerprint(GROUP, rows)).toBe(fingerprint(GROUP, [...rows]));
    expect(fingerprint(GROUP, rows)).not.toBe(fingerprint(GROUP, rows.slice(1)));
    expect(fingerprint(GROUP, rows)).not.toBe(fingerprint("other@1", rows));
  });
});

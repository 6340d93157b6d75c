import { describe, expect, it } from "vitest";
import { FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import type { ConsistencyReport, StoredConsistencyReport } from "../../../models/contract/api/feature-consistency.ts";
import { compareDecisions } from "../../../models/features/consistency.ts";
import { call, problemOf } from "./client.ts";

const PATH = "/api/v1/features/consistency";
const at = FRAUD_FEATURES.indexOf("customer_orders_1d");

/** Three decisions, of which `skewed` were served with one order too many in a day. */
function report(skewed: number): ConsistencyReport {
  const recomputed = new Float32Array(FRAUD_FEATURES.width).fill(2);
  const compared = [0, 1, 2].map((index) => {
    const vector = [...recomputed];
    if (index < skewed) vector[at] = 3;
    const decision = { decisionId: `fd-${index}`, vector, watermarks: [], asOf: 0 };
    return { decision, recomputed, ages: vector.map(() => 60), skipped: null };
  });
  return compareDecisions(FRAUD_FEATURES, compared);
}

const publish = (body: unknown) => call(PATH, { roles: ["trainer"], tenant: "consistent", body });

describe("consistency reports", () => {
  it("200: keeps the newest report and shows mismatch, missing, extra and age by feature as metrics", async () => {
    const read = async () =>
      await (
        await call(PATH, { roles: ["analyst"], tenant: "consistent" })
      ).json<{ reports: StoredConsistencyReport[] }>();
    expect((await read()).reports).toEqual([]);
    expect((await publish({ sample: 0.5, report: report(0) })).status).toBe(200);
    expect((await publish({ sample: 0.5, report: report(2) })).status).toBe(200);
    const [stored, ...others] = (await read()).reports;
    expect(others).toEqual([]);
    expect(stored).toMatchObject({ sample: 0.5, by: "tester", report: { decisions: 3 } });
    expect(stored?.report.features[at]).toMatchObject({ mismatched: 2, missing: 0, extra: 0, ageSeconds: { p50: 60 } });
    const metrics = await (await call("/metrics", { roles: ["operator"] })).text();
    const series = `feature="customer_orders_1d",kind="mismatched",service="fraud_orders_v1",tenant="consistent"`;
    expect(metrics).toContain(`feature_consistency_mismatch{${series}} 2`);
    expect(metrics).toMatch(/feature_consistency_age_seconds\{.*customer_orders_1d.*\} 60/);
    expect(metrics).toMatch(/feature_consistency_share\{service="fraud_orders_v1",tenant="consistent"\} 0\.0/);
  });

  it("404 and 400: a service that there is not, and a report of another shape", async () => {
    const unknown = await publish({ sample: 1, report: { ...report(0), service: "nobody_v1" } });
    expect((await problemOf(unknown)).code).toBe("service-not-found");
    expect((await publish({ sample: 2, report: report(0) })).status).toBe(400);
    expect((await publish({ sample: 1, report: { decisions: 3 } })).status).toBe(400);
  });
});

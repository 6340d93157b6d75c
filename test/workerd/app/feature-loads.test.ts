import { describe, expect, it } from "vitest";
import type { FeatureVectors } from "../../../models/contract/api/features.ts";
import { call, problemOf } from "./client.ts";

const GROUP = "/api/v1/features/groups/customer_profile@1/loads";
const ago = (hours: number): string => new Date(Date.now() - hours * 3_600_000).toISOString();
const load = (rows: unknown, part = 0, path = GROUP) =>
  call(path, { roles: ["trainer"], tenant: "loads", body: { batch: "b1", part, rows } });
const profileOf = async (customer: string): Promise<(number | null)[]> => {
  const path = `/api/v1/features/customer_profile_v1/vector?customer=${customer}`;
  const body = await (await call(path, { roles: ["client"], tenant: "loads" })).json<FeatureVectors>();
  return body.rows[0]?.values ?? [];
};

describe("loading features", () => {
  it("200: serves the newest values of an entity, whatever the order they arrive in; again changes nothing", async () => {
    const newer = { entity: "ann", at: ago(1), values: { lifetime_value: 120, churn_probability: 0.25 } };
    const older = { entity: "ann", at: ago(30), values: { lifetime_value: 80, churn_probability: 0.75 } };
    expect(await (await load([newer])).json()).toEqual({ applied: 1, duplicate: 0, staged: 0 });
    expect(await (await load([older], 1)).json()).toEqual({ applied: 1, duplicate: 0, staged: 0 });
    expect(await (await load([newer, older], 2)).json()).toEqual({ applied: 0, duplicate: 2, staged: 0 });
    expect(await profileOf("ann")).toEqual([120, 0.25]);
    expect(await profileOf("nobody")).toEqual([null, null]);
  });

  it("400: one bad row refuses the whole part and stores nothing", async () => {
    const good = { entity: "bob", at: ago(1), values: { lifetime_value: 5 } };
    for (const bad of [
      { entity: "bob", at: ago(-2), values: { lifetime_value: 5 } },
      { entity: "bob", at: ago(1), values: { shoe_size: 44 } },
      { entity: "bob", at: ago(1), values: { churn_probability: 1.5 } },
    ]) {
      const response = await load([good, bad]);
      expect((await problemOf(response)).code).toBe("invalid-request");
    }
    expect(await profileOf("bob")).toEqual([null, null]);
  });

  it("404: a group that events feed, or that there is not, takes no loads", async () => {
    for (const group of ["customer_orders@1", "nothing@1"]) {
      const row = { entity: "ann", at: ago(1), values: {} };
      const response = await load([row], 0, `/api/v1/features/groups/${group}/loads`);
      expect((await problemOf(response)).code).toBe("group-not-found");
    }
  });

  it("200: staged parts are seen once the load is committed; 409 and 404 before", async () => {
    const row = (entity: string) => ({ entity, at: ago(1), values: { lifetime_value: 9 } });
    const batch = "/api/v1/features/groups/customer_profile@1/loads/b2";
    const staged = (entity: string, part: number) =>
      call(GROUP, {
        roles: ["trainer"],
        tenant: "loads",
        body: { batch: "b2", part, stage: true, rows: [row(entity)] },
      });
    const commit = () => call(`${batch}/commit`, { roles: ["trainer"], tenant: "loads", body: { parts: 2 } });
    expect((await problemOf(await commit())).code).toBe("load-not-found");
    expect(await (await staged("cid", 1)).json()).toEqual({ applied: 0, duplicate: 0, staged: 1 });
    const incomplete = await problemOf(await commit());
    expect(incomplete).toMatchObject({ code: "load-incomplete", detail: "Staged are 1 of 0 to 1." });
    await staged("dan", 0);
    const state = await call(batch, { roles: ["operator"], tenant: "loads" });
    expect(await state.json()).toEqual({ batch: "b2", parts: [0, 1], committedAt: null });
    expect(await profileOf("cid")).toEqual([null, null]);
    expect(await (await commit()).json()).toMatchObject({ batch: "b2", committedAt: expect.any(String) });
    expect([await profileOf("cid"), await profileOf("dan")]).toEqual([
      [9, null],
      [9, null],
    ]);
  });
});

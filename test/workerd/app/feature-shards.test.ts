import { describe, expect, it } from "vitest";
import type { ReshardProgress } from "../../../models/contract/api/feature-shards.ts";
import { call, problemOf } from "./client.ts";

const advance = (tenant: string, objects: number) =>
  call("/api/v1/features/shards/reshard", { roles: ["operator"], tenant, body: { objects } });

describe("the layout of entity state", () => {
  it("200: tells objects, hot entities and the reshard under way, and stops before the deployment", async () => {
    const layout = () => call("/api/v1/features/shards", { roles: ["operator"], tenant: "layout" });
    expect(await (await layout()).json()).toEqual({ objects: 1, virtualShards: 1_024, hotEntities: [], reshard: null });
    const answer = await (await advance("layout", 4)).json<ReshardProgress>();
    expect(answer).toMatchObject({ from: 1, to: 4, phase: "waiting-for-deployment" });
    expect(await (await layout()).json()).toMatchObject({ reshard: answer });
  });

  it("200: the number that serves already is done at once", async () => {
    expect(await (await advance("layout-same", 1)).json()).toMatchObject({ phase: "done", moved: 0 });
  });

  it("400 and 403: numbers that cannot be, and callers who may not", async () => {
    for (const objects of [0, 1_025, 1.5]) expect((await advance("layout", objects)).status).toBe(400);
    const response = await call("/api/v1/features/shards", { roles: ["client"] });
    expect((await problemOf(response)).code).toBe("forbidden");
  });
});

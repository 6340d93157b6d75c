import { describe, expect, it } from "vitest";
import { nextText, planText, progressText } from "../../../../batch-training/commands/features-reshard.ts";
import type { ReshardProgress } from "../../../../models/contract/api/feature-shards.ts";

const progress = (overrides: Partial<ReshardProgress>): ReshardProgress => ({
  from: 2,
  to: 4,
  phase: "copying",
  object: 1,
  moved: 300,
  dropped: 0,
  startedAt: "2026-03-01T00:00:00.000Z",
  updatedAt: "2026-03-01T00:00:01.000Z",
  readyAt: null,
  ...overrides,
});

describe("edgewise features reshard", () => {
  it("says beforehand how much moves: nothing to the same number, half to twice the number", () => {
    expect(planText(4, 4)).toContain("0 of 1024");
    // Objects hold ranges: of 1,024 virtual shards, the first quarter alone stays with object 0 of two when there are four.
    expect(planText(1, 2)).toContain("512 of 1024");
    expect(planText(2, 4)).toContain("768 of 1024");
  });

  it("says where it is and what the operator is to do next", () => {
    expect(progressText(progress({}))).toBe("copying, object 2 of 2: 300 rows copied, 0 dropped");
    expect(nextText(progress({ phase: "waiting-for-deployment" }))).toContain('ENTITY_SHARD_OBJECTS = "4"');
    const settling = progress({ phase: "settling", readyAt: "2026-03-01T00:20:00.000Z" });
    expect(nextText(settling)).toContain("after 2026-03-01T00:20:00.000Z");
    expect(nextText(progress({ phase: "done" }))).toContain("4 objects hold everything");
  });
});

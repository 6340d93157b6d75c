import { describe, expect, it } from "vitest";
import { parseHotEntities, partsOf, replicasOf } from "../../../../workers/features/replicas.ts";

describe("HOT_ENTITIES", () => {
  it("names entities and their parts; the first part is the entity as it was before", () => {
    const hot = parseHotEntities("product:p1=3, terminal:t7=2");
    expect(hot).toEqual([
      { entity: "product:p1", parts: 3 },
      { entity: "terminal:t7", parts: 2 },
    ]);
    const replicas = replicasOf(hot);
    expect(partsOf("product:p1", replicas)).toEqual(["product:p1", "product:p1#1", "product:p1#2"]);
    expect(partsOf("product:p2", replicas)).toEqual(["product:p2"]);
    expect(parseHotEntities("")).toEqual([]);
  });

  it.each([
    ["product:p1", /is not TYPE:ID=PARTS/],
    ["product:p1=0", /1 to 64 parts/],
    ["product:p1=65", /1 to 64 parts/],
    ["shop:p1=2", /no type of entity/],
    ["product:p1=2,product:p1=3", /given twice/],
  ])("refuses %j and says why", (text, why) => {
    expect(() => parseHotEntities(text)).toThrow(why);
  });
});

import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { publishableRecommender, priceRanker } from "../../support/published-recommender.ts";
import { generatedBundle } from "../../support/recommender-bundle.ts";
import { SeededRandom } from "../../support/seeded-random.ts";
import { Isolate } from "./broken-env.ts";
import { promoteRecommender, publishRecommender } from "./recommender-client.ts";
import { ask, happen, idsOf, type List, newTenant, product, serving } from "./shop-client.ts";

const FILES = ["manifest.json", "items.bin", "retrieval.bin", "ranker.onnx"] as const;

/** A tenant with two versions, the second one promoted and ranked; its files can be replaced. */
async function twoVersions() {
  const tenant = newTenant("broken");
  const first = await serving(tenant);
  const { bytes, golden } = priceRanker(5_000);
  const second = publishableRecommender(
    { ...generatedBundle({ items: 50, seed: 2 }), ranker: bytes },
    { ranking: golden },
  );
  expect((await publishRecommender(tenant, second)).status).toBe(201);
  expect((await promoteRecommender(tenant, second.manifest.version)).status).toBe(200);
  const keyOf = (file: string): string => `${tenant}/models/product-recommendations/${second.manifest.version}/${file}`;
  const wholes = new Map<string, Uint8Array>();
  for (const file of FILES)
    wholes.set(file, new Uint8Array((await (await env.MODELS.get(keyOf(file)))?.arrayBuffer()) ?? []));
  const whole = (file: string): Uint8Array => wholes.get(file) ?? new Uint8Array(0);
  /** What a fresh isolate answers while a file is something else. */
  const answerWith = async (file: string, bytes: Uint8Array | null): Promise<List> => {
    await (bytes === null ? env.MODELS.delete(keyOf(file)) : env.MODELS.put(keyOf(file), bytes));
    const { list } = await ask(tenant, { limit: 5 });
    await env.MODELS.put(keyOf(file), whole(file));
    return list;
  };
  return { tenant, first, second, whole, answerWith };
}

describe("law: a damaged version never serves", () => {
  it.each(FILES)(
    "%s cut short anywhere, turned at any bit, emptied or missing: the previous version goes on, flagged",
    async (file) => {
      const { first, second, whole, answerWith } = await twoVersions();
      const bytes = whole(file);
      const random = new SeededRandom(file.length);
      const cuts = [
        0,
        1,
        7,
        8,
        12,
        bytes.length - 8,
        bytes.length - 1,
        ...Array.from({ length: 5 }, () => random.below(bytes.length)),
      ];
      const damaged: [string, Uint8Array | null][] = cuts.map((length) => [`cut to ${length}`, bytes.slice(0, length)]);
      for (let flip = 0; flip < 6; flip++) {
        const [at, turned] = [random.below(bytes.length), bytes.slice()];
        turned[at] = (turned[at] ?? 0) ^ (1 << random.below(8));
        damaged.push([`bit turned at ${at}`, turned]);
      }
      damaged.push(["a byte longer", Uint8Array.of(...bytes, 0)], ["missing", null]);
      for (const [what, content] of damaged) {
        const list = await answerWith(file, content);
        expect([what, list.modelVersion, list.items.length]).toEqual([what, first.version, 5]);
        expect(list.degraded.length).toBe(1);
        expect(list.degraded[0]).toMatch(/^model-(refused|stale)$/);
      }
      expect((await answerWith(file, bytes)).modelVersion).toBe(second.manifest.version);
    },
  );

  it("files of another version in its place are refused", async () => {
    const { first, answerWith } = await twoVersions();
    for (const file of ["items.bin", "retrieval.bin"]) {
      const list = await answerWith(file, first.published.files.get(file) ?? null);
      expect([file, list.modelVersion, list.degraded]).toEqual([file, first.version, ["model-refused"]]);
    }
  });

  it("an isolate that serves it already goes on with what it has in memory", async () => {
    const { tenant, second, whole, answerWith } = await twoVersions();
    const warm = new Isolate();
    await ask(tenant, {}, warm);
    await answerWith("retrieval.bin", whole("retrieval.bin").slice(0, 100));
    const { list } = await ask(tenant, {}, warm);
    expect([list.modelVersion, list.degraded]).toEqual([second.manifest.version, []]);
  });
});

describe("a recommender whose products are all gone", () => {
  it("says that nothing may be shown, and shows what the shop announces later", async () => {
    const tenant = newTenant("broken");
    await serving(tenant, { items: 5, seed: 3 });
    const gone = Array.from({ length: 5 }, (_, item) => product(`p-${item}`, { status: "withdrawn" }));
    await happen(tenant, ...gone);
    expect((await ask(tenant, { userId: "u" })).list).toMatchObject({ items: [], degraded: ["nothing-eligible"] });
    await happen(tenant, product("p-9"));
    expect(idsOf((await ask(tenant, { userId: "u" })).list)).toEqual(["p-9"]);
  });
});

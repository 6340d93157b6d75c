import { describe, expect, it } from "vitest";
import { describeStart } from "../../../../batch-training/commands/describe-start.ts";
import type { LocalSummary } from "../../../../batch-training/local/run-local-system.ts";
import { recommendNow } from "../../../../batch-training/local/demonstrate.ts";

const answer = (modelVersion: string | null) => ({
  recommendationId: "rec-1",
  items: [{ productId: "prd-1", position: 1, score: 1, source: "repeat", reason: "You bought this before" }],
  model: "product-recommendations",
  modelVersion,
  degraded: [],
});
/** Answers with one version after the other, the last one for good. */
function clientOf(versions: readonly (string | null)[]) {
  let asked = 0;
  const call = async (): Promise<unknown> => {
    const body = answer(versions[Math.min(asked, versions.length - 1)] ?? null);
    asked++;
    return { status: 200, body };
  };
  return { client: { call } as never, asked: () => asked };
}

describe("recommendations at the end of a start", () => {
  it("are those of the version that was promoted, not of what answered before", async () => {
    const { client, asked } = clientOf([null, "old", "new"]);
    const shown = await recommendNow(client, ["cus-1"], "new");
    expect(shown.answer.modelVersion).toBe("new");
    // Once more, so that the time that is shown is not that of loading.
    expect(asked()).toBe(4);
  });

  it("are whatever answers where no version was published", async () => {
    const { client, asked } = clientOf([null]);
    expect((await recommendNow(client, ["cus-1"], null)).answer.modelVersion).toBeNull();
    expect(asked()).toBe(2);
  });
});

describe("what a start prints", () => {
  const summary = {
    url: "http://127.0.0.1:1",
    parameters: { source: "retail", seed: 1, scale: 1, end: 0, folder: "/data", days: null },
    import: {
      rows: 10,
      acceptedRows: 7,
      refusedRows: { cancellation: 1, "no customer": 2 },
      customers: 3,
      products: 4,
      orders: 5,
      offsetDays: 14,
    },
    plain: null,
    suspicious: null,
    recommender: {
      training: null,
      modelVersion: "a".repeat(64),
      refused: null,
      shown: { userId: "cus-1", answer: answer("a".repeat(64)), latencyMs: 3, firstMs: 90 },
    },
  } as unknown as LocalSummary;

  it("says of real purchases how many rows were accepted, and why others were not", () => {
    const text = describeStart({ summary, token: "t" }, { once: true, summaryFile: "summary.json" }).join("\n");
    expect(text).toContain(
      "10 rows: 7 accepted as lines of 5 orders by 3 customers for 4 products; times moved by 2 weeks",
    );
    expect(text.indexOf("2 refused: no customer")).toBeLessThan(text.indexOf("1 refused: cancellation"));
    expect(text).toContain("3.0 ms (the first answer 90.0 ms)");
    expect(text).toContain("1  prd-1  You bought this before (repeat)");
    expect(text).not.toContain("Plain order");
  });

  it("gives lines to paste only for what is there", () => {
    const text = describeStart({ summary, token: "t" }, { once: false, summaryFile: undefined }).join("\n");
    expect(text).toContain("/api/v1/recommendations/products?userId=cus-1");
    expect(text).not.toContain("/api/v1/fraud/score");
  });

  it("says why no recommender was published", () => {
    const refused = { ...summary, recommender: { ...summary.recommender, refused: "too little past" } } as LocalSummary;
    const text = describeStart({ summary: refused, token: "t" }, { once: true, summaryFile: undefined }).join("\n");
    expect(text).toContain("too little past");
  });
});

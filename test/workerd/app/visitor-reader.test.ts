import { expect, it } from "vitest";
import type { VisitorState } from "../../../durable-objects/visitor-history.core.ts";
import { VisitorReader } from "../../../workers/recommendations/visitor-reader.ts";

const stateOf = (facts: number): VisitorState => {
  const fact = { productId: "p", action: "view" as const, at: 1, quantity: 1 };
  return { facts: Array.from({ length: facts }, () => fact), consent: null };
};

/** A reader whose reads end when the test says so, each with as many facts as it is told. */
function reader() {
  let now = 0;
  const reads: ((facts: number) => void)[] = [];
  const visitors = new VisitorReader({
    source: {
      states: (_tenant, asked) =>
        new Promise((resolve) =>
          reads.push((facts) => resolve(new Map(asked.map((visitor) => [visitor, stateOf(facts)])))),
        ),
    },
    now: () => now,
    background: () => {},
  });
  const knows = (visitor: string): number | undefined => visitors.peek("t", [visitor]).states[0]?.facts.length;
  return { visitors, reads, knows, setTime: (time: number) => void (now = time) };
}

it("renews an old copy once, however many requests see it, and again where the renewal does not come", async () => {
  const { visitors, reads, setTime } = reader();
  const first = visitors.read("t", ["c:a"]);
  reads[0]?.(1);
  await first;
  setTime(6_000);
  for (let request = 0; request < 50; request++) expect(visitors.peek("t", ["c:a"]).usable).toBe(true);
  expect(reads).toHaveLength(2);
  setTime(12_000);
  visitors.peek("t", ["c:a"]);
  expect(reads).toHaveLength(3);
});

it("keeps the copy of the read that began last, in whatever order reads end", async () => {
  const { visitors, reads, knows, setTime } = reader();
  const older = visitors.read("t", ["c:a"]);
  setTime(1_000);
  const newer = visitors.read("t", ["c:a"]);
  reads[1]?.(2);
  await newer;
  reads[0]?.(1);
  await older;
  expect(knows("c:a")).toBe(2);
});

it("holds no more facts than memory has room for, and forgets who was read longest ago", async () => {
  const { visitors, reads, knows } = reader();
  for (let visitor = 0; visitor < 500; visitor++) {
    const read = visitors.read("t", [`c:${visitor}`]);
    reads[visitor]?.(600);
    await read;
  }
  const kept = Array.from({ length: 500 }, (_, visitor) => visitor).filter(
    (visitor) => knows(`c:${visitor}`) !== undefined,
  );
  expect([kept[0], kept.length]).toEqual([500 - 333, 333]);
  expect(visitors.peek("other", ["c:499"]).states).toEqual([undefined]);
});

import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type {
  AnsweredList,
  Attributed,
  CountedOutcome,
  ListOutcome,
} from "../../../durable-objects/list-outcomes.core.ts";
import { ARMS } from "../../../models/contract/recommendation-arms.ts";
import { OUTCOME_KINDS } from "../../../models/recommend/outcome.ts";
import { SeededRandom } from "../../support/seeded-random.ts";

let names = 0;
const object = () => env.VISITORS.getByName(`lists-${++names}/0`);
const NOW = Date.now();

/** Lists of a few visitors, and outcomes of shown and other products, of known and unknown lists, some of them twice. */
function world(seed: number): { lists: AnsweredList[]; outcomes: ListOutcome[] } {
  const random = new SeededRandom(seed);
  const lists = Array.from({ length: 12 }, (_, at): AnsweredList => {
    const visitor = random.below(5);
    return {
      id: `list-${at}`,
      at: NOW + at,
      arm: ARMS[visitor % 2] ?? "outside",
      visitor: visitor === 4 ? null : `c:${visitor}`,
      products: Array.from({ length: 1 + random.below(6) }, (_place, place) => `p-${(at + place * 3) % 9}`),
    };
  });
  const outcomes = Array.from({ length: 80 }, (): ListOutcome => {
    return {
      list: `list-${random.below(14)}`,
      productId: `p-${random.below(9)}`,
      kind: OUTCOME_KINDS[random.below(4)] ?? "click",
      at: NOW + 100,
    };
  });
  return { lists, outcomes };
}

/** What must come of it, told without an order: distinct outcomes of products that their list showed; sums over visitors and arms. */
function oracle({ lists, outcomes }: ReturnType<typeof world>) {
  const counted = new Set<string>();
  const sums = new Map<string, number>();
  const units = new Map<string, { arm: string; shown: number; kinds: Map<string, number> }>();
  for (const list of lists) {
    const own = new Set(
      outcomes.flatMap(({ list: id, productId, kind }) =>
        id === list.id && list.products.includes(productId) ? [`${id} ${productId} ${kind}`] : [],
      ),
    );
    for (const key of own) counted.add(key);
    if (list.visitor === null) continue;
    const unit = units.get(list.visitor) ?? { arm: list.arm, shown: 0, kinds: new Map<string, number>() };
    units.set(list.visitor, unit);
    unit.shown += list.products.length;
    for (const key of own) {
      const kind = key.split(" ")[2] ?? "";
      unit.kinds.set(kind, (unit.kinds.get(kind) ?? 0) + 1);
    }
  }
  const add = (arm: string, sum: string, value: number): void => {
    if (value !== 0) sums.set(`${arm} ${sum}`, (sums.get(`${arm} ${sum}`) ?? 0) + value);
  };
  for (const { arm, shown, kinds } of units.values()) {
    add(arm, "visitors", 1);
    add(arm, "shown", shown);
    add(arm, "shown*shown", shown ** 2);
    for (const [kind, number] of kinds) {
      add(arm, kind, number);
      add(arm, `${kind}*${kind}`, number ** 2);
      add(arm, `${kind}*shown`, number * shown);
    }
  }
  return { counted, sums };
}

const keyOf = ({ list, productId, kind }: ListOutcome): string => `${list} ${productId} ${kind}`;

/** Adds up answers of an object; a key that is counted twice fails. */
function total(answers: readonly Attributed[]) {
  const counted = new Map<string, CountedOutcome>();
  const sums = new Map<string, number>();
  for (const answer of answers) {
    for (const outcome of answer.counted) {
      expect(counted.has(keyOf(outcome)), `${keyOf(outcome)} counts twice`).toBe(false);
      counted.set(keyOf(outcome), outcome);
    }
    for (const { arm, sum, value } of answer.sums) {
      sums.set(`${arm} ${sum}`, (sums.get(`${arm} ${sum}`) ?? 0) + value);
    }
  }
  return { counted: new Set(counted.keys()), sums };
}

describe("outcomes of lists", () => {
  it("law: nothing counts twice — lists and outcomes in any order, repeated, are counted once and for shown products only", async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const told = world(seed);
      const random = new SeededRandom(100 + seed);
      const parts = [
        ...told.lists.map((list) => ({ list, outcome: null })),
        ...told.outcomes.map((outcome) => ({ list: null, outcome })),
      ];
      // Everything twice, shuffled, in batches of any size.
      const order = [...parts, ...parts].map((part) => ({ part, at: random.next() })).sort((a, b) => a.at - b.at);
      const stub = object();
      const answers: Attributed[] = [];
      while (order.length > 0) {
        const batch = order.splice(0, 1 + random.below(20)).map(({ part }) => part);
        answers.push(
          await stub.attribute(
            batch.flatMap(({ list }) => list ?? []),
            batch.flatMap(({ outcome }) => outcome ?? []),
          ),
        );
      }
      expect(total(answers)).toEqual(oracle(told));
    }
  });

  it("say which of those given are of a product that the list showed, also when they count no more", async () => {
    const stub = object();
    const list: AnsweredList = { id: "l", at: NOW, arm: "control", visitor: "c:a", products: ["a", "b"] };
    const click = (productId: string, id = "l"): ListOutcome => ({ list: id, productId, kind: "click", at: NOW });
    expect((await stub.attribute([], [click("a"), click("z")])).shown).toEqual([false, false]);
    const known = await stub.attribute([list], []);
    expect(known.counted).toEqual([{ ...click("a"), arm: "control" }]);
    const again = await stub.attribute([], [click("a"), click("z"), click("b"), click("a", "nobody-knows")]);
    expect([again.shown, again.counted.map(({ productId }) => productId)]).toEqual([[true, false, true, false], ["b"]]);
  });

  it("say no longer whose they are once a visitor withdraws consent, and are still counted", async () => {
    const stub = object();
    const list: AnsweredList = { id: "l", at: NOW, arm: "recommender", visitor: "c:a", products: ["a"] };
    await stub.attribute([list], []);
    await stub.apply([{ visitor: "c:a", facts: [], consents: [{ granted: false, at: NOW }] }]);
    const after = await stub.attribute([], [{ list: "l", productId: "a", kind: "purchase", at: NOW }]);
    expect([after.counted.length, after.sums]).toEqual([1, []]);
  });

  it("are bounded: those that wait for a list, and lists that outlive what can become of them", async () => {
    const stub = object();
    const waiting = Array.from({ length: 500 }, (_, at): ListOutcome => {
      return { list: "late", productId: `p-${at}`, kind: "click", at: NOW };
    });
    await stub.attribute([], waiting);
    const products = waiting.map(({ productId }) => productId);
    const late: AnsweredList = { id: "late", at: NOW, arm: "control", visitor: null, products };
    expect((await stub.attribute([late], [])).counted).toHaveLength(400);
    const old: AnsweredList = { ...late, id: "old", at: NOW - 40 * 86_400_000, products: ["a"] };
    await stub.attribute([old], []);
    const click: ListOutcome = { list: "old", productId: "a", kind: "click", at: NOW };
    expect((await stub.attribute([], [click])).shown).toEqual([false]);
  });
});

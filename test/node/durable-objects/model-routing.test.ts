import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  emptyRouting,
  previousVersion,
  promote,
  rollBack,
  type RoutingState,
} from "../../../durable-objects/model-routing.core.ts";

const change = (now: number) => ({ by: "tester", now });

describe("law: one pointer — the routing record", () => {
  it("promotes, remembers what it replaced, and counts epochs without gaps", () => {
    const first = promote(emptyRouting("m"), "v1", change(1));
    const second = promote(first, "v2", change(2));
    expect(first.record).toMatchObject({ epoch: 1, serving: "v1", previous: null, reason: "promote" });
    expect(second.record).toMatchObject({ epoch: 2, serving: "v2", previous: "v1", reason: "promote" });
  });

  it("changes nothing when the version serves already, so a retried promotion is one change", () => {
    const once = promote(emptyRouting("m"), "v1", change(1));
    expect(promote(once, "v1", change(9))).toBe(once);
  });

  it("has nothing to roll back to before the second version", () => {
    expect(rollBack(emptyRouting("m"), change(1))).toBeNull();
    expect(rollBack(promote(emptyRouting("m"), "v1", change(1)), change(2))).toBeNull();
  });

  it("never offers a version that was rolled back from as the one to fall back to", () => {
    const bad = promote(promote(emptyRouting("m"), "good", change(1)), "bad", change(2));
    expect(rollBack(bad, change(3))?.record).toMatchObject({
      serving: "good",
      previous: null,
      epoch: 3,
      reason: "rollback",
    });
  });

  it("undoes any sequence of promotions and rollbacks like a stack does", () => {
    const step = fc.oneof(
      fc.record({ promote: fc.constantFrom("a", "b", "c", "d") }),
      fc.constant("rollback" as const),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const stack: string[] = [];
        let state: RoutingState = emptyRouting("m");
        let epoch = 0;
        for (const [index, action] of steps.entries()) {
          if (action === "rollback") {
            const next = rollBack(state, change(index));
            expect(next === null).toBe(stack.length < 2);
            if (next) {
              stack.pop();
              epoch++;
              state = next;
            }
          } else if (stack.at(-1) !== action.promote) {
            state = promote(state, action.promote, change(index));
            stack.push(action.promote);
            epoch++;
          }
          expect(state.record.serving).toBe(stack.at(-1) ?? null);
          expect(state.record.epoch).toBe(epoch);
          expect(previousVersion(state)).toBe(stack.at(-2) ?? null);
        }
      }),
    );
  });
});

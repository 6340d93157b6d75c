import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BuildPlan, FACT_HEAD, planBuild } from "../../../batch-training/features/build-plan.ts";
import { EntityReplay } from "../../../batch-training/features/entity-replay.ts";
import { compileCatalog } from "../../../models/features/catalog.ts";
import { compileService } from "../../../models/features/compile-service.ts";
import { addEntityFact, emptyEntity, type EntityState } from "../../../models/features/entity-state.ts";
import { finishEntity } from "../../../models/features/finish-vector.ts";
import { PROBE_AGGREGATIONS, probeService } from "../../support/probe-service.ts";

const SECOND = 1_000;
const T0 = 1_700_000_000_000;
const WINDOWS = [
  { lengthMs: 10 * SECOND, delayMs: 0 },
  { lengthMs: 60 * SECOND, delayMs: 0, countsRequest: true },
  { lengthMs: 20 * SECOND, delayMs: 15 * SECOND },
];
/** What the builder may add up in another order than the state that serves. */
const ROUNDED = new Set(["mean", "variance", "deviation", "rate", "decayed_sum"]);

/** Integers, whose sums are exact, and values whose sums are not: fractions and integers beyond 2^53 in sum. */
const aValue = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: -1_000, max: 10_000 }) },
  { weight: 1, arbitrary: fc.constant(Number.NaN) },
  { weight: 1, arbitrary: fc.double({ min: -1, max: 1, noNaN: true }) },
  { weight: 1, arbitrary: fc.constant(2 ** 52 + 1) },
);
/** Whole seconds of two minutes, so that ties and facts exactly at a window's edge are common. */
const aFact = fc.record({
  kind: fc.constant("fact" as const),
  identity: fc.integer({ min: 0, max: 40 }),
  second: fc.integer({ min: 0, max: 120 }),
  value: aValue,
  device: fc.option(fc.integer({ min: 0, max: 4 }), { nil: Number.NaN }),
});
const anAsk = fc.record({
  kind: fc.constant("ask" as const),
  identity: fc.integer({ min: 0, max: 50 }),
  second: fc.integer({ min: 0, max: 130 }),
  value: aValue,
  device: fc.option(fc.integer({ min: 0, max: 5 }), { nil: Number.NaN }),
});
type Generated = typeof aFact | typeof anAsk extends fc.Arbitrary<infer T> ? T : never;
/** Steps come in the order of the log; without a time of their own they become visible one millisecond after the other. */
type Step = Generated & { readonly visibleAt?: number };

function planned(facts: number, horizonMs: number | null): BuildPlan {
  const definition = probeService({ horizonMs, facts, tileMs: 7 * SECOND, tiles: 1_000 }, WINDOWS);
  const catalog = compileCatalog([definition]);
  return planBuild(compileService(definition, catalog), catalog);
}

/** Every answer of the builder's replay, and what the state that serves answers at the same point. */
function* answers(plan: BuildPlan, steps: readonly Step[], entities: number) {
  const [entity] = plan.entities;
  const [group] = plan.groups;
  if (!entity || !group) throw new Error("the probe has an entity and a group");
  const replay = new EntityReplay(plan, entity);
  const record = new Float64Array(FACT_HEAD + 2);
  for (let round = 0; round < entities; round++) {
    replay.begin();
    const state: EntityState = emptyEntity(plan.catalog.layouts(entity.type));
    const coarsened = new Set<number>();
    for (const [sequence, step] of steps.entries()) {
      const { kind, identity, second, value, device, visibleAt = T0 + 200 * SECOND + sequence } = step;
      const time = T0 + second * SECOND;
      const fact = { time, identity, columns: [value, device], retractedAt: Infinity, retraction: false };
      if (kind === "fact") {
        addEntityFact(state, group, fact, visibleAt, {
          has: (one) => coarsened.has(one),
          add: (one) => void coarsened.add(one),
        });
        record.set([0, 0, visibleAt, sequence, time, identity, Infinity, value, device]);
        replay.apply(0, record, 0);
        continue;
      }
      const expected = new Float64Array(plan.service.features.length);
      const own = { identity, facts: new Map([[group, fact]]) };
      finishEntity(plan.service, { index: 0, state }, { payload: {}, asOf: time, own }, expected);
      record.set([0, 0, visibleAt, sequence, identity, time, value, device]);
      const given = new Float64Array(entity.aggregates.length);
      expect(replay.answer(record, 0, given, 0)).toBe(given.length);
      for (const [at, feature] of entity.aggregates.entries())
        yield { name: plan.service.features[feature]?.name ?? "", given: given[at], expected: expected[feature] };
    }
  }
}

function expectSame(plan: BuildPlan, steps: readonly Step[], entities = 1): void {
  for (const { name, given = 0, expected = 0 } of answers(plan, steps, entities)) {
    const aggregation = PROBE_AGGREGATIONS.find((one) => name.startsWith(`${one}_`) && !ROUNDED.has(one));
    if (aggregation !== undefined || !Number.isFinite(expected)) expect(given, name).toBe(expected);
    else
      expect(Math.abs(given - expected), `${name}: ${given} for ${expected}`).toBeLessThanOrEqual(
        1e-9 * Math.abs(expected),
      );
  }
}

describe("the builder's replay of an entity", () => {
  const steps = fc.array(fc.oneof({ weight: 3, arbitrary: aFact }, { weight: 1, arbitrary: anAsk }), { maxLength: 90 });

  it("answers what the state that serves answers: late, out of order, duplicated, tied, missing, inexact", () => {
    fc.assert(
      fc.property(steps, (generated) => expectSame(planned(64, null), generated)),
      { numRuns: 200 },
    );
  });

  it("goes on in that state where an entity has more facts than are kept exactly", () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 12 }), (generated, facts) =>
        expectSame(planned(facts, null), generated),
      ),
      { numRuns: 200 },
    );
  });

  it("starts anew with every entity", () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 4, max: 30 }), (generated, facts) =>
        expectSame(planned(facts, null), generated, 3),
      ),
      { numRuns: 50 },
    );
  });

  it("drops what lies behind the horizon, however long the entity lives", () => {
    const DAY_S = 86_400;
    // Facts of a year under a horizon of three days: columns are moved to the front several times over.
    const year: Step[] = Array.from({ length: 1_500 }, (_, at) => {
      const second = Math.floor((at / 1_500) * 365 * DAY_S);
      const late = at % 7 === 0 ? 2 * DAY_S : 0;
      const kind = at % 5 === 4 ? "ask" : "fact";
      return {
        kind,
        identity: at,
        second: second - late,
        value: at % 97,
        device: at % 3,
        visibleAt: T0 + second * SECOND,
      };
    });
    expectSame(planned(16, 3 * DAY_S * SECOND), year);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ReplayState } from "../../../batch-training/features/replay-state.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { compileCatalog } from "../../../models/features/catalog.ts";
import { type CompiledService, compileService } from "../../../models/features/compile-service.ts";
import { decodeEntity, encodeEntity, type EntityState } from "../../../models/features/entity-state.ts";
import { finishVector } from "../../../models/features/finish-vector.ts";
import { hash48 } from "../../../models/features/hash.ts";
import { anOrder, aPaidOrder, aPlacedOrder, T0 } from "../../support/events.ts";
import { naiveAggregates, type NaiveFact, naiveWindow } from "../../support/naive-features.ts";
import { PROBE, PROBE_AGGREGATIONS, probeService } from "../../support/probe-service.ts";

const SECOND = 1_000;
const WINDOWS = [
  { lengthMs: 10 * SECOND, delayMs: 0 },
  { lengthMs: 60 * SECOND, delayMs: 0 },
  { lengthMs: 20 * SECOND, delayMs: 15 * SECOND },
];

/** Whole seconds in a span of two minutes, so that ties and facts exactly at a window's edge are common. */
const aFact = fc.record({
  order: fc.integer({ min: 0, max: 30 }),
  second: fc.integer({ min: 0, max: 120 }),
  cents: fc.integer({ min: 0, max: 10_000 }),
  device: fc.option(fc.integer({ min: 0, max: 4 })),
  paid: fc.boolean(),
});
type GeneratedFact = typeof aFact extends fc.Arbitrary<infer T> ? T : never;

/** One order has one time, however often and in whatever form it arrives; the rest may differ, and what arrives first counts. */
function withStableTimes(facts: readonly GeneratedFact[]): GeneratedFact[] {
  const seconds = new Map<number, number>();
  return facts.map((fact) => {
    const second = seconds.get(fact.order) ?? fact.second;
    seconds.set(fact.order, second);
    return { ...fact, second };
  });
}

const timeOf = (second: number): string => new Date(T0 + second * SECOND).toISOString();

function eventOf({ order, second, cents, device, paid }: GeneratedFact, index: number): StoredEvent {
  const { deviceId: _deviceId, ...plain } = anOrder();
  const content = {
    ...plain,
    orderId: `o${order}`,
    placedAt: timeOf(second),
    total: { amount: cents, currency: "EUR" },
    ...(device === null ? {} : { deviceId: `d${device}` }),
  };
  const event = (paid ? aPaidOrder : aPlacedOrder)(content, { id: `e${index}` });
  // The builder's default device must not come back where the fact has none.
  const data = paid ? { ...event.data, order: content } : content;
  return { ...event, data, tenant: "default", ingestedAt: T0 + 200 * SECOND } as StoredEvent;
}

const naiveOf = ({ order, second, cents, device }: GeneratedFact): NaiveFact => ({
  id: `o${order}`,
  time: T0 + second * SECOND,
  value: cents,
  text: device === null ? null : `d${device}`,
});

const aRequest = (device: number | null) => ({
  ...anOrder({ orderId: "request" }),
  deviceId: device === null ? undefined : `d${device}`,
});

function compiled(facts: number): { service: CompiledService; replay: ReplayState } {
  const keep = { horizonMs: null, facts, tileMs: 7 * SECOND, tiles: 1_000 };
  const definition = probeService(keep, WINDOWS);
  const catalog = compileCatalog([definition]);
  return { service: compileService(definition, catalog), replay: new ReplayState(catalog) };
}

const order = (id: string): number => hash48(id);
const options = (wanted: number | null) => ({ ...PROBE, order, wanted: wanted === null ? null : `d${wanted}` });

function expectSame(
  vector: Float32Array,
  expected: Record<string, number>,
  service: CompiledService,
  window: number,
): void {
  for (const name of PROBE_AGGREGATIONS) {
    const value = vector[service.indexOf(`${name}_${window}`)] ?? Number.NaN;
    const wanted = expected[name] ?? Number.NaN;
    const label = `${name} of window ${window}`;
    if (Number.isNaN(wanted)) expect(value, label).toBeNaN();
    // A vector is float32: relative precision 6e-8.
    else
      expect(Math.abs(value - wanted), `${label}: ${value} for ${wanted}`).toBeLessThanOrEqual(
        1e-7 * Math.max(1, Math.abs(wanted)),
      );
  }
}

describe("features over a stream of facts", () => {
  it("equal the naive oracle: late, out of order, duplicated, tied at window edges", () => {
    fc.assert(
      fc.property(
        fc.array(aFact, { maxLength: 60 }),
        fc.integer({ min: 0, max: 130 }),
        fc.option(fc.integer({ min: 0, max: 5 })),
        (generated, second, wanted) => {
          const facts = withStableTimes(generated);
          const { service, replay } = compiled(64);
          for (const [index, fact] of facts.entries()) replay.apply(eventOf(fact, index));
          const asOf = T0 + second * SECOND;
          const { vector } = replay.vector(service, aRequest(wanted), asOf);
          for (const [index, window] of WINDOWS.entries()) {
            const inside = naiveWindow(facts.map(naiveOf), window, asOf);
            expectSame(vector, naiveAggregates(inside, asOf, options(wanted)), service, index);
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it("do not depend on the order of arrival, whatever is exact and whatever is in tiles", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(aFact, { maxLength: 40, selector: (fact) => fact.order }),
        fc.integer(),
        fc.integer({ min: 1, max: 12 }),
        (facts, seed, exact) => {
          const shuffled = facts.toSorted((a, b) => hash48(`${seed}${a.order}`) - hash48(`${seed}${b.order}`));
          const vectors = [facts, shuffled].map((arrival) => {
            const { service, replay } = compiled(exact);
            for (const [index, fact] of arrival.entries()) replay.apply(eventOf(fact, index));
            return [...replay.vector(service, aRequest(1), T0 + 125 * SECOND).vector];
          });
          for (const [index, value] of (vectors[0] ?? []).entries())
            expect(vectors[1]?.[index], `feature ${index}`).toSatisfy(
              (other: number) =>
                Object.is(other, value) || Math.abs(other - value) <= 1e-6 * Math.max(1, Math.abs(value)),
            );
        },
      ),
      { numRuns: 100 },
    );
  });

  it("with tiles, equal the oracle on facts that are dated with the newest of their tile", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(aFact, { minLength: 8, maxLength: 60, selector: (fact) => fact.order }),
        fc.integer({ min: 60, max: 130 }),
        fc.integer({ min: 1, max: 8 }),
        (facts, second, exact) => {
          const { service, replay } = compiled(exact);
          for (const [index, fact] of facts.entries()) replay.apply(eventOf(fact, index));
          const asOf = T0 + second * SECOND;
          const naive = facts.map(naiveOf);
          const sorted = naive.toSorted((a, b) => a.time - b.time || order(a.id) - order(b.id));
          const tiled = sorted.slice(0, Math.max(0, sorted.length - exact));
          const newest = new Map<number, number>();
          for (const { time } of tiled) {
            const tile = Math.floor(time / (7 * SECOND));
            newest.set(tile, Math.max(newest.get(tile) ?? 0, time));
          }
          const isTiled = new Set(tiled);
          for (const [index, window] of WINDOWS.entries()) {
            const dated = naive.map((fact) => ({
              ...fact,
              time: isTiled.has(fact) ? (newest.get(Math.floor(fact.time / (7 * SECOND))) ?? 0) : fact.time,
            }));
            const ids = new Set(naiveWindow(dated, window, asOf).map((fact) => fact.id));
            const inside = naive.filter((fact) => ids.has(fact.id));
            const { vector } = replay.vector(service, aRequest(1), asOf);
            expectSame(vector, naiveAggregates(inside, asOf, options(1)), service, index);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it("survive storage: decoding what was encoded gives the same vector", () => {
    fc.assert(
      fc.property(fc.array(aFact, { maxLength: 40 }), fc.integer({ min: 1, max: 40 }), (facts, exact) => {
        const definition = probeService({ horizonMs: null, facts: exact, tileMs: 7 * SECOND, tiles: 5 }, WINDOWS);
        const catalog = compileCatalog([definition]);
        const service = compileService(definition, catalog);
        const replay = new ReplayState(catalog);
        for (const [index, fact] of withStableTimes(facts).entries()) replay.apply(eventOf(fact, index));
        const layouts = catalog.layouts("customer");
        const state = replay.entity({ type: "customer", id: "cus-1" });
        if (!state) return;
        const copy: EntityState = decodeEntity(encodeEntity(state, layouts), layouts);
        const request = { payload: aRequest(1), asOf: T0 + 125 * SECOND };
        expect(finishVector(service, [copy], request)).toEqual(finishVector(service, [state], request));
      }),
      { numRuns: 100 },
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { planBuild } from "../../../batch-training/features/build-plan.ts";
import { EventScanner } from "../../../batch-training/features/event-scanner.ts";
import { addPath, emptyTree, EVENT_MEMBERS, neededPaths } from "../../../batch-training/features/needed-paths.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES } from "../../../models/catalog/feature-catalog.ts";
import { fraudLabel } from "../../../models/catalog/fraud-orders/label.ts";
import type { StoredEvent } from "../../../models/contract/events.ts";
import { generatedLog } from "../../support/generated-log.ts";

const events = emptyTree("");
for (const member of EVENT_MEMBERS) addPath(events, member);

function scanner(paths: readonly string[]): EventScanner {
  const data = emptyTree("data");
  for (const path of paths) addPath(data, path);
  return new EventScanner(new Map([["t", data]]), events);
}

/** The line somewhere inside a block, as the reader hands it over. */
function scan(one: EventScanner, text: string): unknown {
  const line = Buffer.from(text);
  return one.parse(Buffer.concat([Buffer.from('"}\n'), line, Buffer.from('\n{"')]), 3, 3 + line.length);
}

const orError = (read: () => unknown): unknown => {
  try {
    return read();
  } catch (error) {
    return error instanceof SyntaxError ? "no JSON" : error;
  }
};

/** Values at paths, as definitions read them: own members of objects. */
function at(value: unknown, path: string): unknown {
  let found = value;
  for (const step of path.split(".")) {
    if (typeof found !== "object" || found === null || Array.isArray(found) || !Object.hasOwn(found, step))
      return undefined;
    found = (found as Record<string, unknown>)[step];
  }
  return found;
}

const PATHS = ["a", "b.c", "b.d.e", "list"];
const READ = ["type", "id", "ingestedAt", ...PATHS.map((path) => `data.${path}`)];
const aKey = fc.constantFrom("a", "b", "c", "d", "e", "list", "x", "data");
const aLeaf = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    aLeaf,
    fc.dictionary(aKey, tie("tree"), { maxKeys: 6 }),
    fc.array(tie("tree"), { maxLength: 3 }),
  ),
}));
const anEvent = fc.record({ id: aLeaf, type: fc.constantFrom("t", "u"), ingestedAt: aLeaf, data: tree, more: tree });

describe("scanning a log line for what is needed", () => {
  it("reads what JSON.parse reads, at every path that is needed", () => {
    const one = scanner(PATHS);
    fc.assert(
      fc.property(anEvent, fc.constantFrom(undefined, 1), (event, indent) => {
        const text = JSON.stringify(event, null, indent).replaceAll("\n", "\r");
        const wanted = JSON.parse(text) as unknown;
        const given = scan(one, text);
        for (const path of READ)
          if (event.type === "t" || !path.startsWith("data.")) expect(at(given, path), path).toEqual(at(wanted, path));
      }),
      { numRuns: 500 },
    );
  });

  it("refuses what JSON.parse refuses, and nothing else", () => {
    const one = scanner(PATHS);
    const text =
      '{"id":"1","type":"t","ingestedAt":1.5e+3,"data":{"a":-0.25,"b":{"c":true,"d":{"e":null}},"x":[1,{"y":"z"}]}}';
    const aByte = fc.constantFrom(...Array.from('{}[]:,"\\ 0123456789.-+eEtfn\t\u0001ü'));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: text.length }), fc.nat(2), aByte, (place, removed, byte) => {
        const changed = text.slice(0, place) + byte + text.slice(place + removed);
        const wanted = orError(() => JSON.parse(changed));
        const given = orError(() => scan(one, changed));
        if (wanted === "no JSON" || given === "no JSON") expect(given, changed).toBe(wanted);
        else
          for (const path of at(wanted, "type") === "t" ? READ : READ.slice(0, 3))
            expect(at(given, path), changed).toEqual(at(wanted, path));
      }),
      { numRuns: 3_000 },
    );
  });

  it("keeps everything that the fraud service's definitions read", () => {
    const plan = planBuild(FRAUD_FEATURES, FEATURE_CATALOG);
    const one = new EventScanner(neededPaths(plan, fraudLabel), events);
    for (const event of generatedLog(200, 3)) {
      const scanned = scan(one, JSON.stringify(event)) as StoredEvent;
      expect(FEATURE_CATALOG.factsOf(scanned)).toEqual(FEATURE_CATALOG.factsOf(event));
      expect(JSON.stringify(scanned).length).toBeLessThan(JSON.stringify(event).length);
    }
  });
});

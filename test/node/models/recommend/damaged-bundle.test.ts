import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ServedFileError } from "../../../../models/recommend/array-file.ts";
import { decodeBundle, encodeBundle, openIds, type RecommenderBundle } from "../../../../models/recommend/bundle.ts";
import { Catalogue } from "../../../../models/recommend/catalogue.ts";
import { ANYONE } from "../../../../models/recommend/recommend-request.ts";
import { Recommender } from "../../../../models/recommend/recommender.ts";
import { BUNDLE_TIME, generatedBundle } from "../../../support/recommender-bundle.ts";

const NOW = (BUNDLE_TIME + 3_600) * 1_000;
const bundles = [
  ...(["neighbours", "embeddings", "blend"] as const).map((retrieval) =>
    generatedBundle({ items: 40, seed: 1, retrieval }),
  ),
  generatedBundle({ items: 40, seed: 1, dimensions: 16, precision: "bytes" }),
];
const FILES = ["items.bin", "retrieval.bin"] as const;

/** Null where the files are refused. @throws whatever is no refusal */
function decodedOrRefused(files: ReadonlyMap<string, Uint8Array>): RecommenderBundle | null {
  try {
    const bundle = decodeBundle(files);
    openIds(bundle);
    return bundle;
  } catch (error) {
    if (error instanceof ServedFileError) return null;
    throw error;
  }
}

/** Every page, asked with history, basket and session: whatever was decoded must answer within its own catalogue. */
function answersWithin(bundle: RecommenderBundle): void {
  const catalogue = new Catalogue(bundle.table, openIds(bundle));
  const recommender = new Recommender(bundle, catalogue, null);
  const facts = [3, 7, 3].map((item) => {
    return { productId: catalogue.idOf(item), action: "purchase" as const, at: NOW - 60_000, quantity: 1 };
  });
  for (const placement of ["home", "product", "basket", "content", "trending"] as const) {
    const productId = placement === "home" ? null : catalogue.idOf(5);
    const basket = [catalogue.idOf(1), catalogue.idOf(2)];
    const { items } = recommender.recommend({ ...ANYONE, placement, productId, basket, facts, limit: 20, now: NOW });
    for (const { productId: shown, score } of items) {
      expect(catalogue.indexOf(shown)).toBeGreaterThanOrEqual(0);
      expect(Number.isFinite(score)).toBe(true);
    }
    expect(new Set(items.map((item) => item.productId)).size).toBe(items.length);
  }
}

describe("damaged files of a recommender, without the hashes that a manifest has of them", () => {
  it("are refused when cut short at any length", () => {
    for (const bundle of bundles) {
      const files = encodeBundle(bundle);
      for (const name of FILES) {
        const whole = files.get(name) ?? new Uint8Array(0);
        // The last array may be followed by padding up to a multiple of 8.
        for (let length = 0; length <= whole.length - 8; length += length < 64 || length > whole.length - 64 ? 1 : 13) {
          expect([name, length, decodedOrRefused(new Map(files).set(name, whole.slice(0, length)))]).toEqual([
            name,
            length,
            null,
          ]);
        }
      }
    }
  });

  it("are refused with any bits turned, or answer within the catalogue that they hold", () => {
    let refused = 0;
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(fc.nat(3), fc.constantFrom(...FILES), fc.boolean(), flips, (which, name, inHeader, places) => {
        const bundle = bundles[which] ?? bundles[0];
        if (!bundle) return;
        const files = encodeBundle(bundle);
        const bytes = (files.get(name) ?? new Uint8Array(0)).slice();
        for (const [at, bit] of places) {
          const place = at % (inHeader ? Math.min(600, bytes.length) : bytes.length);
          bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
        }
        const decoded = decodedOrRefused(new Map(files).set(name, bytes));
        if (decoded === null) refused++;
        else answersWithin(decoded);
      }),
      { numRuns: 1_500 },
    );
    expect(refused).toBeGreaterThan(300);
  });

  it("are refused with bytes put in or left out anywhere", () => {
    fc.assert(
      fc.property(fc.constantFrom(...FILES), fc.nat(), fc.constantFrom(-9, -8, -1, 1, 8, 9), (name, at, by) => {
        const files = encodeBundle(bundles[3] ?? generatedBundle({ items: 40, seed: 1 }));
        const whole = files.get(name) ?? new Uint8Array(0);
        const place = at % (whole.length - 16);
        const added = new Uint8Array(Math.max(0, by));
        const moved = Buffer.concat([whole.subarray(0, place), added, whole.subarray(by < 0 ? place - by : place)]);
        const decoded = decodedOrRefused(new Map(files).set(name, new Uint8Array(moved)));
        if (decoded !== null) answersWithin(decoded);
      }),
      { numRuns: 300 },
    );
  });
});

import { describe, expect, it } from "vitest";
import { ServedFileError } from "../../../../models/recommend/array-file.ts";
import {
  bundleBytes,
  decodeBundle,
  encodeBundle,
  neighbourLists,
  openIds,
  WHOLE_WEIGHT,
} from "../../../../models/recommend/bundle.ts";
import { bundleObjection, recommenderManifest } from "../../../../models/recommend/golden.ts";
import { itemId, itemTable } from "../../../../models/recommend/item-table.ts";
import { RANKING_FEATURES } from "../../../../models/recommend/ranking-features.ts";
import { generatedBundle } from "../../../support/recommender-bundle.ts";

const bundle = generatedBundle({ items: 60, seed: 1, precision: "bytes" });

describe("the files of a published recommender", () => {
  it("give the bundle back, the same bytes every time", () => {
    const files = encodeBundle(bundle);
    expect(decodeBundle(files)).toEqual(bundle);
    expect(encodeBundle(decodeBundle(files))).toEqual(files);
    expect(bundleBytes(bundle)).toBeGreaterThan(60 * 8 * 4);
  });

  it("hold weights of neighbours in 16 bits as shares of a list's largest, and read those of floats", () => {
    const lists = neighbourLists([
      [
        [1, 0.5],
        [2, 0.25],
        [3, 1e-9],
      ],
      [],
      [[0, 3]],
      [],
    ]);
    expect([...lists.weight]).toEqual([WHOLE_WEIGHT, Math.round(WHOLE_WEIGHT / 2), 1, WHOLE_WEIGHT]);
    const { start, item } = bundle.together;
    const floats = { ...bundle, together: { start, item, weight: new Float32Array(item.length).fill(0.5) } };
    expect(decodeBundle(encodeBundle(floats))).toEqual(floats);
  });

  it("hold an empty catalogue and a ranker", () => {
    const empty = { ...generatedBundle({ items: 0, seed: 2 }), ranker: Uint8Array.of(1, 2, 3) };
    expect(decodeBundle(encodeBundle(empty))).toEqual(empty);
  });

  it.each(["items.bin", "retrieval.bin"])("are refused with %s cut short anywhere or missing", (name) => {
    const files = encodeBundle(bundle);
    const whole = files.get(name) ?? new Uint8Array(0);
    // The last array may be followed by padding up to a multiple of 8.
    for (let length = 0; length < whole.length - 8; length += 7) {
      expect(() => decodeBundle(new Map(files).set(name, whole.slice(0, length)))).toThrow(ServedFileError);
    }
    files.delete(name);
    expect(() => decodeBundle(files)).toThrow(`${name} is missing`);
  });

  it("are refused where they belong to different versions of the catalogue", () => {
    const other = encodeBundle(generatedBundle({ items: 61, seed: 1 }));
    const mixed = encodeBundle(bundle).set("retrieval.bin", other.get("retrieval.bin") ?? new Uint8Array(0));
    expect(() => decodeBundle(mixed)).toThrow("another version of the catalogue");
  });

  it("are refused with a ranker that is missing, too many, or of other ranking features", () => {
    const ranked = encodeBundle({ ...bundle, ranker: Uint8Array.of(1) });
    const plain = encodeBundle(bundle);
    expect(() => decodeBundle(new Map(plain).set("ranker.onnx", Uint8Array.of(1)))).toThrow("not part of this version");
    const items = ranked.get("items.bin") ?? new Uint8Array(0);
    const changed = Buffer.from(items);
    changed.write("00000000", changed.indexOf('"ranking":"') + '"ranking":"'.length, "latin1");
    expect(() => decodeBundle(new Map(ranked).set("items.bin", new Uint8Array(changed)))).toThrow("ranking features");
    ranked.delete("ranker.onnx");
    expect(() => decodeBundle(ranked)).toThrow("ranker.onnx is missing");
  });

  it("are refused with an index, a brand or a list that leads astray, and with two equal ids", () => {
    const wrong = (change: object): (() => unknown) => {
      return () => encodeBundle({ ...bundle, ...change });
    };
    expect(wrong({ popular: Int32Array.of(60) })).toThrow("index is out of range");
    expect(wrong({ trending: new Int32Array(2_001) })).toThrow("2001 trending items");
    expect(wrong({ table: { ...bundle.table, brand: new Int32Array(60).fill(99) } })).toThrow(
      "a brand is out of range",
    );
    expect(wrong({ together: { ...bundle.together, item: bundle.together.item.slice(1) } })).toThrow(
      "index is out of range",
    );
    const row = { categories: [], brand: null, price: null, publishedAt: null, active: true, stock: null };
    const counts = { values: [] };
    const twice = itemTable([
      { id: "a", ...row, ...counts },
      { id: "a", ...row, ...counts },
    ]);
    expect(() => openIds({ table: twice })).toThrow('"a" occurs twice');
  });

  it("find every product by its id and no other", () => {
    const ids = openIds(bundle);
    for (let item = 0; item < 60; item++) expect(ids.indexOf(itemId(bundle.table, item))).toBe(item);
    for (const unknown of ["", "p-60", "p", "p-1x", "é"]) expect(ids.indexOf(unknown)).toBe(-1);
  });

  it("are proven by golden histories, and refused when a weight differs", () => {
    const manifest = recommenderManifest(bundle, [[1, 2, 3], [], [59]], null);
    expect(bundleObjection(bundle, manifest)).toBeNull();
    const other = generatedBundle({ items: 60, seed: 1, neighbours: 4 });
    expect(bundleObjection({ ...other, table: bundle.table }, manifest)).toMatch(/golden history 0/);
    expect(bundleObjection(generatedBundle({ items: 59, seed: 1 }), manifest)).toMatch(/another catalogue/);
    expect(new Set(RANKING_FEATURES.map((feature) => feature.name)).size).toBe(RANKING_FEATURES.length);
  });
});

/** The real exports of `test/golden/onnx`, with inputs and the answers of the libraries that made them. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { readNpy, readNpyArray, type NpyArray } from "../../../batch-training/sources/read-npy.ts";

const ROOT = resolve(import.meta.dirname, "../../golden/onnx");

export interface GoldenFixture {
  /** `<family>/<name>` */
  readonly id: string;
  readonly family: string;
  readonly bytes: Uint8Array;
  readonly input: { readonly values: Float32Array; readonly rows: number; readonly width: number };
  /** The library's own scores, `rows × outputs`. */
  readonly output: NpyArray;
  /** The library's own leaf of each tree, `rows × trees`, in its own numbering. */
  readonly leaves: NpyArray | null;
  /** One cover per node, in the order of the file's `nodes_*` attributes. */
  readonly covers: NpyArray | null;
  /** Of the `shap` package on the file's trees: `rows × outputs × (features + 1)`, the base last. */
  readonly shap: NpyArray | null;
  /** LightGBM's `pred_contrib`, same shape. */
  readonly contrib: NpyArray | null;
}

export const goldenFixtures: readonly GoldenFixture[] = readdirSync(ROOT, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && entry.name !== "make")
  .flatMap((entry) => familyOf(entry.name));

function familyOf(family: string): GoldenFixture[] {
  const folder = join(ROOT, family);
  return readdirSync(folder)
    .filter((file) => file.endsWith(".onnx"))
    .sort()
    .map((file) => {
      const name = file.slice(0, -".onnx".length);
      const read = (kind: string): NpyArray | null => {
        const path = join(folder, `${name}.${kind}.npy`);
        return existsSync(path) ? readNpyArray(readFileSync(path)) : null;
      };
      const output = read("output");
      if (!output) throw new Error(`${family}/${name} has no output file`);
      return {
        id: `${family}/${name}`,
        family,
        bytes: readFileSync(join(folder, file)),
        input: readNpy(readFileSync(join(folder, `${name}.input.npy`))),
        output,
        leaves: read("leaves"),
        covers: read("covers"),
        shap: read("shap"),
        contrib: read("contrib"),
      };
    });
}

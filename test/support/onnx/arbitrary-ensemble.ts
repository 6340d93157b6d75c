/**
 * Random tree ensembles as fast-check arbitraries, and their spelling in the three operators of ai.onnx.ml. Leaf weights
 * are multiples of 1/8, so that sums are exact in float32 and a different order of addition cannot hide a wrong leaf.
 */
import * as fc from "fast-check";

export type Mode = "LEQ" | "LT" | "GTE" | "GT" | "EQ" | "NEQ";
export const MODES: readonly Mode[] = ["LEQ", "LT", "GTE", "GT", "EQ", "NEQ"];

export type TreeShape =
  | { readonly kind: "leaf"; readonly weights: readonly { readonly target: number; readonly eighths: number }[] }
  | {
      readonly kind: "split";
      readonly mode: Mode;
      readonly feature: number;
      readonly threshold: number;
      readonly missingTrue: boolean;
      /** In version 5: the value is one of these, whatever `mode` and `threshold` say. */
      readonly members?: readonly number[];
      readonly whenTrue: TreeShape;
      readonly whenFalse: TreeShape;
    };

export interface EnsembleShape {
  readonly width: number;
  readonly targets: number;
  readonly trees: readonly TreeShape[];
}

/** Zero of both signs, a denormal, the smallest normal, one and its neighbours, the ends of the range. */
export const EDGES: readonly number[] = [
  0,
  -0,
  Math.fround(1e-40),
  Math.fround(-1e-40),
  1.1754943508222875e-38,
  1,
  1.0000001192092896,
  0.9999999403953552,
  -1,
  Math.fround(1e30),
  Math.fround(-1e30),
  3.4028234663852886e38,
  -3.4028234663852886e38,
];

const finite = fc.oneof(
  fc.constantFrom(...EDGES),
  fc.integer({ min: -6, max: 6 }).map((value) => value / 2),
  fc.float({ noNaN: true, noDefaultInfinity: true }),
);

export interface EnsembleOptions {
  readonly modes: readonly Mode[];
  readonly maxTargets: number;
  /** Whether a leaf may carry weights for several targets. */
  readonly severalWeights: boolean;
  readonly maxDepth?: number;
}

export function arbitraryEnsemble(options: EnsembleOptions): fc.Arbitrary<EnsembleShape> {
  const size = fc.record({
    width: fc.integer({ min: 1, max: 6 }),
    targets: fc.integer({ min: 1, max: options.maxTargets }),
  });
  return size.chain(({ width, targets }) => {
    const trees = fc.array(arbitraryTree(width, targets, options), { minLength: 1, maxLength: 6 });
    // Half of the ensembles use one mode throughout: runtimes take a shorter way there.
    const uniform = fc.option(fc.constantFrom(...options.modes));
    return fc.record({ uniform, trees }).map(({ uniform, trees }) => ({
      width,
      targets,
      trees: uniform === null ? trees : trees.map((shape) => withMode(shape, uniform)),
    }));
  });
}

function arbitraryTree(width: number, targets: number, options: EnsembleOptions): fc.Arbitrary<TreeShape> {
  const weight = fc.record({
    target: fc.integer({ min: 0, max: targets - 1 }),
    eighths: fc.integer({ min: -512, max: 512 }),
  });
  const weights = options.severalWeights
    ? fc.uniqueArray(weight, { minLength: 1, maxLength: targets, selector: ({ target }) => target })
    : fc.tuple(weight).map(([only]) => [only]);
  const leaf = weights.map((list): TreeShape => ({ kind: "leaf", weights: list }));
  const { tree } = fc.letrec<{ tree: TreeShape }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: options.maxDepth ?? 5, depthSize: "medium" },
      leaf,
      fc.record({
        kind: fc.constant("split" as const),
        mode: fc.constantFrom(...options.modes),
        feature: fc.integer({ min: 0, max: width - 1 }),
        threshold: finite,
        missingTrue: fc.boolean(),
        whenTrue: tie("tree"),
        whenFalse: tie("tree"),
      }),
    ),
  }));
  return tree;
}

function withMode(shape: TreeShape, mode: Mode): TreeShape {
  if (shape.kind === "leaf") return shape;
  return { ...shape, mode, whenTrue: withMode(shape.whenTrue, mode), whenFalse: withMode(shape.whenFalse, mode) };
}

/** Rows that meet the ensemble where it hurts: its thresholds and their float32 neighbours, missing and infinite values. */
export function arbitraryRows(shape: EnsembleShape, maxRows = 12): fc.Arbitrary<Float32Array> {
  const thresholds = shape.trees.flatMap(thresholdsOf).map(Math.fround);
  const near = thresholds.flatMap((value) => [value, neighbour(value, 1), neighbour(value, -1)]);
  const cell = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...near, 0) },
    { weight: 1, arbitrary: fc.constantFrom(Number.NaN, Infinity, -Infinity, ...EDGES) },
    { weight: 1, arbitrary: finite },
  );
  const row = fc.array(cell, { minLength: shape.width, maxLength: shape.width });
  return fc.array(row, { minLength: 1, maxLength: maxRows }).map((rows) => Float32Array.from(rows.flat()));
}

export function thresholdsOf(shape: TreeShape): number[] {
  if (shape.kind === "leaf") return [];
  return [...(shape.members ?? [shape.threshold]), ...thresholdsOf(shape.whenTrue), ...thresholdsOf(shape.whenFalse)];
}

/** The next float32 up or down. */
export function neighbour(value: number, direction: 1 | -1): number {
  const bits = new Int32Array(1);
  const float = new Float32Array(bits.buffer);
  if (value === 0) {
    bits[0] = 1;
    return direction * (float[0] ?? 0);
  }
  float[0] = value;
  bits[0] = (bits[0] ?? 0) + (value > 0 ? direction : -direction);
  return float[0] ?? 0;
}

/** Some of the splits turned into questions of membership in a small set. */
export function withMembers(shapes: fc.Arbitrary<EnsembleShape>): fc.Arbitrary<EnsembleShape> {
  const set = fc.option(fc.uniqueArray(fc.integer({ min: -2, max: 9 }), { minLength: 1, maxLength: 5 }));
  return shapes.chain((shape) =>
    fc.array(set, { minLength: 8, maxLength: 8 }).map((sets) => {
      let split = 0;
      const visit = (tree: TreeShape): TreeShape => {
        if (tree.kind === "leaf") return tree;
        const members = sets[split++ % sets.length] ?? null;
        const children = { whenTrue: visit(tree.whenTrue), whenFalse: visit(tree.whenFalse) };
        return members === null ? { ...tree, ...children } : { ...tree, ...children, members };
      };
      return { ...shape, trees: shape.trees.map(visit) };
    }),
  );
}

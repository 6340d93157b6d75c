import type { GbdtParameters } from "./parameters.ts";

/**
 * The best two-way partition of categories: with up to four, each against the rest; with more, categories are ordered by
 * gradient over smoothed hessian, in which order some prefix is the best partition (Fisher 1958; for boosting Ke et al.
 * 2017), and prefixes of both ends are tried. The listed side is regularised by `categoryL2`, for many categories offer
 * many chances to fit noise.
 */
const ONE_AGAINST_REST = 4;

/**
 * @param triples gradient sum, hessian sum and rows of bins 0.. (0: missing and unlisted categories)
 * @param left receives 256 bits, one per bin that goes left; all others go right
 * @returns the sum of both sides' scores, or -infinity where no split is allowed
 */
export function findCategorySplit(
  triples: Float64Array,
  parameters: GbdtParameters,
  bounds: { readonly low: number; readonly high: number },
  left: Uint8Array,
): number {
  const total = { g: 0, h: 0, rows: 0 };
  const usable: number[] = [];
  for (let bin = 0; bin * 3 < triples.length; bin++) {
    const rows = triples[bin * 3 + 2] ?? 0;
    total.g += triples[bin * 3] ?? 0;
    total.h += triples[bin * 3 + 1] ?? 0;
    total.rows += rows;
    if (rows >= parameters.minRowsPerCategory) usable.push(bin);
  }
  left.fill(0);
  const few = usable.length <= ONE_AGAINST_REST;
  const score = sideScore(parameters, bounds, few ? parameters.l2 : parameters.l2 + parameters.categoryL2);
  const best = { score: Number.NEGATIVE_INFINITY, bins: [] as number[] };
  const search = few ? oneAgainstRest : prefixes;
  search(triples, usable, parameters, (bins, g, h, rows) => {
    const otherRows = total.rows - rows;
    const otherH = total.h - h;
    if (rows < parameters.minRowsPerLeaf || otherRows < parameters.minRowsPerLeaf) return;
    if (h < parameters.minHessianPerLeaf || otherH < parameters.minHessianPerLeaf) return;
    const both = score(g, h) + score(total.g - g, otherH);
    if (both <= best.score) return;
    best.score = both;
    best.bins = bins.slice();
  });
  for (const bin of best.bins) left[bin >> 3] = (left[bin >> 3] ?? 0) | (1 << (bin & 7));
  return best.score;
}

type Offer = (bins: readonly number[], g: number, h: number, rows: number) => void;

function oneAgainstRest(triples: Float64Array, usable: readonly number[], _: GbdtParameters, offer: Offer): void {
  for (const bin of usable) {
    offer([bin], triples[bin * 3] ?? 0, triples[bin * 3 + 1] ?? 0, triples[bin * 3 + 2] ?? 0);
  }
}

function prefixes(triples: Float64Array, usable: readonly number[], parameters: GbdtParameters, offer: Offer): void {
  const ratio = (bin: number): number =>
    (triples[bin * 3] ?? 0) / ((triples[bin * 3 + 1] ?? 0) + parameters.categorySmoothing);
  const ordered = [...usable].sort((a, b) => ratio(a) - ratio(b) || a - b);
  const most = Math.min(parameters.maxCategoriesPerSplit, Math.ceil(ordered.length / 2));
  for (const from of [ordered, ordered.toReversed()]) {
    const bins: number[] = [];
    let g = 0;
    let h = 0;
    let rows = 0;
    for (const bin of from.slice(0, most)) {
      bins.push(bin);
      g += triples[bin * 3] ?? 0;
      h += triples[bin * 3 + 1] ?? 0;
      rows += triples[bin * 3 + 2] ?? 0;
      offer(bins, g, h, rows);
    }
  }
}

function sideScore(
  parameters: GbdtParameters,
  bounds: { readonly low: number; readonly high: number },
  l2: number,
): (g: number, h: number) => number {
  return (g, h) => {
    const shrunk = Math.sign(g) * Math.max(0, Math.abs(g) - parameters.l1);
    const denominator = h + l2;
    if (denominator <= 0) return 0;
    const value = Math.min(bounds.high, Math.max(bounds.low, -shrunk / denominator));
    return -(2 * shrunk * value + denominator * value * value);
  };
}

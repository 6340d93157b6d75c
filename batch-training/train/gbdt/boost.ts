import { COMMAND, type Executor, OBJECTIVE_CODES } from "./executor.ts";
import { type FixedPoint, TreeGrower } from "./grow-tree.ts";
import { CHUNK_ROWS } from "./layout.ts";
import { mix } from "./mix.ts";
import type { GbdtParameters } from "./parameters.ts";
import type { Team } from "./team.ts";
import type { Tree } from "./tree.ts";

/** The boosting rounds, run by the coordinating thread on data already binned. No clock and no randomness but `seed`. */

export interface BoostProgress {
  readonly round: number;
  readonly rounds: number;
  /** Mean weighted loss on the validation rows; null without them. */
  readonly validationLoss: number | null;
}

export interface BoostResult {
  readonly base: number;
  readonly trees: readonly Tree[];
  readonly validationLosses: readonly number[];
  readonly cancelled: boolean;
}

/** Fixed-point bits of a gradient: 2^30 times at most 2^24 rows stays far inside an i64. */
const GRADIENT_BITS = 30;

export class Booster {
  private readonly executor: Executor;
  private readonly team: Team;
  private readonly parameters: GbdtParameters;
  private readonly seed: number;
  private readonly grower: TreeGrower;

  constructor(executor: Executor, team: Team, parameters: GbdtParameters, seed: number) {
    this.executor = executor;
    this.team = team;
    this.parameters = parameters;
    this.seed = seed;
    this.grower = new TreeGrower(executor, team, parameters);
  }

  run(onProgress: (progress: BoostProgress) => void): BoostResult {
    const { parameters, executor } = this;
    const { layout, doubles } = executor;
    this.packBlocks();
    const base = this.baseScore();
    doubles.fill(base, layout.scores / 8, layout.scores / 8 + layout.rowsTotal);
    const largestWeight = this.largestWeight();
    const trees: Tree[] = [];
    const losses: number[] = [];
    let best = { loss: Number.POSITIVE_INFINITY, trees: 0 };
    const stopping = parameters.earlyStoppingRounds > 0 && layout.validationRows > 0;
    for (let round = 0; round < parameters.trees; round++) {
      if (this.team.cancelled) return { base, trees, validationLosses: losses, cancelled: true };
      const tree = this.growRound(round, largestWeight);
      trees.push(tree);
      const loss = this.validationLoss();
      if (loss !== null) losses.push(loss);
      onProgress({ round: round + 1, rounds: parameters.trees, validationLoss: loss });
      if (loss !== null && loss < best.loss) best = { loss, trees: round + 1 };
      if (stopping && round + 1 - best.trees >= parameters.earlyStoppingRounds) break;
      // A tree without a split has said what it can; with sampling the next one may still find something.
      if (tree.feature.length === 0 && parameters.rowFraction === 1 && parameters.featureFraction === 1) break;
    }
    return { base, trees: stopping ? trees.slice(0, best.trees) : trees, validationLosses: losses, cancelled: false };
  }

  private packBlocks(): void {
    const { layout } = this.executor;
    const parts = Math.max(1, Math.min(Math.ceil(layout.trainRows / 65_536), Math.floor(4000 / layout.blocks)));
    this.executor.setArguments(parts);
    this.team.run(COMMAND.pack, layout.blocks * parts);
  }

  private weight(row: number): number {
    const { layout, floats } = this.executor;
    return layout.weights === 0 ? 1 : (floats[layout.weights / 4 + row] ?? 0);
  }

  /** The constant that minimises the loss, float32-exact: log-odds of the weighted rate, or the weighted mean. */
  private baseScore(): number {
    const { layout, floats } = this.executor;
    let sum = 0;
    let weights = 0;
    for (let row = 0; row < layout.trainRows; row++) {
      const weight = this.weight(row);
      sum += weight * (floats[layout.labels / 4 + row] ?? 0);
      weights += weight;
    }
    const mean = sum / weights;
    return Math.fround(this.parameters.objective === "logistic" ? Math.log(mean / (1 - mean)) : mean);
  }

  private largestWeight(): number {
    let largest = 0;
    for (let row = 0; row < this.executor.layout.trainRows; row++) largest = Math.max(largest, this.weight(row));
    return largest;
  }

  /** Powers of two, so that scaling is exact: the largest gradient and hessian just fit their bits. */
  private fixedPoint(largestGradient: number, largestHessian: number): FixedPoint {
    const rowBits = Math.ceil(Math.log2(this.executor.layout.trainRows + 1));
    const hessianBits = Math.min(29, 63 - 2 * rowBits);
    return {
      gradientUnit: powerAbove(largestGradient) / 2 ** GRADIENT_BITS,
      hessianUnit: powerAbove(largestHessian) / 2 ** hessianBits,
      countBit: hessianBits + rowBits,
    };
  }

  private growRound(round: number, largestWeight: number): Tree {
    const { executor, team, parameters } = this;
    const { layout, doubles, kernel } = executor;
    const chunks = Math.ceil(layout.trainRows / CHUNK_ROWS);
    const logistic = parameters.objective === "logistic";
    const fixed = logistic
      ? this.fixedPoint(largestWeight, largestWeight / 4)
      : this.fixedPoint(this.largestResidual(chunks), largestWeight);
    doubles[layout.search / 8 + 8] = 1 / fixed.gradientUnit;
    doubles[layout.search / 8 + 9] = 1 / fixed.hessianUnit;
    executor.setArguments(OBJECTIVE_CODES[parameters.objective]);
    team.run(COMMAND.gradients, chunks);
    this.drawFeatures(round);
    const all = parameters.rowFraction === 1;
    let drawn = layout.trainRows;
    if (all) kernel.identityRows(layout.rows, 0, layout.trainRows);
    else {
      const threshold = Math.min(0xffffffff, Math.round(parameters.rowFraction * 2 ** 32));
      drawn = kernel.sampleRows(layout.rows, layout.trainRows, mix(mix(this.seed) ^ (round + 1)), threshold) >>> 0;
    }
    const tree = this.grower.grow(drawn, all, fixed, 0, mix(mix(this.seed) ^ ~round));
    this.grower.addToDrawnRows(tree, 0);
    this.addToOtherRows(tree, drawn);
    return tree;
  }

  private largestResidual(chunks: number): number {
    const { layout, doubles } = this.executor;
    this.team.run(COMMAND.largestResidual, chunks);
    let largest = 0;
    for (let i = 0; i < chunks; i++) largest = Math.max(largest, doubles[layout.partialSums / 8 + i * 2] ?? 0);
    return largest;
  }

  /** The features with the least hash of (seed, round, feature). */
  private drawFeatures(round: number): void {
    const { layout, words } = this.executor;
    const { featureFraction } = this.parameters;
    const mask = words.subarray(layout.featureMask / 4, layout.featureMask / 4 + layout.features);
    if (featureFraction === 1) {
      mask.fill(1);
      return;
    }
    const count = Math.max(1, Math.round(layout.features * featureFraction));
    const hashes = Array.from(mask, (_, feature) => ({
      feature,
      hash: mix(mix(this.seed ^ (round + 1)) ^ feature) >>> 0,
    }));
    hashes.sort((a, b) => a.hash - b.hash || a.feature - b.feature);
    mask.fill(0);
    for (const { feature } of hashes.slice(0, count)) mask[feature] = 1;
  }

  /** Rows that were not drawn, and the validation rows. */
  private addToOtherRows(tree: Tree, drawn: number): void {
    const { executor, team } = this;
    const { layout, doubles } = executor;
    if (tree.feature.length === 0) {
      const value = tree.leafValue[0] ?? 0;
      const scores = layout.scores / 8;
      for (let i = drawn; i < layout.trainRows; i++) {
        const row = executor.words[layout.rows / 4 + i] ?? 0;
        doubles[scores + row] = (doubles[scores + row] ?? 0) + value;
      }
      for (let row = layout.trainRows; row < layout.rowsTotal; row++) {
        doubles[scores + row] = (doubles[scores + row] ?? 0) + value;
      }
      return;
    }
    if (drawn < layout.trainRows) {
      executor.setArguments(layout.rows, drawn, layout.trainRows, 0);
      team.run(COMMAND.addTree, Math.ceil((layout.trainRows - drawn) / CHUNK_ROWS));
    }
    if (layout.validationRows > 0) {
      executor.setArguments(0, layout.trainRows, layout.rowsTotal, 0);
      team.run(COMMAND.addTree, Math.ceil(layout.validationRows / CHUNK_ROWS));
    }
  }

  private validationLoss(): number | null {
    const { layout, doubles } = this.executor;
    if (layout.validationRows === 0) return null;
    const chunks = Math.ceil(layout.validationRows / CHUNK_ROWS);
    this.executor.setArguments(OBJECTIVE_CODES[this.parameters.objective]);
    this.team.run(COMMAND.loss, chunks);
    let sum = 0;
    let weights = 0;
    for (let i = 0; i < chunks; i++) {
      sum += doubles[layout.partialSums / 8 + i * 2] ?? 0;
      weights += doubles[layout.partialSums / 8 + i * 2 + 1] ?? 0;
    }
    return sum / weights;
  }
}

/** The least power of two >= x; 1 where x is 0. */
function powerAbove(x: number): number {
  return x > 0 ? 2 ** Math.ceil(Math.log2(x)) : 1;
}

import { COMMAND, type Executor } from "./executor.ts";
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
  /** One per output. */
  readonly bases: readonly number[];
  /** Round after round, one per output. */
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
    const bases = this.baseScores();
    for (const [output, base] of bases.entries()) {
      const scores = layout.scores / 8 + output * layout.rowsTotal;
      doubles.fill(base, scores, scores + layout.rowsTotal);
    }
    const largestWeight = this.largestWeight();
    const trees: Tree[] = [];
    const losses: number[] = [];
    let best = { loss: Number.POSITIVE_INFINITY, rounds: 0 };
    const isForest = parameters.ensemble === "forest";
    const stopping = parameters.earlyStoppingRounds > 0 && layout.validationRows > 0;
    const sampling = parameters.rowFraction < 1 || parameters.featureFraction < 1 || parameters.nodeFeatureFraction < 1;
    for (let round = 0; round < parameters.trees; round++) {
      if (this.team.cancelled) return { bases, trees, validationLosses: losses, cancelled: true };
      const grown = this.growRound(round, largestWeight);
      trees.push(...grown);
      const loss = isForest ? null : this.validationLoss();
      if (loss !== null) losses.push(loss);
      onProgress({ round: round + 1, rounds: parameters.trees, validationLoss: loss });
      if (loss !== null && loss < best.loss) best = { loss, rounds: round + 1 };
      if (stopping && round + 1 - best.rounds >= parameters.earlyStoppingRounds) break;
      // Trees without a split have said what they can; with sampling the next ones may still find something.
      if (!sampling && grown.every((tree) => tree.feature.length === 0)) break;
    }
    const kept = stopping ? trees.slice(0, best.rounds * layout.outputs) : trees;
    return {
      bases,
      trees: isForest ? averaged(kept, kept.length / layout.outputs) : kept,
      validationLosses: losses,
      cancelled: false,
    };
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

  /** The constants that minimise the loss, float32-exact: log-odds, weighted mean, log class shares; 0 for a ranking. */
  private baseScores(): number[] {
    const { layout, floats } = this.executor;
    const { objective } = this.parameters;
    if (objective === "lambdarank") return [0];
    const sums = new Float64Array(layout.outputs);
    let total = 0;
    for (let row = 0; row < layout.trainRows; row++) {
      const weight = this.weight(row);
      const label = floats[layout.labels / 4 + row] ?? 0;
      if (objective === "softmax") sums[label] = (sums[label] ?? 0) + weight;
      else sums[0] = (sums[0] ?? 0) + weight * label;
      total += weight;
    }
    return Array.from(sums, (sum) => {
      const mean = sum / total;
      if (objective === "squared") return Math.fround(mean);
      return Math.fround(objective === "softmax" ? Math.log(mean) : Math.log(mean / (1 - mean)));
    });
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

  private growRound(round: number, largestWeight: number): Tree[] {
    const { parameters, executor } = this;
    const { layout, kernel } = executor;
    const fixed = this.findGradients(largestWeight);
    this.drawFeatures(round);
    const all = parameters.rowFraction === 1;
    const threshold = Math.min(0xffffffff, Math.round(parameters.rowFraction * 2 ** 32));
    const rowSeed = mix(mix(this.seed) ^ (round + 1));
    return Array.from({ length: layout.outputs }, (_, output) => {
      let drawn = layout.trainRows;
      if (all) kernel.identityRows(layout.rows, 0, layout.trainRows);
      else drawn = kernel.sampleRows(layout.rows, layout.trainRows, rowSeed, threshold) >>> 0;
      const tree = this.grower.grow(drawn, all, fixed, output, mix(rowSeed ^ ~output));
      // Trees of a forest know nothing of each other: scores stay what they were, and so do gradients.
      if (parameters.ensemble === "boosted") {
        this.grower.addToDrawnRows(tree, output);
        this.addToOtherRows(tree, drawn, output);
      }
      return tree;
    });
  }

  /** Gradients and hessians of every row and output, in fixed point of a common scale. */
  private findGradients(largestWeight: number): FixedPoint {
    const { executor, team, parameters } = this;
    const { layout } = executor;
    const chunks = Math.ceil(layout.trainRows / CHUNK_ROWS);
    const { objective } = parameters;
    if (objective === "logistic" || objective === "squared") {
      const fixed =
        objective === "logistic"
          ? this.fixedPoint(largestWeight, largestWeight / 4)
          : this.fixedPoint(this.largestResidual(chunks), largestWeight);
      this.writeScale(fixed);
      team.run(COMMAND.gradients, chunks);
      return fixed;
    }
    const tasks = objective === "lambdarank" ? Math.min(chunks, layout.trainGroups) : chunks;
    executor.setArguments(tasks);
    team.run(COMMAND.gradients, tasks);
    const fixed = this.fixedPoint(this.largestPartial(tasks, 0), this.largestPartial(tasks, 1));
    this.writeScale(fixed);
    team.run(COMMAND.quantise, chunks);
    return fixed;
  }

  private writeScale(fixed: FixedPoint): void {
    const { doubles, layout } = this.executor;
    doubles[layout.search / 8 + 8] = 1 / fixed.gradientUnit;
    doubles[layout.search / 8 + 9] = 1 / fixed.hessianUnit;
  }

  private largestPartial(tasks: number, which: 0 | 1): number {
    const { layout, doubles } = this.executor;
    let largest = 0;
    for (let i = 0; i < tasks; i++) largest = Math.max(largest, doubles[layout.partialSums / 8 + i * 2 + which] ?? 0);
    return largest;
  }

  private largestResidual(chunks: number): number {
    this.team.run(COMMAND.largestResidual, chunks);
    return this.largestPartial(chunks, 0);
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
  private addToOtherRows(tree: Tree, drawn: number, output: number): void {
    const { executor, team } = this;
    const { layout, doubles } = executor;
    if (tree.feature.length === 0) {
      const value = tree.leafValue[0] ?? 0;
      const scores = layout.scores / 8 + output * layout.rowsTotal;
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
      executor.setArguments(layout.rows, drawn, layout.trainRows, output);
      team.run(COMMAND.addTree, Math.ceil((layout.trainRows - drawn) / CHUNK_ROWS));
    }
    if (layout.validationRows > 0) {
      executor.setArguments(0, layout.trainRows, layout.rowsTotal, output);
      team.run(COMMAND.addTree, Math.ceil(layout.validationRows / CHUNK_ROWS));
    }
  }

  private validationLoss(): number | null {
    const { layout, doubles } = this.executor;
    if (layout.validationRows === 0) return null;
    const chunks = Math.ceil(layout.validationRows / CHUNK_ROWS);
    const tasks = layout.validationGroups > 0 ? Math.min(chunks, layout.validationGroups) : chunks;
    this.executor.setArguments(tasks);
    this.team.run(COMMAND.loss, tasks);
    let sum = 0;
    let weights = 0;
    for (let i = 0; i < tasks; i++) {
      sum += doubles[layout.partialSums / 8 + i * 2] ?? 0;
      weights += doubles[layout.partialSums / 8 + i * 2 + 1] ?? 0;
    }
    return sum / weights;
  }
}

/** Trees whose sum is `1 / parts` of what it was; leaf values stay float32-exact. */
export function averaged(trees: readonly Tree[], parts: number): readonly Tree[] {
  const scale = 1 / parts;
  return trees.map((tree) => ({ ...tree, leafValue: tree.leafValue.map((value) => Math.fround(value * scale)) }));
}

/** The least power of two >= x; 1 where x is 0. */
function powerAbove(x: number): number {
  return x > 0 ? 2 ** Math.ceil(Math.log2(x)) : 1;
}

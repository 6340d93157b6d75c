import { seededRandom } from "../../../../models/stats/random.ts";
import { drawNormal } from "../../../../models/stats/random-draws.ts";
import { type SparseMatrix, transpose } from "../sparse-matrix.ts";
import { inlineTeam, type Team, threadTeam } from "../worker-team.ts";
import { type ExecutorInput, ialsExecutor, type IalsTask } from "./executor.ts";
import { compileKernel, scratchFloats } from "./kernel.ts";
import { GRAM_BLOCKS, type IalsLayout, planLayout } from "./layout.ts";

/**
 * Implicit alternating least squares (Hu, Koren, Volinsky 2008) in the form of Rendle et al. 2021, "Revisiting the performance
 * of iALS on item recommendation benchmarks": minimise
 *
 *   sum over entries of w (1 - p·q)² + unobserved * sum over all pairs of (p·q)² + ridge terms,
 *   ridge of a row = regularisation * mass^power * mean^(1 - power),  mass = entries + unobserved * rows of the other side,
 *
 * with the mean over the rows of the side, so that the power moves the ridge between rows and leaves its level alone.
 */
export interface IalsParameters {
  /** Embedding width, rounded up to a multiple of 8. */
  readonly factors: number;
  readonly sweeps: number;
  readonly unobserved: number;
  readonly regularisation: number;
  readonly regularisationPower: number;
}

export interface IalsModel {
  readonly d: number;
  readonly itemFactors: Float32Array;
  readonly userFactors: Float32Array;
  /** unobserved * QᵀQ over the item factors, full d x d. */
  readonly itemGram: Float32Array;
  /** Ridge of a user = this * mass^power. */
  readonly userRidge: number;
  readonly parameters: IalsParameters;
  readonly items: number;
}

/** Standard deviation of the first factors, before division by sqrt(d) (Rendle et al. 2021, section 4). */
const INITIAL_DEVIATION = 0.1;
/** Below this many multiply-adds in a sweep one thread is done before a second has started. */
const INLINE_WORK = 5e7;

/** The factor in front of mass^power for the rows of a side. */
function ridgeLevel(parameters: IalsParameters, side: SparseMatrix): number {
  const mean = side.column.length / Math.max(1, side.rows) + parameters.unobserved * side.columns;
  // An empty log has no level; any will do for its empty catalogue.
  return parameters.regularisation * (mean === 0 ? 1 : mean) ** (1 - parameters.regularisationPower);
}

export class IalsRun {
  readonly #memory: WebAssembly.Memory;
  readonly #layout: IalsLayout;
  readonly #team: Team<IalsTask, number>;
  readonly #parameters: IalsParameters;
  readonly #chunks: readonly [IalsTask[], IalsTask[]];
  readonly #userRidge: number;

  constructor(matrix: SparseMatrix, parameters: IalsParameters, context: { seed: number; threads: number }) {
    const d = Math.ceil(parameters.factors / 8) * 8;
    const sides = [matrix, transpose(matrix)] as const;
    const rows = [matrix.rows, matrix.columns] as const;
    const entries = matrix.column.length;
    const threads = entries * d * d < INLINE_WORK ? 1 : context.threads;
    const layout = planLayout({ rows, entries, d, threads }, scratchFloats(d));
    const pages = Math.ceil(layout.bytes / 65_536);
    // The module is compiled for a maximum of 65,536 pages, and an import must not promise less.
    const memory = new WebAssembly.Memory({ initial: pages, maximum: 65_536, shared: true });
    this.#memory = memory;
    this.#layout = layout;
    this.#parameters = parameters;
    this.#userRidge = ridgeLevel(parameters, matrix);
    for (const [side, sparse] of sides.entries()) {
      const index = side === 0 ? 0 : 1;
      this.#ints(layout.start[index], sparse.rows + 1).set(sparse.start);
      this.#ints(layout.column[index], entries).set(sparse.column);
      this.#floats(layout.weight[index], entries).set(sparse.value);
      const ridge = this.#floats(layout.ridge[index], sparse.rows);
      const level = ridgeLevel(parameters, sparse);
      for (let row = 0; row < sparse.rows; row++) {
        const count = (sparse.start[row + 1] ?? 0) - (sparse.start[row] ?? 0);
        ridge[row] = level * (count + parameters.unobserved * sparse.columns) ** parameters.regularisationPower;
      }
    }
    const random = seededRandom(context.seed);
    const deviation = INITIAL_DEVIATION / Math.sqrt(d);
    const items = this.#floats(layout.factors[1], rows[1] * d);
    for (let i = 0; i < items.length; i++) items[i] = drawNormal(random) * deviation;
    this.#chunks = [chunks(sides[0], 0, threads), chunks(sides[1], 1, threads)];
    const counter = new Int32Array(new SharedArrayBuffer(4));
    const input: ExecutorInput = { module: compileKernel(), memory, layout, counter };
    this.#team =
      threads === 1
        ? inlineTeam(ialsExecutor(input))
        : threadTeam(new URL("./worker.ts", import.meta.url), input, threads);
  }

  /** Both halves: users against items, then items against users. */
  async sweep(): Promise<void> {
    await this.#half(0);
    await this.#half(1);
  }

  /** @throws Error when a system is not positive definite, which a ridge above 0 excludes short of overflow. */
  async #half(side: 0 | 1): Promise<void> {
    await this.#gram(side === 0 ? 1 : 0);
    const failed = (await this.#team.run(this.#chunks[side])).reduce((sum, count) => sum + count, 0);
    if (failed > 0) throw new Error(`iALS: ${failed} rows have no solution; raise the regularisation`);
  }

  async #gram(side: 0 | 1): Promise<void> {
    const { d } = this.#layout;
    const tasks = Array.from({ length: GRAM_BLOCKS }, (_, block): IalsTask => ({ kind: "gram", side, block }));
    await this.#team.run(tasks);
    const blocks = this.#floats(this.#layout.gramBlocks, GRAM_BLOCKS * d * d);
    const gram = this.#floats(this.#layout.gram, d * d);
    for (let cell = 0; cell < d * d; cell++) {
      let sum = 0;
      for (let block = 0; block < GRAM_BLOCKS; block++) sum += blocks[block * d * d + cell] ?? 0;
      gram[cell] = sum * this.#parameters.unobserved;
    }
  }

  /** The model as it stands; the run is over. */
  async finish(): Promise<IalsModel> {
    await this.#gram(1);
    await this.#team.close();
    const { d, rows, factors, gram } = this.#layout;
    const itemGram = this.#floats(gram, d * d).slice();
    for (let r = 0; r < d; r++) for (let c = r + 1; c < d; c++) itemGram[r * d + c] = itemGram[c * d + r] ?? 0;
    return {
      d,
      itemFactors: this.#floats(factors[1], rows[1] * d).slice(),
      userFactors: this.#floats(factors[0], rows[0] * d).slice(),
      itemGram,
      userRidge: this.#userRidge,
      parameters: this.#parameters,
      items: rows[1],
    };
  }

  async close(): Promise<void> {
    await this.#team.close();
  }

  #ints(at: number, length: number): Int32Array {
    return new Int32Array(this.#memory.buffer, at, length);
  }

  #floats(at: number, length: number): Float32Array {
    return new Float32Array(this.#memory.buffer, at, length);
  }
}

/** Cuts a side into tasks of about equal entries, several for each thread so that none waits long at the end. */
function chunks(matrix: SparseMatrix, side: 0 | 1, threads: number): IalsTask[] {
  const perTask = Math.ceil((matrix.column.length + matrix.rows) / (threads === 1 ? 1 : threads * 8));
  const tasks: IalsTask[] = [];
  let begin = 0;
  for (let row = 0; row < matrix.rows; row++) {
    const work = (matrix.start[row + 1] ?? 0) - (matrix.start[begin] ?? 0) + (row + 1 - begin);
    if (work < perTask && row + 1 < matrix.rows) continue;
    tasks.push({ kind: "solve", side, begin, end: row + 1 });
    begin = row + 1;
  }
  return tasks;
}

/** @throws RangeError for settings out of range. */
export async function trainIals(
  matrix: SparseMatrix,
  parameters: IalsParameters,
  context: { readonly seed: number; readonly threads: number },
): Promise<IalsModel> {
  const { factors, sweeps, regularisation, unobserved } = parameters;
  if (!(factors >= 1 && factors <= 1024)) throw new RangeError("factors must be in 1..1024");
  if (!(sweeps >= 1)) throw new RangeError("sweeps must be at least 1");
  if (!(regularisation > 0 && unobserved >= 0))
    throw new RangeError("regularisation must be above 0, unobserved at least 0");
  const run = new IalsRun(matrix, parameters, context);
  try {
    for (let sweep = 0; sweep < sweeps; sweep++) await run.sweep();
    return await run.finish();
  } finally {
    await run.close();
  }
}

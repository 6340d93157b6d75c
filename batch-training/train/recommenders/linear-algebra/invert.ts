import { openTileProducts, type TileProducts } from "./tile-products.ts";

/** Tile edge: large tiles multiply faster, small ones leave less to the factorisation of diagonal tiles in plain code. */
const TILE = 512;
const SMALL_TILE = 192;
/** From here on the products outweigh the diagonal. */
const LARGE = 4_096;
/** Up to this size plain double precision is done before a session is open. */
const SMALL = 384;

/** The matrix has no Cholesky factor: not symmetric positive definite, or too badly conditioned for its precision. */
export class NotPositiveDefinite extends Error {
  constructor(row: number) {
    super(`the matrix is not positive definite at row ${row}: raise the regularisation`);
    this.name = "NotPositiveDefinite";
  }
}

/**
 * Inverse of a symmetric positive definite matrix, in place: blocked Cholesky A = L Lᵀ, W = L⁻¹, A⁻¹ = Wᵀ W, each a third of
 * n³ multiply-adds. Tile products are float32; diagonal tiles are factored in float64.
 *
 * @param matrix n x n, row-major; only the lower triangle is read, all of it is written.
 * @throws NotPositiveDefinite
 */
export async function invertSymmetric(matrix: Float32Array, n: number, threads: number): Promise<void> {
  if (n <= SMALL) {
    invertSmall(matrix, n);
    return;
  }
  const size = n < LARGE ? SMALL_TILE : TILE;
  const products = await openTileProducts(size, threads);
  try {
    const grid = new Tiles(n, size);
    grid.load(matrix);
    const inverses = await factor(grid, products);
    await invertFactor(grid, inverses, products);
    await multiplyOut(grid, matrix, products);
  } finally {
    await products.release();
  }
}

/** Lower tiles of an n x n matrix padded with the identity to whole tiles. */
class Tiles {
  readonly count: number;
  readonly #tiles: Float32Array[];
  readonly n: number;
  readonly size: number;

  constructor(n: number, size: number) {
    this.n = n;
    this.size = size;
    this.count = Math.ceil(n / size);
    this.#tiles = Array.from({ length: (this.count * (this.count + 1)) / 2 }, () => new Float32Array(size * size));
  }

  at(row: number, column: number): Float32Array {
    const tile = this.#tiles[(row * (row + 1)) / 2 + column];
    if (tile === undefined) throw new Error(`no tile ${row}, ${column}`);
    return tile;
  }

  load(matrix: Float32Array): void {
    const { n, size } = this;
    for (let row = 0; row < this.count * size; row++) {
      const tileRow = Math.floor(row / size);
      for (let tileColumn = 0; tileColumn <= tileRow; tileColumn++) {
        const tile = this.at(tileRow, tileColumn);
        const into = (row - tileRow * size) * size;
        const from = tileColumn * size;
        if (row < n) tile.set(matrix.subarray(row * n + from, row * n + Math.min(from + size, n)), into);
        else if (tileRow === tileColumn) tile[into + row - from] = 1;
      }
      // The part of a diagonal tile above the diagonal is not read.
    }
  }
}

/** Tile Cholesky in place below the diagonal; diagonal places take L⁻¹ of their tile, which is also returned. */
async function factor(grid: Tiles, products: TileProducts): Promise<Float32Array[]> {
  const { size, count } = grid;
  const inverses: Float32Array[] = [];
  for (let k = 0; k < count; k++) {
    const inverse = inverseFactor(grid.at(k, k), size, k * size);
    inverses.push(inverse);
    const minus = inverse.map((x) => -x);
    for (let i = k + 1; i < count; i++) {
      // L_ik = A_ik W_kkᵀ, written as 0 - A_ik (-W_kk)ᵀ.
      const target = grid.at(i, k);
      const source = target.slice();
      target.fill(0);
      await products.subtractTransposed(target, source, minus);
    }
    for (let i = k + 1; i < count; i++) {
      for (let j = k + 1; j <= i; j++) await products.subtractTransposed(grid.at(i, j), grid.at(i, k), grid.at(j, k));
    }
  }
  return inverses;
}

/** Turns the tiles of L into those of W = L⁻¹, column by column: W_ij = -W_ii sum over k in j..i-1 of L_ik W_kj. */
async function invertFactor(grid: Tiles, inverses: readonly Float32Array[], products: TileProducts): Promise<void> {
  const { size, count } = grid;
  // Column j needs L of the columns from j on, so columns go from the left and W replaces L behind them.
  for (let j = 0; j < count; j++) {
    const column: Float32Array[] = [];
    for (let i = j; i < count; i++) {
      const own = inverses[i] ?? new Float32Array(0);
      if (i === j) {
        column.push(own);
        continue;
      }
      const sum = new Float32Array(size * size);
      for (let k = j; k < i; k++) await products.add(sum, grid.at(i, k), column[k - j] ?? sum);
      for (let cell = 0; cell < sum.length; cell++) sum[cell] = -(sum[cell] ?? 0);
      const target = new Float32Array(size * size);
      await products.add(target, own, sum);
      column.push(target);
    }
    for (let i = j; i < count; i++) grid.at(i, j).set(column[i - j] ?? new Float32Array(0));
  }
}

/** matrix = Wᵀ W, both triangles. */
async function multiplyOut(grid: Tiles, matrix: Float32Array, products: TileProducts): Promise<void> {
  const { n, size, count } = grid;
  const sum = new Float32Array(size * size);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j <= i; j++) {
      sum.fill(0);
      for (let k = i; k < count; k++) await products.addTransposed(sum, grid.at(k, i), grid.at(k, j));
      for (let r = 0; r < size && i * size + r < n; r++) {
        const row = i * size + r;
        for (let c = 0; c < size && j * size + c < n; c++) {
          const column = j * size + c;
          const value = sum[r * size + c] ?? 0;
          if (column > row) break;
          matrix[row * n + column] = value;
          matrix[column * n + row] = value;
        }
      }
    }
  }
}

/** W = L⁻¹ for the Cholesky factor L of one tile, in float64, zeros above the diagonal. */
function inverseFactor(tile: Float32Array, size: number, firstRow: number): Float32Array {
  const l = cholesky(Float64Array.from(tile), size, firstRow);
  // Row i of W: (e_i - sum over k < i of L_ik W_k) / L_ii.
  const w = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const row = w.subarray(i * size, i * size + i + 1);
    for (let k = 0; k < i; k++) {
      const factor = l[i * size + k] ?? 0;
      if (factor === 0) continue;
      const from = k * size;
      for (let c = 0; c <= k; c++) row[c] = (row[c] ?? 0) - factor * (w[from + c] ?? 0);
    }
    const pivot = l[i * size + i] ?? 1;
    for (let c = 0; c < i; c++) row[c] = (row[c] ?? 0) / pivot;
    row[i] = 1 / pivot;
  }
  return Float32Array.from(w);
}

/** In place; the upper triangle is left as it was. @throws NotPositiveDefinite */
function cholesky(a: Float64Array, n: number, firstRow: number): Float64Array {
  for (let i = 0; i < n; i++) {
    const rowI = a.subarray(i * n, i * n + i + 1);
    for (let j = 0; j <= i; j++) {
      const from = j * n;
      let sum = rowI[j] ?? 0;
      for (let k = 0; k < j; k++) sum -= (rowI[k] ?? 0) * (a[from + k] ?? 0);
      if (j < i) rowI[j] = sum / (a[from + j] ?? 1);
      else if (sum > 0) rowI[j] = Math.sqrt(sum);
      else throw new NotPositiveDefinite(firstRow + i);
    }
  }
  return a;
}

function invertSmall(matrix: Float32Array, n: number): void {
  const w = inverseFactor(matrix, n, 0);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = i; k < n; k++) sum += (w[k * n + i] ?? 0) * (w[k * n + j] ?? 0);
      matrix[i * n + j] = sum;
      matrix[j * n + i] = sum;
    }
  }
}

import type { Executor } from "./executor.ts";
import { CHUNK_ROWS } from "./layout.ts";

/** Tasks that move rows between leaves and add leaf values to their scores; `executor.ts` lists their arguments. */

export function partitionChunk(executor: Executor, task: number): void {
  const { layout, kernel, words } = executor;
  const rows = executor.argument(0);
  const begin = task * CHUNK_ROWS;
  const count = Math.min(CHUNK_ROWS, executor.argument(1) - begin);
  words[layout.chunkCounts / 4 + task] = kernel.partitionChunk(
    layout.columns + executor.argument(2) * layout.columnStride,
    layout.splitTable,
    rows + begin * 4,
    count,
    layout.spareRows + begin * 4,
  );
}

export function placeChunk(executor: Executor, task: number): void {
  const { layout, kernel, words } = executor;
  const rows = executor.argument(0);
  const total = executor.argument(1);
  const counts = layout.chunkCounts / 4;
  const chunks = Math.ceil(total / CHUNK_ROWS);
  let before = 0;
  let left = 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    if (chunk < task) before += words[counts + chunk] ?? 0;
    left += words[counts + chunk] ?? 0;
  }
  const begin = task * CHUNK_ROWS;
  kernel.placeChunk(
    layout.spareRows + begin * 4,
    Math.min(CHUNK_ROWS, total - begin),
    words[counts + task] ?? 0,
    rows + before * 4,
    rows + (left + begin - before) * 4,
  );
}

export function addSpan(executor: Executor, task: number): void {
  const { layout, kernel, words, doubles } = executor;
  const span = layout.spans + task * 16;
  kernel.addToRows(
    layout.scores + executor.argument(0) * layout.rowsTotal * 8,
    layout.rows + (words[span / 4] ?? 0) * 4,
    words[span / 4 + 1] ?? 0,
    doubles[span / 8 + 1] ?? 0,
  );
}

export function addTreeToRows(executor: Executor, task: number): void {
  const { layout, kernel } = executor;
  const begin = executor.argument(1) + task * CHUNK_ROWS;
  kernel.addTree(
    layout.columns,
    layout.treeNodes,
    layout.treeValues,
    executor.argument(0),
    begin,
    Math.min(begin + CHUNK_ROWS, executor.argument(2)),
    layout.scores + executor.argument(3) * layout.rowsTotal * 8,
  );
}

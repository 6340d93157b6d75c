import { instantiateKernel } from "./kernel.ts";
import { GRAM_BLOCKS, type IalsLayout } from "./layout.ts";

export type IalsTask =
  /** One block of the Gram matrix of a side's factors. */
  | { readonly kind: "gram"; readonly side: 0 | 1; readonly block: number }
  /** Solves rows `begin` to `end` of a side; the result is the number of rows left at 0 as not positive definite. */
  | { readonly kind: "solve"; readonly side: 0 | 1; readonly begin: number; readonly end: number };

export interface ExecutorInput {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly layout: IalsLayout;
  /** Threads number themselves by adding to this shared counter. */
  readonly counter: Int32Array;
}

/** One thread's hand: runs tasks with its own kernel instance and scratch on the shared memory. */
export function ialsExecutor(input: ExecutorInput): (task: IalsTask) => number {
  const { layout, memory } = input;
  const kernel = instantiateKernel(input.module, memory);
  const scratch = layout.scratch + Atomics.add(input.counter, 0, 1) * layout.scratchBytes;
  const { d } = layout;
  return (task) => {
    const { side } = task;
    const other = side === 0 ? 1 : 0;
    if (task.kind === "gram") {
      const size = Math.ceil(layout.rows[side] / GRAM_BLOCKS);
      const from = Math.min(task.block * size, layout.rows[side]);
      const to = Math.min(from + size, layout.rows[side]);
      const matrix = layout.gramBlocks + task.block * d * d * 4;
      new Float32Array(memory.buffer, matrix, d * d).fill(0);
      kernel.addGram(layout.factors[side] + from * d * 4, to - from, d, matrix);
      return 0;
    }
    return kernel.solveRows(
      task.begin,
      task.end,
      d,
      layout.start[side],
      layout.column[side],
      layout.weight[side],
      layout.factors[other],
      layout.gram,
      layout.ridge[side],
      layout.factors[side],
      scratch,
    );
  };
}

import { sparseGram } from "../gram.ts";
import { type ItemLists, listRecommender } from "../item-lists.ts";
import { type FitContext, type Recommender, reused, setting } from "../recommender.ts";
import { interactionMatrix, type SparseMatrix } from "../sparse-matrix.ts";
import { inlineTeam, threadTeam } from "../worker-team.ts";
import { type SlimColumns, slimExecutor, type SlimInput, type SlimTask } from "./solve-columns.ts";

/** Targets of one task: small enough to share evenly, large enough to hide the message. */
const TASK_ITEMS = 64;
/** Items that may speak for a target: more changed no figure of the tables in its third digit. */
const MAX_CANDIDATES = 200;
const MAX_ROUNDS = 30;

export async function slimLists(
  matrix: SparseMatrix,
  settings: Omit<SlimInput, "gram">,
  context: FitContext,
): Promise<ItemLists> {
  const input: SlimInput = { ...settings, gram: sparseGram(matrix) };
  const tasks: SlimTask[] = [];
  for (let begin = 0; begin < matrix.columns; begin += TASK_ITEMS) {
    tasks.push({ begin, end: Math.min(begin + TASK_ITEMS, matrix.columns) });
  }
  const team =
    context.threads === 1 || tasks.length < 8
      ? inlineTeam(slimExecutor(input))
      : threadTeam<SlimTask, SlimColumns>(new URL("./worker.ts", import.meta.url), input, context.threads);
  try {
    return byNeighbour(await team.run(tasks), matrix.columns);
  } finally {
    await team.close();
  }
}

/** Columns of weights turned into rows by the item that speaks. */
function byNeighbour(parts: readonly SlimColumns[], items: number): ItemLists {
  const start = new Int32Array(items + 1);
  for (const part of parts) for (const source of part.source) start[source + 1] = (start[source + 1] ?? 0) + 1;
  for (let i = 0; i < items; i++) start[i + 1] = (start[i + 1] ?? 0) + (start[i] ?? 0);
  const next = start.slice();
  const total = start[items] ?? 0;
  const lists = { items, start, neighbour: new Int32Array(total), weight: new Float32Array(total) };
  for (const part of parts) {
    for (const [entry, source] of part.source.entries()) {
      const at = next[source] ?? 0;
      next[source] = at + 1;
      lists.neighbour[at] = part.target[entry] ?? 0;
      lists.weight[at] = part.weight[entry] ?? 0;
    }
  }
  return lists;
}

/**
 * Sparse linear methods (Ning and Karypis 2011): each item as a non-negative, sparse combination of others, chosen among the `candidates` most
 * similar ones (fsSLIM).
 */
export const slim: Recommender = {
  name: "slim",
  description: "non-negative sparse item-item regression",
  search: { l2: [100, 30, 300], l1: [1, 0.3], decay: [1, 0.98, 0.8] },
  fit: async (log, parameters, context) => {
    const settings = {
      l1: setting(parameters, "l1"),
      l2: setting(parameters, "l2"),
      candidates: MAX_CANDIDATES,
      rounds: MAX_ROUNDS,
    };
    const make = (): Promise<ItemLists> => slimLists(interactionMatrix(log), settings, context);
    const lists = await reused(context, JSON.stringify(settings), make);
    return listRecommender(lists, { stepDecay: setting(parameters, "decay"), halfLifeSeconds: Infinity });
  },
};

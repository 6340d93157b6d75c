import type { Column, LabelledRows } from "./training-set.ts";

/** The listed rows, in their order, as float32 columns. Groups do not survive a selection. */
export function gatherRows(rows: LabelledRows, picked: Uint32Array): LabelledRows {
  const gather = (column: Column): Float32Array => {
    const out = new Float32Array(picked.length);
    for (let i = 0; i < picked.length; i++) out[i] = column[picked[i] ?? 0] ?? Number.NaN;
    return out;
  };
  return {
    columns: rows.columns.map(gather),
    labels: gather(rows.labels),
    weights: rows.weights ? gather(rows.weights) : null,
    groups: null,
  };
}

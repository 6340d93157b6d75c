import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { LabelledRows, TrainingSet } from "../../../batch-training/train/training-set.ts";

/** Outside libraries on the rows of one split; their scores come back by name. */
export type Rivals = (train: TrainingSet, test: LabelledRows) => Promise<ReadonlyMap<string, Float64Array>>;

export function pythonRivals(python: string, models: readonly string[]): Rivals {
  return async (set, test) => {
    const folder = mkdtempSync(join(tmpdir(), "bench-quality-"));
    try {
      const put = (name: string, columns: readonly (Float32Array | Float64Array)[]): void => {
        writeFileSync(join(folder, name), "");
        for (const column of columns) writeFileSync(join(folder, name), Float32Array.from(column), { flag: "a" });
      };
      put("train.f32", set.train.columns);
      put("train-labels.f32", [set.train.labels]);
      put("test.f32", test.columns);
      writeFileSync(join(folder, "task.json"), JSON.stringify({ kinds: set.features.map(({ kind }) => kind), models }));
      await promisify(execFile)(python, [join(import.meta.dirname, "outside.py"), folder]);
      return new Map(
        models.map((name) => {
          const bytes = readFileSync(join(folder, `${name}.f64`));
          return [name, new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))];
        }),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
}

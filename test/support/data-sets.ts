import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gunzipSync } from "node:zlib";

const root = resolve(import.meta.dirname, "../..");

/** Folder of the shared data sets, or null where they are not there: a test that needs them says so and is skipped. */
export const DATA_SETS: string | null =
  [process.env["EDGEWISE_DATA"], join(root, "../shared/data"), join(root, "../../shared/data")].find(
    (folder) => folder !== undefined && existsSync(folder),
  ) ?? null;

/** Why a test that needs the data sets does not run; for the name of a skipped test. */
export const DATA_SETS_HINT = DATA_SETS === null ? " (skipped: set EDGEWISE_DATA to the folder of data sets)" : "";

/** Rows of a gzipped CSV without quotes, as objects. */
export function readPlainCsv(path: string): Record<string, string>[] {
  const text = gunzipSync(readFileSync(join(DATA_SETS ?? "", path))).toString("utf8");
  const [header = "", ...lines] = text.trim().split("\n");
  const names = header.split(",");
  return lines.map((line) => Object.fromEntries(line.split(",").map((cell, i) => [names[i] ?? "", cell])));
}

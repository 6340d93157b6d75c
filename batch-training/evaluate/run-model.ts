/** Scores a table on one engine or on both; the core of `edgewise model run`. */
import type { Report, ReportRow } from "../../models/contract/report.ts";
import type { Contributions, EngineName, Session, TensorInfo } from "../../models/engine/session.ts";
import { type Matrix, MatrixError } from "../sources/matrix.ts";
import { type Difference, largestDifference } from "./largest-difference.ts";
import { loadCompact, loadOrt } from "./load-session.ts";
import { describeMachine } from "./machine.ts";
import { scoreRows } from "./score-rows.ts";

export type EngineSelection = EngineName | "both";

/** Rows printed; the JSON file has all. */
const SHOWN_ROWS = 10;
const SHOWN_REASONS = 5;

export interface ModelRun {
  readonly engine: EngineSelection;
  readonly matrix: Matrix;
  /** Values per row. */
  readonly width: number;
  readonly scores: readonly { readonly engine: EngineName; readonly values: Float32Array }[];
  /** Between the engines, where both ran; ONNX Runtime is `expected`. */
  readonly difference: Difference | null;
  /** Per row; empty unless asked for. */
  readonly explanations: readonly Contributions[];
}

/** @throws OnnxError, UnsupportedOperator, OrtSessionError, MatrixError (a table that does not fit the model) */
export async function runModel(input: {
  readonly bytes: Uint8Array;
  readonly matrix: Matrix;
  readonly engine: EngineSelection;
  readonly explain: boolean;
}): Promise<ModelRun> {
  const { bytes, matrix, engine } = input;
  const scores: { engine: EngineName; values: Float32Array }[] = [];
  const explanations: Contributions[] = [];
  if (engine !== "ort") {
    const session = loadCompact(bytes);
    checkWidth(matrix, session.inputs);
    scores.push({ engine: "compact", values: await scoreRows(session, matrix.values, matrix.rows) });
    if (input.explain) explanations.push(...explainAll(session, matrix));
  }
  if (engine !== "compact") {
    const session = await loadOrt(bytes);
    checkWidth(matrix, session.inputs);
    scores.push({ engine: "ort", values: await scoreRows(session, matrix.values, matrix.rows) });
    await session.release();
  }
  const width = (scores[0]?.values.length ?? 0) / matrix.rows;
  const [compact, ort] = scores;
  const difference = compact && ort ? largestDifference(ort.values, compact.values, { width }) : null;
  return { engine, matrix, width, scores, difference, explanations };
}

export function describeRun(run: ModelRun): string[] {
  const { matrix, width, difference } = run;
  const lines = [`${matrix.rows} rows × ${matrix.width} values, ${width} ${width === 1 ? "score" : "scores"} per row`];
  for (let row = 0; row < Math.min(matrix.rows, SHOWN_ROWS); row++) {
    const parts = run.scores.map(({ engine, values }) => `${engine} ${scoresOf(values, row, width).join(" ")}`);
    lines.push(`row ${row}: ${parts.join("  |  ")}`);
    const contributions = run.explanations[row];
    if (contributions) lines.push(...describeContributions(contributions, matrix.columns));
  }
  if (matrix.rows > SHOWN_ROWS) lines.push(`… ${matrix.rows - SHOWN_ROWS} more rows (--json FILE has all)`);
  if (difference) {
    lines.push(
      `largest difference ${difference.absolute.toExponential(3)} at row ${difference.row}` +
        `${width > 1 ? `, score ${difference.column}` : ""}: ort ${difference.expected}, compact ${difference.actual}`,
    );
  }
  return lines;
}

/** The result in the JSON shape of all evaluations; ids are `<engine>/row-<n>[/score-<k>]` and `difference/max`. */
export function runReport(run: ModelRun, files: { readonly file: string; readonly input: string }): Report {
  const rows: ReportRow[] = [];
  const add = (id: string, value: number, unit: string): void => {
    // JSON has no NaN and no infinity; the note keeps what it was.
    if (Number.isFinite(value)) rows.push({ id, value, unit });
    else rows.push({ id, value: 0, unit, note: String(value) });
  };
  for (const { engine, values } of run.scores) {
    values.forEach((value, index) => {
      const column = run.width > 1 ? `/score-${index % run.width}` : "";
      add(`${engine}/row-${Math.floor(index / run.width)}${column}`, value, "score");
    });
  }
  for (const [row, { features, outputs, base, values }] of run.explanations.entries()) {
    for (let output = 0; output < outputs; output++) {
      const prefix = `explain/row-${row}${outputs > 1 ? `/score-${output}` : ""}`;
      add(`${prefix}/base`, base[output] ?? 0, "raw score");
      for (let feature = 0; feature < features; feature++) {
        add(`${prefix}/feature-${feature}`, values[output * features + feature] ?? 0, "raw score");
      }
    }
  }
  if (run.difference) add("difference/max", run.difference.absolute, "score");
  return {
    tool: "edgewise model run",
    version: "1",
    machine: describeMachine(),
    parameters: {
      ...files,
      engine: run.engine,
      rows: run.matrix.rows,
      width: run.matrix.width,
      differenceRow: run.difference?.row ?? null,
    },
    rows,
  };
}

/** Says how many columns the model wants before an engine has to. */
function checkWidth(matrix: Matrix, inputs: readonly TensorInfo[]): void {
  let width = 0;
  for (const { shape } of inputs) {
    const inner = shape.slice(1);
    if (inner.includes(null)) return;
    width += inner.reduce<number>((product, size) => product * (size ?? 1), 1);
  }
  if (matrix.width === width) return;
  const names = inputs.map(({ name, shape }) => `${name} [${shape.map((size) => size ?? "?").join(", ")}]`);
  throw new MatrixError(`the input has ${matrix.width} columns, the model takes ${width}: ${names.join(", ")}`);
}

function explainAll(session: Session, matrix: Matrix): Contributions[] {
  const { explain } = session;
  if (!explain) {
    throw new MatrixError("the model has no exact explanation: it is no tree ensemble, or its file carries no covers");
  }
  return Array.from({ length: matrix.rows }, (_, row) => {
    const { features, outputs, base, values, raw } = explain(
      matrix.values.subarray(row * matrix.width, (row + 1) * matrix.width),
    );
    return { features, outputs, base: base.slice(), values: values.slice(), raw: raw.slice() };
  });
}

function describeContributions(contributions: Contributions, columns: readonly string[] | null): string[] {
  const { features, outputs, base, values } = contributions;
  return Array.from({ length: outputs }, (_, output) => {
    const own = Array.from(values.subarray(output * features, (output + 1) * features), (value, feature) => ({
      name: columns?.[feature] ?? `#${feature}`,
      value,
    }));
    const top = own.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, SHOWN_REASONS);
    const terms = top.map(({ name, value }) => `${name} ${value >= 0 ? "+" : ""}${value.toFixed(4)}`);
    return `       base ${(base[output] ?? 0).toFixed(4)}  ${terms.join("  ")}`;
  });
}

const scoresOf = (values: Float32Array, row: number, width: number): string[] =>
  Array.from(values.subarray(row * width, Math.min((row + 1) * width, row * width + 8)), (value) =>
    String(Number(value.toPrecision(7))),
  );

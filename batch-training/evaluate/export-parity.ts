/**
 * Whether an exported model says what the trainer said: every row through ONNX Runtime and, where it compiles, through
 * the compact engine, against the trainer's own scores. Part of publication; nothing is published that fails it.
 */
import type { AsyncSession, Session } from "../../models/engine/session.ts";
import { UnsupportedOperator } from "../../models/engine/unsupported-operator.ts";
import { type Difference, largestDifference } from "./largest-difference.ts";
import { loadCompact, loadOrt } from "./load-session.ts";
import { scoreRows } from "./score-rows.ts";

/** Rows whose explanation is summed up; exact TreeSHAP costs milliseconds a row on a large model. */
const EXPLAINED_ROWS = 100;

export interface ExportParityInput {
  readonly bytes: Uint8Array;
  /** `rows × features` as the model takes them, row-major. */
  readonly batch: Float32Array;
  readonly rows: number;
  /** The trainer's scores, `rows × outputs`. */
  readonly expected: ArrayLike<number>;
  readonly tolerance: { readonly absolute: number; readonly relative: number };
}

/** Largest |base + contributions − raw| that counts as adding up, per unit of the raw score (at least 1). */
const ADDITIVITY_TOLERANCE = 1e-9;

export interface ExportParity {
  readonly ok: boolean;
  /** Why not, with the worst row and the numbers that differ there; null where it is ok. */
  readonly failure: string | null;
  readonly rows: number;
  readonly ort: Difference;
  /** null where the compact engine does not run the graph; the reason says why. */
  readonly compact: Difference | null;
  readonly compactReason: string;
  /**
   * Largest |base + contributions − raw| over the first rows, relative to the raw score where that is above 1; null where
   * the model has no exact explanation.
   */
  readonly additivity: { readonly error: number; readonly row: number; readonly rows: number } | null;
}

/** @throws RangeError if sizes contradict each other, OnnxError or OrtSessionError if ONNX Runtime cannot run the model */
export async function exportParity(input: ExportParityInput): Promise<ExportParity> {
  const { rows, expected, tolerance } = input;
  if (rows < 1 || expected.length % rows !== 0) {
    throw new RangeError(`${expected.length} expected scores do not fit ${rows} rows`);
  }
  const width = expected.length / rows;
  const compare = async (session: Session | AsyncSession): Promise<Difference> => {
    const scores = await scoreRows(session, input.batch, rows);
    if (scores.length !== expected.length) {
      throw new RangeError(`the model gives ${scores.length / rows} values per row, the trainer gave ${width}`);
    }
    return largestDifference(expected, scores, { width, relativeTolerance: tolerance.relative });
  };
  const ortSession = await loadOrt(input.bytes);
  const ort = await compare(ortSession);
  await ortSession.release();
  const loaded = tryCompact(input.bytes);
  const compact = loaded.session ? await compare(loaded.session) : null;
  const additivity = loaded.session ? additivityOf(loaded.session, input) : null;
  const failure =
    differenceFailure("ONNX Runtime", ort, tolerance.absolute) ??
    differenceFailure("the compact engine", compact, tolerance.absolute) ??
    additivityFailure(additivity);
  return { ok: failure === null, failure, rows, ort, compact, compactReason: loaded.reason, additivity };
}

function differenceFailure(engine: string, difference: Difference | null, absolute: number): string | null {
  if (difference === null || difference.excess <= absolute) return null;
  const { excess, excessRow, row, expected, actual } = difference;
  return (
    `the exported model differs from the trainer on ${engine}: row ${excessRow} is ${excess.toExponential(2)} over the ` +
    `relative tolerance; the largest difference is in row ${row}, trainer ${expected}, engine ${actual}`
  );
}

function additivityFailure(additivity: ExportParity["additivity"]): string | null {
  if (additivity === null || additivity.error <= ADDITIVITY_TOLERANCE) return null;
  return `the explanation of row ${additivity.row} misses its raw score by ${additivity.error.toExponential(2)}`;
}

/** One line per engine, for logs and model cards. */
export function describeParity(parity: ExportParity): string[] {
  const line = (name: string, difference: Difference): string =>
    `${name}: largest difference ${difference.absolute.toExponential(2)} at row ${difference.row}` +
    ` (trainer ${difference.expected}, engine ${difference.actual})`;
  const lines = [line("onnxruntime-node", parity.ort)];
  lines.push(parity.compact ? line("compact", parity.compact) : `compact: ${parity.compactReason}`);
  if (parity.additivity) {
    const { error, row, rows } = parity.additivity;
    lines.push(`explanations add up within ${error.toExponential(2)} over ${rows} rows (worst at row ${row})`);
  }
  return lines;
}

function tryCompact(bytes: Uint8Array): { session: Session | null; reason: string } {
  try {
    return { session: loadCompact(bytes), reason: "" };
  } catch (error) {
    if (error instanceof UnsupportedOperator) return { session: null, reason: error.message };
    throw error;
  }
}

function additivityOf(session: Session, input: ExportParityInput): ExportParity["additivity"] {
  if (!session.explain) return null;
  const features = input.batch.length / input.rows;
  const rows = Math.min(input.rows, EXPLAINED_ROWS);
  let worst = { error: 0, row: 0 };
  for (let row = 0; row < rows; row++) {
    const { base, values, raw, ...shape } = session.explain(input.batch.subarray(row * features, (row + 1) * features));
    for (let output = 0; output < shape.outputs; output++) {
      const own = values.subarray(output * shape.features, (output + 1) * shape.features);
      const sum = own.reduce((total, value) => total + value, base[output] ?? 0);
      const score = raw[output] ?? 0;
      const error = Math.abs(sum - score) / Math.max(1, Math.abs(score));
      if (!(error <= worst.error)) worst = { error, row };
    }
  }
  return { ...worst, rows };
}

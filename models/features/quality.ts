import type { Checks, ServiceDefinition } from "./definition.ts";

/** One check that failed, for a person to read. */
export interface QualityFinding {
  readonly feature: string;
  readonly check: keyof Checks;
  readonly value: number;
  readonly limit: number;
  readonly text: string;
}

export interface QualityReport {
  readonly rows: number;
  readonly checks: number;
  readonly findings: readonly QualityFinding[];
}

/** Bins of the population stability index: tenths of the reference, and missing values on their own. */
const PSI_BINS = 10;
/** Share that stands for none in the index, so that an empty bin does not make it infinite. */
const PSI_FLOOR = 1e-4;

type Named = readonly { readonly name: string; readonly checks?: Checks }[];

/** The checks of a service's features on columns in its order. `reference`: columns of an earlier, accepted set. */
export function checkService(
  service: Pick<ServiceDefinition, "features">,
  columns: readonly Float32Array[],
  reference: readonly Float32Array[] | null = null,
): QualityReport {
  return checkColumns(service.features, columns, reference);
}

export function checkColumns(
  features: Named,
  columns: readonly Float32Array[],
  reference: readonly Float32Array[] | null,
  /** Age of the newest value, seconds; for loads, whose freshness matters. */
  ageSeconds: number | null = null,
): QualityReport {
  const findings: QualityFinding[] = [];
  let checks = 0;
  for (const [index, { name, checks: declared = {} }] of features.entries()) {
    const column = columns[index];
    if (!column) continue;
    checks += Object.keys(declared).length;
    findings.push(...findingsOf(name, declared, column, reference?.[index] ?? null, ageSeconds));
  }
  return { rows: columns[0]?.length ?? 0, checks, findings };
}

function findingsOf(
  feature: string,
  checks: Checks,
  column: Float32Array,
  reference: Float32Array | null,
  ageSeconds: number | null,
): QualityFinding[] {
  const findings: QualityFinding[] = [];
  const { nulls, infinities, min, max } = extremes(column);
  const note = (check: keyof Checks, value: number, limit: number, text: string): void => {
    findings.push({ feature, check, value, limit, text: `${feature}: ${text}` });
  };
  const nullShare = column.length === 0 ? 1 : nulls / column.length;
  if (checks.maxNullShare !== undefined && nullShare > checks.maxNullShare)
    note(
      "maxNullShare",
      nullShare,
      checks.maxNullShare,
      `${percent(nullShare)} is missing, at most ${percent(checks.maxNullShare)} may be`,
    );
  if (checks.min !== undefined && min < checks.min)
    note("min", min, checks.min, `the smallest value is ${min}, below ${checks.min}`);
  if (checks.max !== undefined && max > checks.max)
    note("max", max, checks.max, `the largest value is ${max}, above ${checks.max}`);
  if (infinities > 0) note("max", infinities, 0, `${infinities} values are infinite`);
  if (checks.minDistinct !== undefined) {
    const distinct = new Set(column).size;
    if (distinct < checks.minDistinct)
      note(
        "minDistinct",
        distinct,
        checks.minDistinct,
        `it has ${distinct} different values, at least ${checks.minDistinct} are expected`,
      );
  }
  if (checks.maxAgeSeconds !== undefined && ageSeconds !== null && ageSeconds > checks.maxAgeSeconds)
    note(
      "maxAgeSeconds",
      ageSeconds,
      checks.maxAgeSeconds,
      `the newest value is ${ageSeconds} s old, at most ${checks.maxAgeSeconds} s is allowed`,
    );
  if (checks.maxShift !== undefined && reference !== null && reference.length > 0) {
    const shift = stabilityIndex(reference, column);
    if (shift > checks.maxShift)
      note(
        "maxShift",
        shift,
        checks.maxShift,
        `its distribution moved by ${shift.toFixed(3)} (population stability index), at most ${checks.maxShift} is allowed`,
      );
  }
  return findings;
}

function extremes(column: Float32Array): { nulls: number; infinities: number; min: number; max: number } {
  let nulls = 0;
  let infinities = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (const value of column) {
    if (Number.isNaN(value)) nulls++;
    else if (!Number.isFinite(value)) infinities++;
    else {
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
  }
  return { nulls, infinities, min, max };
}

/** Population stability index Σ (p − q) ln(p / q) over the reference's tenths; above 0.25 is commonly read as a different population. */
export function stabilityIndex(reference: Float32Array, column: Float32Array): number {
  const sorted = reference.filter((value) => !Number.isNaN(value)).toSorted();
  const edges = Array.from(
    { length: PSI_BINS - 1 },
    (_, i) => sorted[Math.floor(((i + 1) * sorted.length) / PSI_BINS)] ?? 0,
  );
  const before = shares(reference, edges);
  const after = shares(column, edges);
  return before.reduce((sum, p, bin) => {
    const q = Math.max(PSI_FLOOR, after[bin] ?? 0);
    const from = Math.max(PSI_FLOOR, p);
    return sum + (q - from) * Math.log(q / from);
  }, 0);
}

function shares(column: Float32Array, edges: readonly number[]): number[] {
  const counts = Array.from({ length: PSI_BINS + 1 }, () => 0);
  for (const value of column) {
    let bin = PSI_BINS;
    if (!Number.isNaN(value)) bin = edges.filter((edge) => edge <= value).length;
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts.map((count) => count / Math.max(1, column.length));
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** The report as text: one line a finding, or that all is well. */
export function qualityText({ rows, checks, findings }: QualityReport): string {
  if (findings.length === 0) return `${checks} checks on ${rows} rows passed`;
  return [
    `${findings.length} of ${checks} checks on ${rows} rows failed:`,
    ...findings.map(({ text }) => `  ${text}`),
  ].join("\n");
}

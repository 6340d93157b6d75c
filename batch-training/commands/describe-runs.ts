/** Run records as lines of text. */
import type { RunRecord } from "../pipeline/run-record.ts";

const at = (time: number): string => new Date(time).toISOString().slice(0, 19).replace("T", " ");
const headline = ({ metrics }: RunRecord): string => {
  const figure = (name: string): string | null =>
    metrics.find((metric) => metric.name === name && metric.slice === "test")?.value.toFixed(4) ?? null;
  return ["roc_auc", "average_precision", "ndcg_at_10", "hit_rate_at_10"]
    .flatMap((name) => (figure(name) === null ? [] : [`${name} ${figure(name)}`]))
    .join(", ");
};

export function listRuns(records: readonly RunRecord[]): string[] {
  if (records.length === 0) return ["no run yet: `edgewise train` makes one"];
  return table([
    ["RUN", "STATE", "BEGAN (UTC)", "VERSION", "FIGURES"],
    ...records.map((record) => [
      record.id,
      stateOf(record),
      at(record.startedAt),
      record.version?.slice(0, 12) ?? "",
      headline(record),
    ]),
  ]);
}

export function describeRun(record: RunRecord): string[] {
  const { pin, rows, options, environment } = record;
  const facts: [string, string][] = [
    ["run", record.id],
    ["model", `${record.model} (${record.kind})`],
    ["state", stateOf(record)],
    ["began", `${at(record.startedAt)} UTC${record.resumed > 0 ? `, taken up again ${record.resumed} times` : ""}`],
    ["version", record.version ?? "none"],
    ["data", record.dataHash ?? "not built"],
    ["features", `${record.featureService.name} ${record.featureService.hash.slice(0, 12)}`],
    ["rows", rows === null ? "" : `${rows.train} to learn from, ${rows.test} to judge`],
    ["champion", pin?.champion ?? "none"],
    ["seed", String(record.seed)],
    ["search", `${options.trials} trials`],
    ["code", `${environment.codeVersion}, sources ${environment.sourceHash.slice(0, 12)}`],
    ["machine", `${environment.cpu}, ${environment.cores} cores, Node ${environment.node}`],
    ["parameters", JSON.stringify(record.parameters)],
  ];
  return [
    ...facts.map(([name, value]) => `${name.padEnd(12)}${value}`),
    ...block("reasons", record.reasons),
    ...block(
      "stages",
      record.stages.map(
        ({ stage, seconds, reused, hash }) =>
          `${stage.padEnd(10)} ${reused ? "known  " : `${seconds.toFixed(1)} s`.padEnd(7)} ${hash.slice(0, 12)}`,
      ),
    ),
    ...block(
      "gates",
      record.gates.map(({ passed, reason }) => `${passed ? "passed " : "REFUSED"} ${reason}`),
    ),
    ...block(
      "metrics",
      record.metrics.map((metric) => `${metric.slice}/${metric.name} ${metric.value.toFixed(5)}${interval(metric)}`),
    ),
    ...block(
      "notes",
      record.notes.map(({ stage, text }) => `${stage}: ${text}`),
    ),
    ...block(
      "trials",
      record.trials.map(
        ({ loss, note, parameters }) => `${loss?.toFixed(5) ?? "-"} ${note} ${JSON.stringify(parameters)}`,
      ),
    ),
  ];
}

/** What differs: parameters, data, code, then metrics side by side, and which gates went otherwise. */
export function compareRuns(a: RunRecord, b: RunRecord): string[] {
  const inputs = [
    ["data", a.dataHash, b.dataHash],
    ["features", a.featureService.hash, b.featureService.hash],
    ["seed", a.seed, b.seed],
    ["champion", a.pin?.champion, b.pin?.champion],
    ["code", a.environment.codeVersion, b.environment.codeVersion],
    ["sources", a.environment.sourceHash, b.environment.sourceHash],
    ["version", a.version, b.version],
    ...[...new Set([...Object.keys(a.parameters), ...Object.keys(b.parameters)])].map((name) => [
      `parameter ${name}`,
      JSON.stringify(a.parameters[name]),
      JSON.stringify(b.parameters[name]),
    ]),
  ].map((row) => row.map((cell) => shorten(String(cell ?? "none"))));
  const differing = inputs.filter(([, left, right]) => left !== right);
  const figures = a.metrics.flatMap((left) => {
    const right = b.metrics.find(({ name, slice }) => name === left.name && slice === left.slice);
    if (!right) return [];
    const change = right.value - left.value;
    return [
      [
        `${left.slice}/${left.name}`,
        left.value.toFixed(5),
        right.value.toFixed(5),
        `${change >= 0 ? "+" : ""}${change.toFixed(5)}`,
      ],
    ];
  });
  return [
    `a: ${a.id} (${stateOf(a)})`,
    `b: ${b.id} (${stateOf(b)})`,
    ...(differing.length === 0 ? ["nothing that went in differs"] : table([["DIFFERS", "A", "B"], ...differing])),
    ...(figures.length === 0 ? [] : ["", ...table([["METRIC", "A", "B", "B - A"], ...figures])]),
    ...(a.dataHash === b.dataHash ? [] : ["", "the rows differ, so the metrics are of different rows"]),
    ...block("refused in a", a.reasons),
    ...block("refused in b", b.reasons),
  ];
}

function stateOf({ state, stage }: RunRecord): string {
  return state === "running" ? `running or stopped in ${stage}` : state;
}

function interval({ low, high }: RunRecord["metrics"][number]): string {
  return low === null || high === null ? "" : ` (95 % ${low.toFixed(5)} to ${high.toFixed(5)})`;
}

const shorten = (text: string): string => (text.length <= 24 ? text : `${text.slice(0, 21)}...`);
const block = (title: string, lines: readonly string[]): string[] =>
  lines.length === 0 ? [] : ["", `${title}:`, ...lines.map((line) => `  ${line}`)];

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/**
 * The model card: what a version is for, what it was made from, how it did, where it stops. Written from the record of the run alone,
 * without times or names of runs, so the same run gives the same card; it is a file of the version. Follows Mitchell et al. 2019.
 */
import type { describeFile } from "../publish/publish-model.ts";
import type { CardTable, CardText } from "./model-definition.ts";
import type { RunRecord } from "./run-record.ts";

export function modelCard(
  about: CardText,
  record: RunRecord,
  files: readonly ReturnType<typeof describeFile>[],
): string {
  const sections = [
    `# ${record.model}`,
    about.purpose,
    section("Intended use", [about.intendedUse, `Owner: ${about.owner}`]),
    section("Made from", madeFrom(record)),
    section("Gates", list(record.gates.map(({ reason }) => reason))),
    section("Metrics", [metricsTable(record)]),
    ...record.tables.map((table) => section(table.title, [markdownTable(table)])),
    section("Limits", list(about.limits)),
    section("Parameters", [markdownTable({ title: "", columns: ["Parameter", "Value"], rows: parameterRows(record) })]),
    ...(record.trials.length > 0 ? [section("Search", [searchText(record)])] : []),
    section(
      "Files",
      list(files.map(({ path, bytes, sha256 }) => `\`${path}\`, ${bytes} bytes, SHA-256 \`${sha256}\``)),
    ),
  ];
  return `${sections.join("\n\n")}\n`;
}

function section(title: string, lines: readonly string[]): string {
  return `## ${title}\n\n${lines.join("\n")}`;
}

const list = (items: readonly string[]): string[] => items.map((item) => `- ${item}`);
const day = (at: number): string => new Date(at).toISOString().slice(0, 10);

function madeFrom({ rows, dataHash, featureService, pin, environment, seed, notes, engine }: RunRecord): string[] {
  return list([
    ...notes.filter(({ stage }) => stage !== "parity").map(({ text }) => text),
    `${rows?.train ?? 0} rows to learn from, ${rows === null ? "" : `${day(rows.trainedFrom)} to ${day(rows.trainedTo)}`}; ${rows?.test ?? 0} later rows to judge`,
    `data \`${dataHash ?? ""}\``,
    `features ${featureService.name} \`${featureService.hash}\``,
    `compared with ${pin?.champion == null ? "no champion" : `version \`${pin.champion}\``}`,
    `code ${environment.codeVersion}, seed ${seed}, served by the ${engine ?? "unknown"} engine`,
  ]);
}

function metricsTable({ metrics }: RunRecord): string {
  const rows = metrics.map(({ name, slice, value, low, high }) => [
    name,
    slice,
    value.toFixed(5),
    low === null || high === null ? "" : `${low.toFixed(5)} to ${high.toFixed(5)}`,
  ]);
  return markdownTable({ title: "", columns: ["Metric", "Rows", "Value", "95 %"], rows });
}

function parameterRows({ parameters }: RunRecord): string[][] {
  return Object.keys(parameters)
    .toSorted()
    .map((name) => [name, JSON.stringify(parameters[name])]);
}

function searchText({ trials }: RunRecord): string {
  const judged = trials.flatMap(({ loss }) => loss ?? []);
  const best =
    judged.length === 0
      ? "none could be judged"
      : `least loss ${Math.min(...judged).toFixed(5)}, of the defaults ${trials[0]?.loss?.toFixed(5) ?? "unknown"}`;
  return `${trials.length} trials on the rows to learn from; ${best}.`;
}

function markdownTable({ columns, rows }: CardTable): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...rows.map(line)].join("\n");
}

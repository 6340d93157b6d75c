/** `edgewise features`: what is defined, what changed, what a value is made of. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defineCommand } from "citty";
import { parse as parseCsv } from "csv-parse/sync";
import { parse } from "yaml";
import { explainFeature, type FeatureExplanation } from "../../models/contract/api/features.ts";
import { FEATURE_CATALOG, FRAUD_FEATURES, featureService } from "../../models/catalog/feature-catalog.ts";
import {
  diffServices,
  type RegistryChange,
  serviceDocument,
  type ServiceDocument,
} from "../../models/features/registry.ts";
import { connectionArgs } from "../client/connection.ts";
import { buildFeatures } from "../features/build-features.ts";
import { checkRegistry, generateRegistry, readRegistry } from "../features/registry-files.ts";
import { asUserError, connectOrExplain } from "./connection.ts";
import { consistency } from "./features-consistency.ts";
import { load } from "./features-load.ts";
import { reshard } from "./features-reshard.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

const service = {
  type: "positional",
  description: "feature service",
  valueHint: "SERVICE",
  required: true,
} as const;

function documentOf(name: string): ServiceDocument {
  const found = featureService(name);
  if (!found) throw new UserError(`there is no feature service ${name}; there is ${serviceNames()}`, 2);
  return serviceDocument(found.definition);
}

function serviceNames(): string {
  return FEATURE_CATALOG.services.map((definition) => definition.name).join(", ");
}

const list = strictCommand({
  meta: { name: "list", description: "Services and groups" },
  args: {},
  run: () => {
    for (const definition of FEATURE_CATALOG.services) {
      const document = serviceDocument(definition);
      console.log(
        `${document.name}  ${document.features.length} features  ${document.hash.slice(0, 12)}  ${document.owner}`,
      );
      for (const group of document.groups) console.log(`  ${group.name}  ${group.entity}  ${group.keep}`);
    }
  },
});

const show = strictCommand({
  meta: { name: "show", description: "One service with its features, or one feature" },
  args: {
    service,
    feature: { type: "positional", description: "one feature only", valueHint: "FEATURE", required: false },
  },
  run: ({ args }) => {
    const document = documentOf(args.service);
    const all = [...document.features, ...document.support];
    const wanted = args.feature === undefined ? all : all.filter((feature) => feature.name === args.feature);
    if (wanted.length === 0) throw new UserError(`service ${document.name} has no feature ${args.feature}`, 2);
    console.log(`${document.name} ${document.hash}\n${document.description}`);
    for (const feature of wanted) {
      const place = feature.position === null ? "   -" : String(feature.position).padStart(4);
      console.log(`${place}  ${feature.name}\n      ${feature.description}\n      ${definitionLine(feature)}`);
    }
  },
});

function definitionLine(feature: ServiceDocument["features"][number]): string {
  if (feature.group === null) return feature.definition;
  const own = feature.countsRequest ? ", the request included" : "";
  return `${feature.definition} of ${feature.group} over ${feature.window}${own}`;
}

const diff = strictCommand({
  meta: {
    name: "diff",
    description: "What a service's definitions change against its checked-in page, or another page",
  },
  args: { service, against: { type: "string", description: "another page (YAML file)", valueHint: "FILE" } },
  run: ({ args }) => {
    const now = documentOf(args.service);
    const before =
      args.against === undefined
        ? readRegistry(args.service)
        : (parse(readFileSync(args.against, "utf8")) as ServiceDocument);
    if (before === null)
      throw new UserError(`${args.service} has no checked-in page; run "edgewise features generate"`);
    const changes = diffServices(before, now);
    console.log(changes.length === 0 ? "no difference" : changes.map(changeLine).join("\n"));
  },
});

function changeLine(change: RegistryChange): string {
  const values = [change.from === null ? "" : `- ${change.from}`, change.to === null ? "" : `+ ${change.to}`];
  const lines = values.filter((line) => line !== "").map((line) => `    ${line}`);
  return [`${change.change} ${change.what} ${change.name}`, ...lines].join("\n");
}

const validate = strictCommand({
  meta: { name: "validate", description: "Check definitions and their checked-in pages" },
  args: {},
  run: () => {
    const problems = checkRegistry();
    for (const { text, changes } of problems) console.log([text, ...changes.map(changeLine)].join("\n"));
    if (problems.length > 0) throw new UserError(`${problems.length} problems`);
    console.log(`${FEATURE_CATALOG.services.length} services, ${FEATURE_CATALOG.groups.length} groups: valid`);
  },
});

const generate = strictCommand({
  meta: { name: "generate", description: "Write the registry's pages from the definitions" },
  args: {
    unpublished: {
      type: "boolean",
      description: "replace changed pages too: no model may be pinned to them",
      default: false,
    },
  },
  run: ({ args }) => {
    const { written, refused } = generateRegistry(args.unpublished);
    console.log(`written: ${written.join(", ") || "none"}`);
    for (const { text, changes } of refused) console.log([text, ...changes.map(changeLine)].join("\n"));
    if (refused.length > 0) throw new UserError(`${refused.length} pages were not replaced`);
  },
});

const explain = strictCommand({
  meta: { name: "explain", description: "How a value comes about now, asked of a running Worker" },
  args: {
    feature: { type: "positional", description: "feature", valueHint: "FEATURE", required: true },
    entity: { type: "positional", description: "entity as the shop knows it", valueHint: "TYPE:ID,…", required: true },
    service: { type: "string", description: "feature service", valueHint: "SERVICE", default: FRAUD_FEATURES.name },
    asOf: { type: "string", description: "as of this time, at most 24 hours ago", valueHint: "TIME" },
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const query = { ...entitiesOf(args.entity), ...(args.asOf === undefined ? {} : { asOf: args.asOf }) };
    const { body } = await connectOrExplain(args)
      .call(explainFeature, { params: { service: args.service, feature: args.feature }, query })
      .catch(asUserError);
    console.log(explanationText(body));
  },
});

/** `customer:cus-7`, or `customer:cus-7,product:p1` for what is kept of both together. */
function entitiesOf(text: string): Record<string, string> {
  const entities: Record<string, string> = {};
  for (const entity of text.split(",")) {
    const [, type, id] = /^([a-z]+):(.+)$/.exec(entity) ?? [];
    if (type === undefined || id === undefined)
      throw new UserError(`"${entity}" is no entity; write TYPE:ID, such as customer:cus-7`, 2);
    entities[type] = id;
  }
  return entities;
}

function explanationText(explained: FeatureExplanation): string {
  const age = explained.ageSeconds === null ? "" : `, newest fact ${Math.round(explained.ageSeconds)} s old`;
  const lines = [
    `${explained.name} = ${explained.value ?? "missing"} (${explained.status}${age})`,
    explained.description,
  ];
  lines.push(`${explained.definition}${explained.group === null ? "" : ` of ${explained.group}`}`);
  if (explained.window) {
    const after = explained.window.after ?? "the first fact";
    const tiled = explained.tiledFacts ? ` and ${explained.tiledFacts} in tiles` : "";
    lines.push(`after ${after} until ${explained.window.until}: ${explained.facts ?? 0} facts${tiled}`);
  }
  for (const { name, value } of explained.inputs) lines.push(`  ${name} = ${value ?? "missing"}`);
  for (const { time, values } of explained.newest) {
    const columns = Object.entries(values).map(([name, value]) => `${name} ${value ?? "missing"}`);
    lines.push(`  ${time}  ${columns.join(", ")}`);
  }
  return lines.join("\n");
}

const build = strictCommand({
  meta: { name: "build", description: "Point-in-time training rows from an event log, in bounded memory" },
  args: {
    events: {
      type: "string",
      description: "folder or file of stored events, NDJSON or NDJSON.gz",
      valueHint: "PATH",
      required: true,
    },
    out: { type: "string", description: "Parquet file to write", valueHint: "FILE", required: true },
    labels: {
      type: "string",
      description: "CSV with a column order_id: the rows wanted; default all",
      valueHint: "FILE",
    },
    service: { type: "string", description: "feature service", valueHint: "SERVICE", default: FRAUD_FEATURES.name },
    maturityDays: {
      type: "string",
      description: "days after which an unlabelled row is negative",
      valueHint: "N",
      default: "30",
    },
    from: { type: "string", description: "first as-of time", valueHint: "TIME" },
    to: { type: "string", description: "end of as-of times", valueHint: "TIME" },
    threads: { type: "string", description: "threads; default: one per core", valueHint: "N" },
  },
  run: async ({ args }) => {
    const service = featureService(args.service);
    if (!service) throw new UserError(`there is no feature service ${args.service}; there is ${serviceNames()}`, 2);
    const files = eventFiles(args.events);
    const report = await buildFeatures({
      files,
      service,
      out: args.out,
      maturityMs: positive("--maturity-days", args.maturityDays) * 86_400_000,
      threads: args.threads === undefined ? availableParallelism() : positive("--threads", args.threads),
      ...(args.from === undefined ? {} : { from: time("--from", args.from) }),
      ...(args.to === undefined ? {} : { to: time("--to", args.to) }),
      ...(args.labels === undefined ? {} : { wanted: wantedRows(args.labels) }),
      onStage: (text) => console.error(text),
    });
    console.log(
      `${report.rows} rows (${report.positives} positive, ${report.immature} left out as too young) from ${report.events} events ` +
        `in ${report.seconds.toFixed(1)} s: ${args.out}`,
    );
  },
});

function eventFiles(path: string): string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new UserError(`${path} does not exist`, 2);
  if (found.isFile()) return [path];
  const files = readdirSync(path, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(ndjson|jsonl)(\.gz)?$/.test(name))
    .toSorted()
    .map((name) => join(path, name));
  if (files.length === 0) throw new UserError(`${path} has no .ndjson or .ndjson.gz files`, 2);
  return files;
}

function wantedRows(file: string): Set<string> {
  const rows = parseCsv<Record<string, string>>(readFileSync(file), { columns: true, skip_empty_lines: true });
  const ids = rows.map((row) => row["order_id"] ?? row["orderId"]);
  if (ids.length === 0 || ids[0] === undefined)
    throw new UserError(`${file} needs a column order_id and at least one row`, 2);
  return new Set(ids.filter((id) => id !== undefined));
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new UserError(`${option} needs a number above 0, not "${text}"`, 2);
  return value;
}

function time(option: string, text: string): number {
  const value = Date.parse(text);
  if (Number.isNaN(value)) throw new UserError(`${option} needs a time such as 2026-03-01T00:00:00Z, not "${text}"`, 2);
  return value;
}

export const features = defineCommand({
  meta: { name: "features", description: "Look at feature definitions, build training rows, load values" },
  subCommands: { list, show, diff, validate, generate, explain, build, load, reshard, consistency },
});

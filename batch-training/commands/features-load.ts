import { FEATURE_CATALOG, FEATURE_SERVICES } from "../../models/catalog/feature-catalog.ts";
import { loadFeatures, type LoadedRow, MAX_LOAD_ROWS } from "../../models/contract/api/feature-loads.ts";
import { connectionArgs } from "../client/connection.ts";
import { checkLoad, readLoad } from "../features/read-load.ts";
import { qualityText } from "../../models/features/quality.ts";
import { TableError } from "../sources/table.ts";
import { asUserError, connectOrExplain } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

export const load = strictCommand({
  meta: {
    name: "load",
    description:
      "Load values computed elsewhere into a batch-loaded group. The whole file is checked before anything is sent; run it again to resume",
  },
  args: {
    group: { type: "string", description: "batch-loaded group", valueHint: "NAME@VERSION", required: true },
    file: {
      type: "string",
      description: "CSV, NDJSON or Parquet with the columns entity, at and the group's",
      valueHint: "FILE",
      required: true,
    },
    batch: { type: "string", description: "name of the load; default: the time", valueHint: "NAME" },
    at: {
      type: "string",
      description: "when the values were true, where the file has no column at",
      valueHint: "TIME",
    },
    force: { type: "boolean", description: "load although a quality check failed", default: false },
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const group = FEATURE_CATALOG.groupByName(args.group);
    if (!group || group.definition.source.events.length > 0) {
      const loaded = FEATURE_CATALOG.groups.filter((one) => one.definition.source.events.length === 0);
      throw new UserError(
        `${args.group} is no batch-loaded group; there is ${loaded.map((one) => one.name).join(", ")}`,
        2,
      );
    }
    const rows: LoadedRow[] = [];
    try {
      for await (const row of readLoad(args.file, group.columnNames, args.at ?? null)) rows.push(row);
    } catch (error) {
      if (error instanceof TableError) throw new UserError(`${error.message}; nothing was sent`);
      throw error;
    }
    const report = checkLoad(group, FEATURE_SERVICES, rows, Date.now());
    console.log(qualityText(report));
    if (report.findings.length > 0 && !args.force) throw new UserError("nothing was sent; --force loads all the same");
    const client = connectOrExplain(args);
    const batch = args.batch ?? `load-${new Date().toISOString().replaceAll(/[^0-9TZ]/g, "")}`;
    let applied = 0;
    for (let part = 0; part * MAX_LOAD_ROWS < rows.length; part++) {
      const { body } = await client
        .call(loadFeatures, {
          params: { group: args.group },
          body: { batch, part, rows: rows.slice(part * MAX_LOAD_ROWS, (part + 1) * MAX_LOAD_ROWS) },
        })
        .catch(asUserError);
      applied += body.applied;
    }
    console.log(`${rows.length} rows: ${applied} new, ${rows.length - applied} were there`);
  },
});

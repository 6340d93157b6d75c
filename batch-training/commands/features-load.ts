import { setTimeout as sleep } from "node:timers/promises";
import { FEATURE_CATALOG, FEATURE_SERVICES } from "../../models/catalog/feature-catalog.ts";
import type { LoadedRow } from "../../models/contract/api/feature-loads.ts";
import type { CompiledGroup } from "../../models/features/catalog.ts";
import { connectionArgs } from "../client/connection.ts";
import { checkLoad, readLoad } from "../features/read-load.ts";
import { fingerprint, sendLoad } from "../features/send-load.ts";
import { qualityText } from "../../models/features/quality.ts";
import { TableError } from "../sources/table.ts";
import { asUserError, connectOrExplain } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

export const load = strictCommand({
  meta: {
    name: "load",
    description:
      "Load values computed elsewhere into a batch-loaded group. The whole file is checked before anything is sent, and becomes visible at one moment; run it again to resume",
  },
  args: {
    group: { type: "string", description: "batch-loaded group", valueHint: "NAME@VERSION", required: true },
    file: {
      type: "string",
      description: "CSV, NDJSON or Parquet with the columns entity, at and the group's",
      valueHint: "FILE",
      required: true,
    },
    batch: { type: "string", description: "name of the load; default: by its content", valueHint: "NAME" },
    every: {
      type: "string",
      description: "load the file again after so many minutes, as it is then",
      valueHint: "MINUTES",
    },
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
    const client = connectOrExplain(args);
    const loadOnce = async (): Promise<void> => {
      const rows = await checkedRows(group, args);
      const batch = args.batch ?? `load-${fingerprint(args.group, rows)}`;
      console.log(await sendLoad(client, { group: args.group, batch, rows }).catch(asUserError));
    };
    if (args.every === undefined) return await loadOnce();
    const pauseMs = minutes(args.every) * 60_000;
    for (;;) {
      // A load that fails is told, and the next one is made all the same: that is what the schedule is for.
      await loadOnce().catch((error: unknown) => {
        if (!(error instanceof UserError)) throw error;
        console.error(error.message);
      });
      await sleep(pauseMs);
    }
  },
});

/** The file's rows, checked as a whole. @throws UserError where anything is wrong: nothing was sent */
async function checkedRows(
  group: CompiledGroup,
  args: { readonly file: string; readonly at?: string | undefined; readonly force: boolean },
): Promise<LoadedRow[]> {
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
  return rows;
}

function minutes(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new UserError(`--every needs a number above 0, not "${text}"`, 2);
  return value;
}

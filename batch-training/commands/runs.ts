/** `edgewise runs`: what was trained here, from what, with what outcome. */
import { defineCommand } from "citty";
import { nodeFiles } from "../pipeline/file-system.ts";
import { type RunRecord, RunRecords } from "../pipeline/run-record.ts";
import { strictCommand } from "./run-cli.ts";
import { asUserErrors, homeOf, wholeNumber } from "./train.ts";
import { compareRuns, describeRun, listRuns } from "./describe-runs.ts";

const home = { type: "string", description: "where runs lie; default: the local state", valueHint: "FOLDER" } as const;
const json = { type: "boolean", default: false, description: "as JSON" } as const;

const records = (folder: string | undefined): RunRecords => new RunRecords(nodeFiles, homeOf(folder));

function print(lines: readonly string[], asJson: boolean, value: RunRecord | readonly RunRecord[]): void {
  if (asJson) console.log(JSON.stringify(value, null, 2));
  else for (const line of lines) console.log(line);
}

const list = strictCommand({
  meta: { name: "list", description: "Runs, newest first" },
  args: {
    model: { type: "string", description: "of this model only", valueHint: "NAME" },
    limit: { type: "string", default: "20", description: "so many at most", valueHint: "N" },
    home,
    json,
  },
  run: async ({ args }) => {
    const limit = wholeNumber("limit", args.limit, [1, 100_000]);
    const all = await asUserErrors(() => records(args.home).list());
    const shown = all.filter(({ model }) => args.model === undefined || model === args.model).slice(0, limit);
    print(listRuns(shown), args.json, shown);
  },
});

const show = strictCommand({
  meta: { name: "show", description: "One run: inputs, stages, gates, metrics, outcome" },
  args: {
    run: {
      type: "positional",
      required: true,
      description: "id, a part of it, latest, or the version it made",
      valueHint: "RUN",
    },
    home,
    json,
  },
  run: async ({ args }) => {
    const record = await asUserErrors(() => records(args.home).find(args.run));
    print(describeRun(record), args.json, record);
  },
});

const compare = strictCommand({
  meta: { name: "compare", description: "What differs between two runs" },
  args: {
    a: { type: "positional", required: true, description: "a run", valueHint: "RUN" },
    b: { type: "positional", required: true, description: "another", valueHint: "RUN" },
    home,
    json,
  },
  run: async ({ args }) => {
    const [a, b] = await asUserErrors(
      async () => [await records(args.home).find(args.a), await records(args.home).find(args.b)] as const,
    );
    print(compareRuns(a, b), args.json, [a, b]);
  },
});

export const runs = defineCommand({
  meta: { name: "runs", description: "Records of training runs" },
  subCommands: { list, show, compare },
});

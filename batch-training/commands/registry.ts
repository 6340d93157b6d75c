/** `edgewise models`, `promote`, `rollback`, `dead-letters`: what an operator does with a running system. */
import { defineCommand } from "citty";
import { listDeadLetters, replayDeadLetters } from "../../models/contract/api/events.ts";
import {
  getModel,
  getRoutingHistory,
  listModels,
  rebuildRegistry,
  rollbackModel,
  type RoutingRecord,
} from "../../models/contract/api/models.ts";
import type { ApiClient } from "../client/api-client.ts";
import { connectionArgs } from "../client/connection.ts";
import { cleanUpOld, indexVersion, promoteVersion } from "../publish/promote-version.ts";
import { asUserError, connectOrExplain } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

const name = { type: "positional", description: "model name", valueHint: "MODEL", required: true } as const;
const versionArgument = {
  type: "positional",
  description: "version, or enough of its beginning",
  valueHint: "VERSION",
  required: true,
} as const;
const notice = (line: string): void => console.error(line);

const list = strictCommand({
  meta: { name: "list", description: "Models and what serves" },
  args: connectionArgs,
  run: async ({ args }) => {
    const { body } = await connectOrExplain(args).call(listModels).catch(asUserError);
    if (body.models.length === 0) console.log("No model is registered.");
    for (const model of body.models) {
      console.log(
        `${model.name}  ${model.kind}  serving ${short(model.routing?.serving ?? null)}  epoch ${model.routing?.epoch ?? 0}`,
      );
    }
  },
});

const show = strictCommand({
  meta: { name: "show", description: "Versions of a model with their figures" },
  args: { name, ...connectionArgs },
  run: async ({ args }) => {
    const { body } = await connectOrExplain(args)
      .call(getModel, { params: { name: args.name } })
      .catch(asUserError);
    for (const version of body.versions) {
      const figures = version.metrics
        .filter((metric) => metric.slice === "test")
        .map((metric) => `${metric.name} ${metric.value.toFixed(4)}`)
        .join("  ");
      console.log(
        `${version.version}  ${version.status.padEnd(10)}  ${version.engine}  ${new Date(version.registeredAt).toISOString()}  ${figures}`,
      );
    }
  },
});

const history = strictCommand({
  meta: { name: "history", description: "What served when" },
  args: { name, ...connectionArgs },
  run: async ({ args }) => {
    const { body } = await connectOrExplain(args)
      .call(getRoutingHistory, { params: { name: args.name } })
      .catch(asUserError);
    for (const record of body.history) console.log(describeRouting(record));
  },
});

const rebuild = strictCommand({
  meta: { name: "rebuild", description: "Rebuild the registry's tables from the stored artefacts" },
  args: connectionArgs,
  run: async ({ args }) => {
    const { body } = await connectOrExplain(args).call(rebuildRegistry).catch(asUserError);
    console.log(`${body.models} models, ${body.versions} versions`);
    for (const entry of body.refused) console.log(`refused ${entry.key}: ${entry.reason}`);
  },
});

const index = strictCommand({
  meta: {
    name: "index",
    description: "Write a version's vectors into the vector index, before a promotion or a rollback to it",
  },
  args: { name, version: versionArgument, ...connectionArgs },
  run: async ({ args }) => {
    const client = connectOrExplain(args);
    const version = await fullVersion(client, args.name, args.version);
    await indexVersion(client, args.name, version, { notice }).catch(asUserError);
  },
});

const cleanup = strictCommand({
  meta: { name: "cleanup", description: "Remove vectors of versions that neither serve nor are gone back to" },
  args: { name, ...connectionArgs },
  run: async ({ args }) => {
    const done = await cleanUpOld(connectOrExplain(args), args.name).catch(asUserError);
    console.log(done ? "Nothing is left to remove." : "The removal is under way; ask again in some minutes.");
  },
});

export const models = defineCommand({
  meta: { name: "models", description: "Look at the registry" },
  subCommands: { list, show, history, rebuild, index, cleanup },
});

export const promote = strictCommand({
  meta: { name: "promote", description: "Make a version serve" },
  args: {
    name,
    version: versionArgument,
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const client = connectOrExplain(args);
    const version = await fullVersion(client, args.name, args.version);
    console.log(describeRouting(await promoteVersion(client, args.name, version, { notice }).catch(asUserError)));
  },
});

export const rollback = strictCommand({
  meta: { name: "rollback", description: "Go back to the version that served before" },
  args: { name, ...connectionArgs },
  run: async ({ args }) => {
    const { body } = await connectOrExplain(args)
      .call(rollbackModel, { params: { name: args.name } })
      .catch(asUserError);
    console.log(describeRouting(body));
  },
});

const deadLetterList = strictCommand({
  meta: { name: "list", description: "Events that could not be processed, newest first" },
  args: connectionArgs,
  run: async ({ args }) => {
    const { body } = await connectOrExplain(args).call(listDeadLetters, { query: {} }).catch(asUserError);
    if (body.deadLetters.length === 0) console.log("No dead letters.");
    for (const letter of body.deadLetters) {
      console.log(
        `${letter.deadLetterId}  ${new Date(letter.storedAt).toISOString()}  ${letter.reason}  ${letter.type ?? "?"}  ${letter.eventId ?? "?"}  ${letter.detail}`,
      );
    }
  },
});

const deadLetterReplay = strictCommand({
  meta: { name: "replay", description: "Put dead letters back on the queue" },
  args: {
    ids: { type: "string", description: "comma-separated ids", valueHint: "ID,ID", required: true },
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const deadLetterIds = args.ids.split(",").map(Number);
    if (deadLetterIds.some((id) => !Number.isInteger(id) || id < 1))
      throw new UserError("--ids takes numbers, such as 3,4,9", 2);
    const { body } = await connectOrExplain(args)
      .call(replayDeadLetters, { body: { deadLetterIds } })
      .catch(asUserError);
    for (const result of body.results)
      console.log(`${result.deadLetterId}  ${result.status}${result.reason ? `  ${result.reason}` : ""}`);
  },
});

export const deadLetters = defineCommand({
  meta: { name: "dead-letters", description: "Events that could not be processed" },
  subCommands: { list: deadLetterList, replay: deadLetterReplay },
});

/** Shortest beginning of a version that is taken for it. */
const MIN_PREFIX = 6;

async function fullVersion(client: ApiClient, model: string, prefix: string): Promise<string> {
  if (prefix.length === 64) return prefix;
  if (prefix.length < MIN_PREFIX) throw new UserError(`give at least ${MIN_PREFIX} characters of the version`, 2);
  const { body } = await client.call(getModel, { params: { name: model } }).catch(asUserError);
  const found = body.versions.filter((entry) => entry.version.startsWith(prefix));
  if (found.length !== 1 || !found[0]) throw new UserError(`${found.length} versions of ${model} begin with ${prefix}`);
  return found[0].version;
}

function describeRouting(record: RoutingRecord): string {
  const when = new Date(record.changedAt).toISOString();
  return `${record.model}  epoch ${record.epoch}  ${short(record.serving)}  ${record.reason ?? "-"} by ${record.changedBy} at ${when}`;
}

function short(version: string | null): string {
  return version === null ? "nothing" : version.slice(0, 12);
}

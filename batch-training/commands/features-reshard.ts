import { setTimeout as sleep } from "node:timers/promises";
import { advanceReshard, getFeatureShards, type ReshardProgress } from "../../models/contract/api/feature-shards.ts";
import { objectOfShard, VIRTUAL_SHARDS } from "../../models/sharding/virtual-shards.ts";
import type { ApiClient } from "../client/api-client.ts";
import { connectionArgs } from "../client/connection.ts";
import { asUserError, connectOrExplain } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

/** Between two looks at a phase that waits, milliseconds. */
const POLL_MS = 15_000;

export const reshard = strictCommand({
  meta: {
    name: "reshard",
    description:
      "Move entity state to another number of objects, while decisions and events go on. Says when to deploy; run it again to go on after an interruption",
  },
  args: {
    objects: { type: "string", description: "objects from now on, 1 to 1024", valueHint: "N", required: true },
    plan: { type: "boolean", description: "say what would move, and stop", default: false },
    wait: { type: "boolean", description: "stay until it is done, deployment included", default: false },
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const objects = Number(args.objects);
    if (!Number.isInteger(objects) || objects < 1 || objects > VIRTUAL_SHARDS)
      throw new UserError(`--objects needs a whole number from 1 to ${VIRTUAL_SHARDS}, not "${args.objects}"`, 2);
    const client = connectOrExplain(args);
    const { body: layout } = await client.call(getFeatureShards).catch(asUserError);
    console.log(planText(layout.objects, objects));
    if (args.plan) return;
    let progress = await advance(client, objects);
    while (args.wait && progress.phase !== "done") {
      await sleep(POLL_MS);
      progress = await advance(client, objects);
    }
    console.log(nextText(progress));
  },
});

/** Works until the reshard is done or has to wait. */
async function advance(client: Pick<ApiClient, "call">, objects: number): Promise<ReshardProgress> {
  let shown = "";
  for (;;) {
    const { body } = await client.call(advanceReshard, { body: { objects, pages: 20 } }).catch(asUserError);
    const line = progressText(body);
    if (line !== shown) console.log(line);
    shown = line;
    if (body.phase === "done" || isWaiting(body)) return body;
  }
}

function isWaiting({ phase, readyAt }: ReshardProgress): boolean {
  return phase === "waiting-for-deployment" || (phase === "settling" && Date.parse(readyAt ?? "") > Date.now());
}

/** How many of the virtual shards change their object. */
export function planText(from: number, to: number): string {
  let moving = 0;
  for (let shard = 0; shard < VIRTUAL_SHARDS; shard++)
    if (objectOfShard(shard, from) !== objectOfShard(shard, to)) moving++;
  return `${from} objects serve; with ${to}, ${moving} of ${VIRTUAL_SHARDS} virtual shards move`;
}

export function progressText({ phase, from, object, moved, dropped }: ReshardProgress): string {
  const place = phase.startsWith("copying") ? `, object ${Math.min(object + 1, from)} of ${from}` : "";
  return `${phase}${place}: ${moved} rows copied, ${dropped} dropped`;
}

export function nextText({ phase, to, readyAt }: ReshardProgress): string {
  if (phase === "waiting-for-deployment")
    return `Set ENTITY_SHARD_OBJECTS = "${to}" in wrangler.toml, deploy, and run this again at once.`;
  if (phase === "settling") return `Run this again after ${readyAt}: until then the old deployment may still write.`;
  return phase === "done" ? `Done: ${to} objects hold everything.` : "Run this again to go on.";
}

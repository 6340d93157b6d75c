/** `edgewise simulate` and `edgewise import cards`: histories sent to a Worker, however often they are interrupted. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { defineCommand } from "citty";
import type { InboundEvent } from "../../models/contract/events.ts";
import type { ApiClient } from "../client/api-client.ts";
import { connectionArgs } from "../client/connection.ts";
import { writeAtomically } from "../local/local-state.ts";
import { simulateShop } from "../simulator/simulate-shop.ts";
import { DEFAULT_DAYS } from "../simulator/world.ts";
import { CardFileError } from "../sources/cards/read-card-rows.ts";
import { type CardImport, describeCardImport, planCardImport } from "../sources/handbook-cards.ts";
import { fileLedger, type Ledger } from "../sources/send/ledger.ts";
import { LIVE_SEND_DEPS } from "../sources/send/live-deps.ts";
import type { SendProgress } from "../sources/send/transfer.ts";
import { sendEvents, type SendReport, UnappliedError } from "../sources/send-events.ts";
import { asUserError, connectOrExplain, STATE_FOLDER } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

const json = { type: "string", description: "write the result as JSON", valueHint: "FILE" } as const;
const state = {
  type: "string",
  description: "where it is noted how far the sending has come; default: .edgewise/histories",
  valueHint: "DIR",
} as const;
const fresh = {
  type: "boolean",
  default: false,
  description: "begin anew at the present time, instead of going on with the history of the last call",
} as const;

export const simulate = strictCommand({
  meta: { name: "simulate", description: "Send the past of a simulated shop" },
  args: {
    seed: { type: "string", default: "7", description: "decides everything", valueHint: "TEXT" },
    scale: { type: "string", default: "1", description: "1: about 115,000 events", valueHint: "X" },
    days: { type: "string", default: String(DEFAULT_DAYS), description: "length of the past", valueHint: "N" },
    fresh,
    state,
    json,
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const client = connectOrExplain(args);
    const { seed } = args;
    const scale = numberOf("scale", args.scale);
    const days = numberOf("days", args.days);
    const key = `shop ${client.baseUrl} ${seed} ${scale} ${days}`;
    const notes = notesIn(args.state);
    const end = notes.firstTime(key, args.fresh);
    let shop: ReturnType<typeof simulateShop>;
    try {
      shop = simulateShop({ seed, scale, end, days });
    } catch (error) {
      throw error instanceof RangeError ? new UserError(error.message, 2) : error;
    }
    function* events(): Generator<InboundEvent> {
      for (const { event } of shop.events()) yield event;
    }
    const sent = await send(client, events(), notes.ledger(`${key} ${end}`));
    await finish(args.json, { command: "simulate", seed, scale, days, end: new Date(end).toISOString(), sent });
  },
});

const cards = strictCommand({
  meta: { name: "cards", description: "Send card transactions with labels (CSV, .csv.gz) as payments and chargebacks" },
  args: {
    path: { type: "positional", description: "a file, or a folder of files", valueHint: "DIR", required: true },
    days: { type: "string", description: "only the last N days", valueHint: "N" },
    fresh,
    state,
    json,
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const client = connectOrExplain(args);
    const days = args.days === undefined ? null : numberOf("days", args.days);
    const path = resolve(args.path);
    const notes = notesIn(args.state);
    const plan = await planCardImport({
      path,
      days,
      // The first import of this data decides the shift, so that another call sends the same events.
      now: (sha256) => notes.firstTime(`cards ${client.baseUrl} ${sha256} ${days}`, args.fresh),
    }).catch(asFileError);
    describe(plan, days);
    const key = `cards ${client.baseUrl} ${plan.sha256} ${days} ${plan.offsetMs}`;
    const sent = await send(client, plan.events(), notes.ledger(key));
    await finish(args.json, { command: "import cards", path, days, import: plan, sent });
  },
});

export const importData = defineCommand({
  meta: { name: "import", description: "Send a data set as events" },
  subCommands: { cards },
});

function describe(plan: CardImport, days: number | null): void {
  console.log(describeCardImport(plan));
  for (const { file, reason } of plan.otherFiles) console.log(`not read: ${file} (${reason})`);
  for (const row of plan.refusedRows.slice(0, 10)) console.log(`refused: ${row.file}, line ${row.line}: ${row.reason}`);
  if (days !== null) console.log(`limited to the last ${days} days; older transactions are left out`);
}

interface Notes {
  /** The time of the first call with this key: a later call goes on with the same history. */
  firstTime(key: string, fresh: boolean): number;
  ledger(key: string): Ledger;
}

function notesIn(given: string | undefined): Notes {
  const folder = given === undefined ? join(STATE_FOLDER, "histories") : resolve(given);
  const fileOf = (key: string, ending: string): string =>
    join(folder, `${createHash("sha256").update(key).digest("hex").slice(0, 16)}.${ending}`);
  return {
    firstTime(key, fresh) {
      const file = fileOf(key, "time");
      const known = fresh || !existsSync(file) ? Number.NaN : Number(readFileSync(file, "utf8"));
      if (Number.isSafeInteger(known) && known > 0) return known;
      const now = Date.now();
      mkdirSync(folder, { recursive: true });
      writeAtomically(file, `${now}\n`);
      return now;
    },
    ledger: (key) => fileLedger(fileOf(key, "ledger.json"), key),
  };
}

async function send(
  client: ApiClient,
  events: AsyncIterable<InboundEvent> | Iterable<InboundEvent>,
  ledger: Ledger,
): Promise<SendReport> {
  const progress = progressLine();
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort(new UserError("interrupted; the same command goes on from here"));
  process.once("SIGINT", stop);
  try {
    const options = { ledger, onProgress: progress.show, signal: interrupted.signal };
    return await sendEvents(events, { client, ...LIVE_SEND_DEPS }, options);
  } catch (error) {
    if (error instanceof UnappliedError) throw new UserError(error.message);
    if (error instanceof CardFileError) return asFileError(error);
    return asUserError(error);
  } finally {
    process.removeListener("SIGINT", stop);
    progress.end();
  }
}

async function finish(
  file: string | undefined,
  report: Readonly<Record<string, unknown>> & { readonly sent: SendReport },
): Promise<void> {
  const { sent } = report;
  const earlier = sent.resumed > 0 ? `, ${sent.resumed} of them settled by an earlier call` : "";
  console.log(`${sent.applied} events applied, ${sent.refused} refused, ${sent.unapplied} never applied${earlier}`);
  if (sent.ledgerDiscarded) console.log("the Worker did not know what was sent before, so everything was sent again");
  for (const refusal of sent.refusals.slice(0, 10))
    console.log(`refused: ${refusal.type} ${refusal.id}: ${refusal.reason}, ${refusal.detail}`);
  if (file !== undefined) await writeFile(file, `${JSON.stringify(report, null, 2)}\n`);
  if (sent.refused > 0 || sent.unapplied > 0)
    throw new UserError("not every event was applied; GET /api/v1/dead-letters tells about those that were accepted");
}

/** One line that is rewritten on a terminal, or a line every few seconds elsewhere. */
function progressLine(): { show: (progress: SendProgress) => void; end: () => void } {
  const live = process.stderr.isTTY;
  let shownAt = 0;
  return {
    show: ({ applied, refused, resent, throttled, elapsedMs, resumed }) => {
      const now = Date.now();
      if (!live && now - shownAt < 5_000) return;
      shownAt = now;
      const rate = Math.round(((applied - resumed) / Math.max(1, elapsedMs)) * 1_000);
      const extra = `${refused > 0 ? `, ${refused} refused` : ""}${resent > 0 ? `, ${resent} sent again` : ""}${throttled > 0 ? `, slowed down ${throttled} times` : ""}`;
      process.stderr.write(
        `${live ? "\r\u001B[K" : ""}${applied} applied, ${Math.max(0, rate)} a second${extra}${live ? "" : "\n"}`,
      );
    },
    end: () => {
      if (live) process.stderr.write("\n");
    },
  };
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new UserError(`--${name} takes a number, not "${text}"`, 2);
  return value;
}

function asFileError(error: unknown): never {
  if (error instanceof CardFileError) throw new UserError(error.message);
  if (error instanceof RangeError) throw new UserError(error.message, 2);
  throw error;
}

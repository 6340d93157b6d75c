/** `npm start`: from a clone to a live system on this machine, and from there to the same one again in seconds. */
import { join, resolve } from "node:path";
import { Listr } from "listr2";
import { ApiError } from "../client/api-error.ts";
import { LOCAL_SERVER_FILE, readLocalServer } from "../client/connection.ts";
import { codeVersion } from "../local/code-version.ts";
import { CardFileError } from "../sources/cards/read-card-rows.ts";
import { cardsHistory } from "../local/cards-history.ts";
import { RetailFileError } from "../sources/online-retail.ts";
import { retailHistory } from "../local/retail-history.ts";
import { LocalState, type RunParameters } from "../local/local-state.ts";
import {
  type History,
  type LocalSystem,
  runLocalSystem,
  type StageName,
  writeSummary,
} from "../local/run-local-system.ts";
import { shopHistory } from "../local/shop-history.ts";
import { TrainingRefused } from "../local/train-through-service.ts";
import { endOrphan, isAlive } from "../local/workerd-process.ts";
import { STATE_FOLDER } from "./connection.ts";
import { describeStart } from "./describe-start.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

const DEFAULT_PORT = 8787;
const DEFAULT_SEED = 7;

export const start = strictCommand({
  meta: { name: "start", description: "Run the whole loop on this machine and leave it running" },
  args: {
    port: { type: "string", description: "where the Worker answers", default: String(DEFAULT_PORT), valueHint: "PORT" },
    seed: { type: "string", description: "of the simulated shop", default: String(DEFAULT_SEED), valueHint: "N" },
    scale: { type: "string", description: "size of the simulated shop", default: "1.5", valueHint: "X" },
    reset: { type: "boolean", default: false, description: "forget everything an earlier start left" },
    once: { type: "boolean", default: false, description: "stop after the decisions, with a truthful exit code" },
    json: {
      type: "string",
      description: "write the summary; with --once default: summary.json in the state folder",
      valueHint: "FILE",
    },
    cards: {
      type: "string",
      description: "import card transactions from this folder in place of the shop",
      valueHint: "DIR",
    },
    retail: {
      type: "string",
      description: "import real purchases (CSV.gz, columns of UCI Online Retail) from this folder in place of the shop",
      valueHint: "DIR",
    },
    days: { type: "string", description: "with --cards: only the last N days", valueHint: "N" },
    state: {
      type: "string",
      description: "state folder; default: .edgewise/shop, .edgewise/cards or .edgewise/retail",
      valueHint: "DIR",
    },
  },
  run: async ({ args }) => {
    const parameters = parametersOf(args);
    const folder = args.state === undefined ? join(STATE_FOLDER, parameters.source) : resolve(args.state);
    await refuseSecondServer();
    await endOrphan(new LocalState(folder).storageFolder).catch((error: unknown) => orUserError(() => rethrow(error)));
    if (args.reset) LocalState.reset(folder);
    const state = new LocalState(folder);
    const recorded = orUserError(() => state.parameters(parameters));
    const history = await historyOf(recorded);
    const system = await withProgress((onStage) =>
      runLocalSystem({
        state,
        serverFile: join(STATE_FOLDER, LOCAL_SERVER_FILE),
        parameters: recorded,
        history,
        port: portOf(args.port),
        codeVersion: codeVersion(),
        onStage,
        onLog: (line, level) => {
          if (level === "error") console.error(line);
        },
      }),
    );
    const summaryFile = args.json ?? (args.once ? join(folder, "summary.json") : undefined);
    if (summaryFile !== undefined) writeSummary(summaryFile, system.summary);
    console.log(describeStart(system, { once: args.once, summaryFile }).join("\n"));
    if (args.once) await system.edge.stop();
    else await untilStopped(system);
  },
});

function parametersOf(args: {
  seed: string;
  scale: string;
  cards?: string | undefined;
  retail?: string | undefined;
  days?: string | undefined;
}): RunParameters {
  const seed = number("seed", args.seed, { integer: true, min: 0, max: 2 ** 31 });
  const scale = number("scale", args.scale, { integer: false, min: 0.01, max: 100 });
  if (args.days !== undefined && args.cards === undefined) throw new UserError("--days limits --cards; give both", 2);
  const days = args.days === undefined ? null : number("days", args.days, { integer: true, min: 1, max: 400 });
  if (args.cards !== undefined && args.retail !== undefined)
    throw new UserError("--cards and --retail are two histories; give one of them", 2);
  const source = args.cards !== undefined ? "cards" : args.retail !== undefined ? "retail" : "shop";
  const given = args.cards ?? args.retail;
  return { source, seed, scale, end: Date.now(), folder: given === undefined ? null : resolve(given), days };
}

function number(name: string, text: string, bounds: { integer: boolean; min: number; max: number }): number {
  const value = Number(text);
  if (
    text.trim() === "" ||
    !(value >= bounds.min && value <= bounds.max) ||
    (bounds.integer && !Number.isInteger(value))
  ) {
    throw new UserError(
      `--${name} takes ${bounds.integer ? "a whole number" : "a number"} from ${bounds.min} to ${bounds.max}, not "${text}"`,
      2,
    );
  }
  return value;
}

const portOf = (text: string): number => number("port", text, { integer: true, min: 0, max: 65_535 });

async function historyOf(parameters: RunParameters): Promise<History> {
  if (parameters.source === "shop") return shopHistory(parameters);
  try {
    return await (parameters.source === "retail" ? retailHistory(parameters) : cardsHistory(parameters));
  } catch (error) {
    if (error instanceof CardFileError || error instanceof RetailFileError) throw new UserError(error.message);
    throw error;
  }
}

/** Two servers on one state would take each other's locks; the running one is named instead. */
async function refuseSecondServer(): Promise<void> {
  const running = readLocalServer(STATE_FOLDER);
  // Where the process is gone, what may still answer for a second is its workerd, which ends by itself.
  if (running === null || running.pid === process.pid || !isAlive(running.pid)) return;
  const answers = await fetch(`${running.url}/healthz`, { signal: AbortSignal.timeout(1_000) }).then(
    (response) => response.ok,
    () => false,
  );
  if (answers)
    throw new UserError(
      `A local system runs already at ${running.url} (process ${running.pid}). Stop it first: kill ${running.pid}`,
    );
}

function orUserError<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error));
  }
}

function rethrow(error: unknown): never {
  throw error;
}

const TITLES: Record<StageName, string> = {
  workers: "Workers",
  events: "Events",
  training: "Fraud model",
  recommender: "Recommender",
  serving: "Serving",
  visits: "Visits",
  decisions: "Decisions",
};

/** What is set of a task on the screen. */
interface ShownTask {
  title: string | undefined;
  output: string | undefined;
}

/** Without a terminal a stage prints at most this often. */
const PLAIN_INTERVAL_MS = 3_000;

/** Shows each stage as a task: a live line on a terminal, plain lines now and then elsewhere. */
async function withProgress(
  work: (onStage: (stage: StageName, detail: string) => void) => Promise<LocalSystem>,
): Promise<LocalSystem> {
  const stages = Object.keys(TITLES) as StageName[];
  const tasks = new Map<StageName, ShownTask>();
  const last = new Map<StageName, string>();
  const gates = new Map(stages.map((stage) => [stage, Promise.withResolvers<void>()]));
  let printedAt = 0;
  const onStage = (stage: StageName, detail: string): void => {
    for (const earlier of stages.slice(0, stages.indexOf(stage))) gates.get(earlier)?.resolve();
    last.set(stage, detail);
    const now = Date.now();
    const task = tasks.get(stage);
    if (!task || (!process.stdout.isTTY && now - printedAt < PLAIN_INTERVAL_MS)) return;
    printedAt = now;
    task.output = detail;
  };
  // A stage that is never shown has nobody to hear that it failed; the run itself reports the failure.
  for (const gate of gates.values()) gate.promise.catch(() => {});
  const running = work(onStage);
  const settle = running.then(
    () => gates.forEach((gate) => gate.resolve()),
    (error: unknown) => gates.forEach((gate) => gate.reject(error)),
  );
  // The list stops at the first stage that fails, so nobody waits for the later ones.
  for (const gate of gates.values()) gate.promise.catch(() => {});
  const list = new Listr(
    stages.map((stage) => ({
      title: TITLES[stage],
      task: async (_context: unknown, task: ShownTask) => {
        tasks.set(stage, task);
        await gates.get(stage)?.promise;
        task.title = `${TITLES[stage]}  ${last.get(stage) ?? ""}`;
      },
    })),
    { renderer: process.stdout.isTTY ? "default" : "simple", exitOnError: true },
  );
  try {
    await list.run();
    await settle;
    return await running;
  } catch (error) {
    if (error instanceof ApiError || error instanceof TrainingRefused) throw new UserError(error.message);
    throw error;
  }
}

async function untilStopped(system: LocalSystem): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  await system.edge.stop();
}

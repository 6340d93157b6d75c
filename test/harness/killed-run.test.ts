/** The run is killed with SIGKILL again and again, wherever it is, and ends as if nothing had happened. */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { LocalState } from "../../batch-training/local/local-state.ts";
import type { LocalSummary, StageName } from "../../batch-training/local/run-local-system.ts";
import { isAlive } from "../../batch-training/local/workerd-process.ts";
import { readEventLogSnapshot } from "../../batch-training/sources/event-log.ts";
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import { listDeadLetters } from "../../models/contract/api/events.ts";
import { getFraudDecision } from "../../models/contract/api/fraud.ts";
import { getModel } from "../../models/contract/api/models.ts";
import { SeededRandom } from "../support/seeded-random.ts";
import type { SmallRun } from "./run-small-shop.ts";
import { RunningSystem } from "./running-system.ts";
import { smallShop } from "./small-shop.ts";

const SEED = 4;
const KILL_SEED = 20_261_120;
const END = Date.now();
const events = [...smallShop({ seed: SEED, end: END }).events()];
const workers = inject("workers");

/** A point of a run: the first line it prints that matches, and some milliseconds more. */
interface Moment {
  readonly stage: StageName;
  readonly matches: (detail: string) => boolean;
  readonly thenMs: number;
}

/** Ten moments: two while the Workers start, four while events stream, two in training, one each while publishing and waiting. */
function tenMoments(random: SeededRandom): Moment[] {
  const settled = (share: number) => (detail: string) => Number.parseInt(detail, 10) >= share * events.length;
  const shares = Array.from({ length: 4 }, () => random.next()).toSorted((a, b) => a - b);
  return [
    { stage: "workers", matches: (detail) => detail === "starting", thenMs: random.below(1_500) },
    { stage: "workers", matches: (detail) => detail.startsWith("http"), thenMs: random.below(400) },
    ...shares.map((share): Moment => ({ stage: "events", matches: settled(share), thenMs: random.below(250) })),
    { stage: "training", matches: (detail) => detail === "extract", thenMs: random.below(200) },
    { stage: "training", matches: (detail) => detail === "train", thenMs: random.below(400) },
    { stage: "training", matches: (detail) => detail === "publish", thenMs: random.below(120) },
    { stage: "serving", matches: (detail) => detail.startsWith("waiting"), thenMs: random.below(600) },
  ];
}

/** Starts the run; with a moment, kills it there. @returns how it ended */
async function run(
  options: Omit<SmallRun, "untilKilled">,
  moment: Moment | null,
): Promise<{ code: number | null; signal: string | null }> {
  const program = join(import.meta.dirname, "run-small-shop.ts");
  const child = spawn(process.execPath, [program, JSON.stringify({ ...options, untilKilled: moment !== null })], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.on("exit", (code, signal) => resolve({ code, signal }));
  });
  let isReached = false;
  for await (const line of createInterface({ input: child.stdout })) {
    const { stage, detail } = JSON.parse(line) as { stage: StageName | "finished"; detail: string };
    // Done before the moment's milliseconds were over: it is killed as it stands. A moment that never came is a failure.
    if (stage === "finished" && moment !== null) child.kill(isReached ? "SIGKILL" : "SIGTERM");
    if (isReached || moment === null || stage !== moment.stage || !moment.matches(detail)) continue;
    isReached = true;
    setTimeout(() => child.kill("SIGKILL"), moment.thenMs);
  }
  return await ended;
}

async function freePort(): Promise<number> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

const folders = {
  killed: mkdtempSync(join(tmpdir(), "edgewise-killed-")),
  calm: mkdtempSync(join(tmpdir(), "edgewise-calm-")),
};
// One key for the pseudonyms of both: they are part of the rows, and so of what the model is made from.
new LocalState(folders.calm).secrets();
cpSync(folders.calm, folders.killed, { recursive: true });
const systems: Record<keyof typeof folders, RunningSystem> = {
  killed: systemOver(folders.killed),
  calm: systemOver(folders.calm),
};

function systemOver(folder: string): RunningSystem {
  const state = new LocalState(folder);
  return new RunningSystem(workers, { storage: state.storageFolder, secrets: state.secrets() });
}

function summaryOf(folder: string): LocalSummary {
  return JSON.parse(readFileSync(join(folder, "summary.json"), "utf8")) as LocalSummary;
}

beforeAll(async () => {
  const base = { seed: SEED, end: END, workers };
  const calm = run({ ...base, folder: folders.calm, port: 0 }, null);
  // One port for all starts: what a killed one leaves behind would hold it.
  const options = { ...base, folder: folders.killed, port: await freePort() };
  for (const moment of tenMoments(new SeededRandom(KILL_SEED)))
    expect(await run(options, moment), `killed in ${moment.stage}`).toEqual({ code: null, signal: "SIGKILL" });
  expect(await run(options, null)).toEqual({ code: 0, signal: null });
  expect(await calm).toEqual({ code: 0, signal: null });
  await systems.killed.start();
  await systems.calm.start();
}, 300_000);

afterAll(async () => {
  await Promise.all([systems.killed.stop(), systems.calm.stop()]);
  for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true });
});

describe("a run killed at ten moments", () => {
  it("law: nothing is lost — the log holds exactly the events of the simulation, each once", async () => {
    const log = [...(await readEventLogSnapshot(systems.killed.client)).events()];
    const identity = ({ source, id }: { source: string; id: string }) => `${source} ${id}`;
    expect(log.map(identity).toSorted()).toEqual(events.map(identity).toSorted());
    const paid = (list: readonly { id: string; type: string; time: string }[]) =>
      list.map(({ id, type, time }) => `${id} ${type} ${time}`).toSorted();
    expect(paid(log)).toEqual(paid(events));
    const { deadLetters } = (await systems.killed.client.call(listDeadLetters, { query: {} })).body;
    expect(deadLetters).toEqual([]);
    expect(summaryOf(folders.killed).events).toMatchObject({ applied: events.length, refused: 0, unapplied: 0 });
  });

  it("law: nothing counts twice — every paid order has one decision of its own", async () => {
    const paid = events.flatMap((event) => (event.type === "order.paid.v1" ? [event.data.order.orderId] : []));
    expect(paid.length).toBeGreaterThan(2_000);
    const counts = await inGroups(paid, 64, async (orderId) => {
      const { body } = await systems.killed.client.call(getFraudDecision, { params: { orderId } });
      return body.decisions.filter((decision) => decision.trigger === "order-paid").length;
    });
    expect(counts.filter((count) => count !== 1)).toEqual([]);
  });

  it("law: nothing counts twice — features are those of an undisturbed run", async () => {
    const last = Math.max(...events.map((event) => Date.parse(event.time)));
    const random = new SeededRandom(KILL_SEED);
    for (let sample = 0; sample < 30; sample++) {
      const { plain } = smallShop({ seed: SEED, end: END }).demonstration(last + 1_000, `probe-${sample}`);
      const customer = random.below(180);
      const order = {
        ...plain,
        customerId: `cus-${customer}`,
        deviceId: `dev-${customer}`,
        payment: { ...plain.payment, cardId: `card-${customer}` },
      };
      const [killed, calm] = await Promise.all([vectorOf(systems.killed, order), vectorOf(systems.calm, order)]);
      expect(killed, `customer ${customer}`).toEqual(calm);
    }
  });

  it("law: immutable artefacts — the model is the one an undisturbed run makes, to the byte", async () => {
    const serving = async (system: RunningSystem) =>
      (await system.client.call(getModel, { params: { name: FRAUD_MODEL } })).body;
    const [killed, calm] = await Promise.all([serving(systems.killed), serving(systems.calm)]);
    expect(killed.versions.map((version) => version.version)).toEqual(calm.versions.map((version) => version.version));
    expect(killed.versions).toHaveLength(1);
    expect(killed.routing).toMatchObject({ epoch: 1, serving: calm.routing?.serving });
    expect(summaryOf(folders.killed).modelVersion).toBe(summaryOf(folders.calm).modelVersion);
  });

  it("leaves no process behind", async () => {
    await Promise.all([systems.killed.stop(), systems.calm.stop()]);
    for (const folder of Object.values(folders)) {
      const record = readFileSync(join(new LocalState(folder).storageFolder, "workerd.pid"), "utf8");
      expect(isAlive(Number.parseInt(record, 10))).toBe(false);
    }
  });
});

/** The stored vector of a probe, once the shards answered in time: cold ones may take longer than the deadline. */
async function vectorOf(system: RunningSystem, order: Parameters<RunningSystem["score"]>[0]) {
  for (let attempt = 0; attempt < 20; attempt++) {
    const { decision } = await system.score(order);
    if (decision.degraded.length > 0) continue;
    const { body } = await system.client.call(getFraudDecision, { params: { orderId: order.orderId } });
    return body.decisions.find((record) => record.decisionId === decision.decisionId)?.vector;
  }
  throw new Error("no decision was answered in full");
}

async function inGroups<T, R>(items: readonly T[], size: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += size)
    results.push(...(await Promise.all(items.slice(start, start + size).map(work))));
  return results;
}

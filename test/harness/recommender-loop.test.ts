/** The recommender's whole loop on the built Workers: trained, served, used by people, learned from again. The steps build on each other. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { loadCompact } from "../../batch-training/evaluate/load-session.ts";
import { readListFigures } from "../../batch-training/local/arm-figures.ts";
import { PROJECT_ROOT } from "../../batch-training/local/build-workers.ts";
import { shiftTimes } from "../../batch-training/local/shift-times.ts";
import { visitShop } from "../../batch-training/local/visit-shop.ts";
import { nodeDeps, workerPublisher } from "../../batch-training/pipeline/node-deps.ts";
import { recommendModel } from "../../batch-training/pipeline/recommend/recommend-model.ts";
import { type RunResult, runPipeline } from "../../batch-training/pipeline/run-pipeline.ts";
import { workerLog, workerRegistry } from "../../batch-training/pipeline/sources.ts";
import { Shoppers } from "../../batch-training/simulator/shoppers.ts";
import { simulateShop } from "../../batch-training/simulator/simulate-shop.ts";
import { joinExposures, readExposures } from "../../batch-training/sources/exposures.ts";
import { readEventLogSnapshot } from "../../batch-training/sources/event-log.ts";
import { LIVE_SEND_DEPS } from "../../batch-training/sources/send/live-deps.ts";
import { RECOMMENDER_MODEL } from "../../models/catalog/product-recommendations/model.ts";
import { getModelFile } from "../../models/contract/api/models.ts";
import { recommend, sendFeedback } from "../../models/contract/api/recommendations.ts";
import type { InboundEvent } from "../../models/contract/events.ts";
import { BUNDLE_FILES } from "../../models/recommend/bundle.ts";
import { exposureVectors } from "../../models/recommend/exposure.ts";
import { armOf } from "../../models/recommend/experiment.ts";
import { POSITION_FEATURE } from "../../models/recommend/ranking-features.ts";
import { Pseudonyms } from "../../workers/adapters/pseudonyms.ts";
import { RunningSystem, SERVED_WITHIN_MS } from "./running-system.ts";

const WEEK_MS = 7 * 86_400_000;
const END = Date.parse("2026-01-26T00:00:00Z");
const VISITS = 240;
/** Simulated people are done with a list within this time. */
const WAIT_MS = 4_000;
/** What a recommender learns from; the shop's sensors, chats and payments are not sent. */
const TOLD = ["behavior.", "catalog.", "pricing.", "inventory.", "customer.consent", "order.placed", "order.refunded"];

const PSEUDONYM_KEY = "recommender-pseudonym-recommender-pseud-1";
const CONTROL_SHARE = 0.3;
/** As the Worker knows a customer: who is in which arm can be said without asking. */
const unitOf = (customer: string): string => `c:${new Pseudonyms(PSEUDONYM_KEY).of("default")("customer", customer)}`;

const folder = mkdtempSync(join(tmpdir(), "edgewise-recommender-"));
const system = new RunningSystem(inject("workers"), {
  storage: join(folder, "storage"),
  secrets: {
    JWT_SECRET: "recommender-secret-recommender-secret-1",
    PSEUDONYM_KEY,
    RECOMMENDATION_CONTROL_SHARE: String(CONTROL_SHARE),
  },
});
const shop = simulateShop({ seed: "3", scale: 0.12, end: END, days: 70 });
const offsetMs = Math.floor((Date.now() - END) / WEEK_MS) * WEEK_MS;
const history = Array.from(shop.events(), ({ event }) => event)
  .filter(({ type }) => TOLD.some((told) => type.startsWith(told)))
  .map((event) => shiftTimes(event, offsetMs));
const shoppers = new Shoppers(shop);
const visitors = shoppers.visits(40).map(({ customerId }) => customerId);
const versions = { first: "", second: "" };
let lastListAt = 0;
let withdrawn = "";

beforeAll(() => system.start(), 60_000);
afterAll(async () => {
  await system.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** As `edgewise train --model product-recommendations`, with less to learn and a shorter wait for outcomes. */
async function train(): Promise<RunResult> {
  const { client } = system;
  const definition = recommendModel({
    log: workerLog(client),
    registry: workerRegistry(client),
    outcomeWaitMs: WAIT_MS,
  });
  const deps = nodeDeps({
    home: join(folder, "training"),
    codeVersion: "harness",
    root: PROJECT_ROOT,
    publisher: workerPublisher(client, system.edge.url),
    report: () => {},
  });
  const parameters = { blendQuestions: 150, rankingQuestions: 300, "ials.sweeps": 3 };
  return await runPipeline(definition, deps, { seed: 1, parameters });
}

const ask = async (userId: string, limit = 10) =>
  (await system.client.call(recommend, { body: { userId, limit, placement: "home" } })).body;

/** A customer whose lists the recommender makes, once it does. */
const personal = visitors.find((customer) => armOf(unitOf(customer), CONTROL_SHARE) === "recommender") ?? "";

async function untilServed(version: string): Promise<void> {
  const serving = async (): Promise<string | null> => (await ask(personal, 1)).modelVersion;
  await expect.poll(serving, { timeout: SERVED_WITHIN_MS, interval: 200 }).toBe(version);
}

const told = (type: InboundEvent["type"], data: object): InboundEvent =>
  ({
    specversion: "1.0",
    id: crypto.randomUUID(),
    source: "/harness",
    type,
    time: new Date().toISOString(),
    data,
  }) as InboundEvent;

describe.sequential("the recommender's loop", () => {
  it("answers by popularity, outside of any comparison, before there is a model", async () => {
    const report = await system.send(history);
    expect(report).toMatchObject({ applied: history.length, refused: 0, unapplied: 0 });
    const list = await ask(visitors[0] ?? "");
    expect(list).toMatchObject({ arm: "outside", model: null, degraded: ["no-model"] });
    expect(list.items).toHaveLength(10);
  }, 60_000);

  it("trains on the log, wins its gates, publishes, promotes, and both stages answer, each product with its reason", async () => {
    const { record, manifest } = await train();
    expect(record.reasons).toEqual([]);
    expect(record.state).toBe("published");
    expect(record.gates.filter(({ id, passed }) => id === "beats_rival" && passed)).toHaveLength(6);
    versions.first = record.version ?? "";
    await untilServed(versions.first);
    const list = await ask(personal);
    expect(list).toMatchObject({ arm: "recommender", model: RECOMMENDER_MODEL, degraded: [] });
    expect(list.items.every(({ reason }) => reason.length > 0)).toBe(true);
    expect(new Set(list.items.map(({ source }) => source)).size).toBeGreaterThan(1);
    // The second stage as published, over the vectors that the list logged, gives the scores of the answer.
    const params = { name: RECOMMENDER_MODEL, version: versions.first, path: BUNDLE_FILES.ranker };
    const ranker = loadCompact((await system.client.call(getModelFile, { params })).body);
    expect(manifest?.recommender?.ranker).not.toBeNull();
    const logged = async () =>
      (await readExposures(system.client)).find((one) => one.recommendationId === list.recommendationId);
    await expect.poll(logged, { timeout: 5_000 }).toBeDefined();
    const exposure = await logged();
    const vectors = exposure === undefined ? null : exposureVectors(exposure);
    if (vectors === null) throw new Error("the list has no vectors");
    expect(Array.from(ranker.run(vectors, list.items.length), (score) => score.toFixed(4))).toEqual(
      list.items.map(({ score }) => score.toFixed(4)),
    );
  }, 120_000);

  it("is used by people who do not know it: everything they did with its lists, and nothing else, is counted by arm", async () => {
    const before = await readListFigures(system.client);
    const visits = await visitShop({ ...LIVE_SEND_DEPS, client: system.client }, shoppers, VISITS);
    lastListAt = Date.now();
    const { recommender, control } = visits.figures;
    expect(visits).toMatchObject({ visits: VISITS, degraded: 0, uncounted: 0 });
    expect(recommender.lists + control.lists - before.recommender.lists - before.control.lists).toBe(VISITS);
    expect(control.lists).toBeGreaterThan(0.2 * VISITS);
    expect(recommender.clicks).toBeGreaterThan(recommender.purchases);
    expect(recommender.purchases).toBeGreaterThan(0);
    // People click what they like, and only one of the two arms knows it.
    expect(recommender.clicks / recommender.shown).toBeGreaterThan(control.clicks / control.shown);
    expect(visits.figures.ctrUplift?.low).toBeGreaterThan(0);
    // Outcomes of products that a list did not show, and of lists that nobody answered.
    const { recommendationId } = await ask(personal, 3);
    const foreign = { recommendationId, productId: "prd-never-shown", kind: "click" as const };
    await system.client.call(sendFeedback, { body: foreign });
    await expect(
      system.client.call(sendFeedback, { body: { ...foreign, recommendationId: "rec-1-r0-1-1234567890" } }),
    ).rejects.toMatchObject({ code: "recommendation-not-found" });
    expect((await readListFigures(system.client)).recommender.clicks).toBe(recommender.clicks);
  }, 60_000);

  it("never shows what was withdrawn since the training", async () => {
    const userId = personal;
    withdrawn = (await ask(userId)).items[0]?.productId ?? "";
    const gone = { productId: withdrawn, title: "Gone", categories: ["gone"], status: "withdrawn" };
    await system.send([told("catalog.product.updated.v1", gone)]);
    const shows = async (): Promise<boolean> =>
      (await ask(userId, 100)).items.some(({ productId }) => productId === withdrawn);
    // Products are asked for again every five seconds, in the background.
    await expect.poll(shows, { timeout: SERVED_WITHIN_MS, interval: 200 }).toBe(false);
    for (const visitor of visitors.slice(0, 10)) {
      expect((await ask(visitor, 100)).items.map(({ productId }) => productId)).not.toContain(withdrawn);
    }
  }, 30_000);

  it("learns from its lists: joined with what became of them after the wait, places as a feature", async () => {
    // The wait of the last list is over once something was ingested after it.
    await expect.poll(() => Date.now() - lastListAt, { timeout: 2 * WAIT_MS, interval: 100 }).toBeGreaterThan(WAIT_MS);
    await system.send([told("behavior.page_view.v1", { page: "/", sessionId: "ses-late" })]);
    const events = [...(await readEventLogSnapshot(system.client)).events()];
    const exposures = await readExposures(system.client);
    const joined = joinExposures(exposures, events, { waitMs: WAIT_MS, asOf: Date.now() });
    const figures = await readListFigures(system.client);
    // Every click, cart and purchase that was counted for the recommender is in the join; the control arm has no vectors.
    const gained = joined.rows.filter(({ gain }) => gain > 0);
    expect(gained).toHaveLength(figures.recommender.clicks);
    expect(gained.filter(({ gain }) => gain === 3)).toHaveLength(figures.recommender.purchases);
    const control = exposures.filter(({ arm }) => arm === "control");
    expect([control.length > 0.2 * VISITS, control.every(({ vectors }) => vectors === "")]).toEqual([true, true]);
    expect(new Set(gained.map(({ vector }) => vector[POSITION_FEATURE])).size).toBeGreaterThan(5);

    const { record } = await train();
    expect(record.reasons).toEqual([]);
    expect(record).toMatchObject({ state: "published", pin: { champion: versions.first } });
    versions.second = record.version ?? "";
    expect(versions.second).not.toBe(versions.first);
    const lists = new Set(gained.map(({ recommendationId }) => recommendationId)).size;
    const notes = JSON.stringify(record);
    expect(notes).toContain(`and 0 lists shown, as published from ${lists}`);
    await untilServed(versions.second);
    expect((await ask(personal, 100)).items.map(({ productId }) => productId)).not.toContain(withdrawn);
  }, 120_000);

  it("goes back by `edgewise rollback`, and lists are the first version's again", async () => {
    const command = [join(PROJECT_ROOT, "batch-training/main.ts"), "rollback", RECOMMENDER_MODEL];
    const connection = ["--url", system.edge.url, "--token", system.token];
    const { stdout } = await promisify(execFile)(process.execPath, [...command, ...connection]);
    expect(stdout).toContain(versions.first.slice(0, 12));
    await untilServed(versions.first);
    expect(system.errors).toEqual([]);
  }, 30_000);
});

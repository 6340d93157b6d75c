/** The whole loop on the built Workers, in workerd, over storage that outlives them. The steps build on each other. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { PROJECT_ROOT } from "../../batch-training/local/build-workers.ts";
import { DEFAULT_MATURITY_MS, fraudModel } from "../../batch-training/pipeline/fraud/fraud-model.ts";
import { nodeDeps, workerPublisher } from "../../batch-training/pipeline/node-deps.ts";
import { runPipeline, type RunOptions } from "../../batch-training/pipeline/run-pipeline.ts";
import { emptyRegistry, workerLog, workerRegistry } from "../../batch-training/pipeline/sources.ts";
import { manifestOf, type ModelFileContent, publishModel } from "../../batch-training/publish/publish-model.ts";
import { promoteVersion } from "../../batch-training/publish/promote-version.ts";
import { readEventLogSnapshot } from "../../batch-training/sources/event-log.ts";
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import { listDeadLetters } from "../../models/contract/api/events.ts";
import { getModel, getModelFile, getManifest, getRoutingHistory } from "../../models/contract/api/models.ts";
import { type Manifest, manifestContent } from "../../models/contract/manifest.ts";
import { RunningSystem, SERVED_WITHIN_MS } from "./running-system.ts";
import { smallShop } from "./small-shop.ts";

const MODEL_FILE = "model.onnx";
const system = new RunningSystem(inject("workers"));
const shop = smallShop({ seed: 4, end: Date.now() });
const events = [...shop.events()];
const params = { name: FRAUD_MODEL };
let orders = 0;
const home = mkdtempSync(join(tmpdir(), "edgewise-loop-"));

/** A new order each time, so that none is recognised. */
const plain = () => shop.demonstration(Date.now(), `a${++orders}`).plain;
const suspicious = () => shop.demonstration(Date.now(), `b${++orders}`).suspicious;

/** The command line a user has, against the running system. */
async function edgewise(...args: string[]): Promise<string> {
  const command = [join(PROJECT_ROOT, "batch-training/main.ts"), ...args];
  const connection = ["--url", system.edge.url, "--token", system.token];
  return (await promisify(execFile)(process.execPath, [...command, ...connection])).stdout;
}

/** A run as `edgewise train` makes it, over the running system. */
async function train(options: RunOptions, registry = workerRegistry(system.client)) {
  const definition = fraudModel({ log: workerLog(system.client), registry, maturityMs: DEFAULT_MATURITY_MS });
  const deps = nodeDeps({
    home,
    codeVersion: "harness",
    root: PROJECT_ROOT,
    publisher: workerPublisher(system.client, system.edge.url),
    report: () => {},
  });
  return await runPipeline(definition, deps, options);
}

async function artefactOf(version: string): Promise<{ manifest: Manifest; bytes: Uint8Array }> {
  const { body: manifest } = await system.client.call(getManifest, { params: { ...params, version } });
  const { body: bytes } = await system.client.call(getModelFile, { params: { ...params, version, path: MODEL_FILE } });
  return { manifest, bytes };
}

/** Another version: the same model under another policy has other content, so another name. */
function variantOf({ manifest, bytes }: { manifest: Manifest; bytes: Uint8Array }, reviewAt: number) {
  const policy = { reviewAt, declineAt: 0.99 };
  const files: ModelFileContent[] = [{ path: MODEL_FILE, bytes }];
  // Without the card: what a version consists of is its own business.
  const content = manifestContent(manifest);
  return { manifest: manifestOf({ ...content, files: [fileOf(content)], policy }), files };
}

const versions = { first: "", second: "", third: "" };
const served = { firstAt: 0, secondAt: 0 };

beforeAll(() => system.start(), 60_000);
afterAll(async () => {
  await system.dispose();
  rmSync(home, { recursive: true });
});

describe.sequential("the loop", () => {
  it("answers by rules, and says so, before there is a model", async () => {
    const answer = await system.score(suspicious(), true);
    expect(answer).toMatchObject({ status: 200, modelVersion: "rules" });
    expect(answer.decision).toMatchObject({ model: null, modelVersion: null, degraded: ["no-model"] });
    expect(answer.decision.reasons.map((reason) => reason.code)).toContain("base");
  });

  it("takes the shop's past: every event settled, each in the log once, none refused", async () => {
    const report = await system.send(events);
    expect(report).toMatchObject({ applied: events.length, refused: 0, unapplied: 0 });
    const log = [...(await readEventLogSnapshot(system.client)).events()];
    expect(log.map((event) => event.id).toSorted()).toEqual(events.map((event) => event.id).toSorted());
    expect((await system.client.call(listDeadLetters, { query: {} })).body.deadLetters).toEqual([]);
  });

  it("trains on the log, passes the gates, publishes, promotes, and the running Worker serves it within 15 s", async () => {
    const { record } = await train({ seed: 1 });
    expect(record.reasons).toEqual([]);
    expect(record).toMatchObject({ state: "published", pin: { champion: null } });
    versions.first = record.version ?? "";
    expect(await system.untilServed(versions.first, plain)).toBeLessThan(SERVED_WITHIN_MS);
    served.firstAt = Date.now();
    const { decision } = await system.score(suspicious(), true);
    expect(decision).toMatchObject({ model: FRAUD_MODEL, modelVersion: versions.first, degraded: [] });
    expect(decision.reasons.map((reason) => reason.code)).toContain("amount");
    expect(decision.score).toBeGreaterThan((await system.score(plain())).decision.score);
  });

  it("serves a second version of another seed within 15 s; publishing and promoting again changes nothing", async () => {
    // Handed over directly: whether it beats the first is not the question here, so it meets no champion.
    const { record, manifest, files } = await train(
      { seed: 2, parameters: { learningRate: 0.1 }, publish: false },
      emptyRegistry,
    );
    if (manifest === null) throw new Error(record.reasons.join(" "));
    versions.second = manifest.version;
    expect(versions.second).not.toBe(versions.first);
    await publishModel(system.client, manifest, files);
    await publishModel(system.client, manifest, files);
    const promoted = await promoteVersion(system.client, FRAUD_MODEL, versions.second);
    expect(await promoteVersion(system.client, FRAUD_MODEL, versions.second)).toEqual(promoted);
    expect(promoted).toMatchObject({ epoch: 2, serving: versions.second, previous: versions.first });
    served.secondAt = promoted.changedAt;
    expect(await system.untilServed(versions.second, plain)).toBeLessThan(SERVED_WITHIN_MS);
  });

  it("refuses a third version whose bytes are damaged, with the reason, and goes on serving the second", async () => {
    const { manifest, bytes } = await artefactOf(versions.second);
    for (const damage of [
      // Whole but wrong: one weight, somewhere in the middle.
      (copy: Uint8Array) => copy.fill(0x7e, Math.floor(copy.length / 2), Math.floor(copy.length / 2) + 64),
      // Cut off.
      (copy: Uint8Array) => copy.subarray(0, Math.floor(copy.length / 2)),
    ]) {
      const damaged = damage(Uint8Array.from(bytes));
      const files: ModelFileContent[] = [{ path: MODEL_FILE, bytes: damaged }];
      const content = manifestContent(manifest);
      const described = manifestOf({ ...content, files: [{ ...fileOf(content), ...(await describe256(damaged)) }] });
      await expect(publishModel(system.client, described, files)).rejects.toMatchObject({
        status: 422,
        code: "model-refused",
      });
      await expect(promoteVersion(system.client, FRAUD_MODEL, described.version)).rejects.toMatchObject({
        status: 404,
        code: "version-not-found",
      });
    }
    const { body } = await system.client.call(getModel, { params });
    expect(body.versions.map((version) => version.version).toSorted()).toEqual(
      [versions.first, versions.second].toSorted(),
    );
    expect((await system.score(plain())).modelVersion).toBe(versions.second);
  });

  it("answers with the version before, flagged, when the promoted one is damaged in storage and the Worker starts anew", async () => {
    const third = variantOf(await artefactOf(versions.second), 0.6);
    versions.third = third.manifest.version;
    await publishModel(system.client, third.manifest, third.files);
    await promoteVersion(system.client, FRAUD_MODEL, versions.third);
    const bucket = await system.edge.miniflare.getR2Bucket("MODELS");
    const key = `default/models/${FRAUD_MODEL}/${versions.third}/${MODEL_FILE}`;
    const bytes = third.files[0]?.bytes ?? new Uint8Array();
    await bucket.put(key, Uint8Array.from(bytes).fill(0, 100, 120));
    await system.restart();
    for (let attempt = 0; attempt < 3; attempt++) {
      const answer = await system.score(suspicious());
      expect(answer).toMatchObject({ status: 200, modelVersion: versions.second });
      expect(answer.decision.degraded).toEqual(["model-refused"]);
    }
    await expect(promoteVersion(system.client, FRAUD_MODEL, versions.third)).rejects.toMatchObject({
      status: 422,
      code: "model-refused",
    });
    expect((await fetch(`${system.edge.url}/readyz`)).status).toBe(200);
    expect(system.errors).toEqual([]);
  });

  it("goes back by `edgewise rollback`, and the header shows it", async () => {
    expect(await edgewise("rollback", FRAUD_MODEL)).toContain(`epoch 4  ${versions.second.slice(0, 12)}  rollback`);
    await expect
      .poll(async () => (await system.score(plain())).decision.degraded, { timeout: SERVED_WITHIN_MS, interval: 200 })
      .toEqual([]);
    expect((await system.score(plain())).modelVersion).toBe(versions.second);
  });

  it("law: one pointer — the history says what served when", async () => {
    const at = async (time: number) => {
      const query = { at: new Date(time).toISOString() };
      return (await system.client.call(getRoutingHistory, { params, query })).body.history.map(
        (entry) => entry.serving,
      );
    };
    expect(await at(served.firstAt)).toEqual([versions.first]);
    expect(await at(served.secondAt)).toEqual([versions.second]);
    expect(await at(Date.now())).toEqual([versions.second]);
    const { history } = (await system.client.call(getRoutingHistory, { params, query: {} })).body;
    expect(history.map(({ epoch, serving, reason }) => ({ epoch, serving, reason }))).toEqual([
      { epoch: 4, serving: versions.second, reason: "rollback" },
      { epoch: 3, serving: versions.third, reason: "promote" },
      { epoch: 2, serving: versions.second, reason: "promote" },
      { epoch: 1, serving: versions.first, reason: "promote" },
    ]);
  });

  it("rebuilds the registry from R2 and the routing object after its tables are lost", async () => {
    const state = async () => {
      const { body: model } = await system.client.call(getModel, { params });
      const { body } = await system.client.call(getRoutingHistory, { params, query: {} });
      const known = model.versions.map(({ registeredAt: _now, ...version }) => version);
      const byVersion = known.toSorted((a, b) => (a.version < b.version ? -1 : 1));
      const metrics = byVersion.map(({ metrics: figures, ...version }) => ({
        ...version,
        metrics: figures.toSorted((a, b) => (`${a.slice}${a.name}` < `${b.slice}${b.name}` ? -1 : 1)),
      }));
      return { ...model, versions: metrics, history: body.history };
    };
    const before = await state();
    const db = await system.edge.miniflare.getD1Database("DB");
    for (const table of ["models", "model_versions", "version_metrics", "version_status_history", "routing_history"])
      await db.prepare(`DELETE FROM ${table}`).run();
    await expect(system.client.call(getModel, { params })).rejects.toMatchObject({ code: "model-not-found" });
    expect((await system.score(plain())).modelVersion).toBe(versions.second);
    for (let repeat = 0; repeat < 2; repeat++)
      expect(await edgewise("models", "rebuild")).toContain("1 models, 3 versions");
    expect(await state()).toEqual(before);
  });
});

function fileOf(content: ReturnType<typeof manifestContent>) {
  const [file] = content.files;
  if (!file) throw new Error("the manifest has no file");
  return file;
}

async function describe256(bytes: Uint8Array): Promise<{ sha256: string; bytes: number }> {
  const digest = await crypto.subtle.digest("SHA-256", Uint8Array.from(bytes));
  return { sha256: Buffer.from(digest).toString("hex"), bytes: bytes.byteLength };
}

/** `edgewise worker` against the built Workers: jobs, machines that die, networks that break, people who change their mind. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { isAlive } from "../../batch-training/local/workerd-process.ts";
import { generateSigningKey, openSigner } from "../../batch-training/publish/signing.ts";
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import { cancelJob, createJob, getJob, type TrainingJob } from "../../models/contract/api/jobs.ts";
import { getManifest, getModel, listModels } from "../../models/contract/api/models.ts";
import { S3Server } from "../support/s3/s3-server.ts";
import { CuttableProxy } from "./cuttable-proxy.ts";
import { RunningService, until } from "./running-service.ts";
import { RunningSystem } from "./running-system.ts";
import { smallShop } from "./small-shop.ts";

const SEED = 4;
const signingKey = generateSigningKey();
const folder = mkdtempSync(join(tmpdir(), "edgewise-service-"));
const shop = smallShop({ seed: SEED, end: Date.now() });
const system = new RunningSystem(inject("workers"), {
  storage: join(folder, "storage"),
  secrets: {
    JWT_SECRET: "service-secret-service-secret-service-1",
    PSEUDONYM_KEY: "service-pseudonym-service-pseudonym-1",
    // Unsigned models, and those of other keys, are refused: what is published below is signed by the service.
    MODEL_PUBLIC_KEYS: openSigner(signingKey).publicKey,
  },
});
const services: RunningService[] = [];
/** Processes of the jobs of services that have ended. */
const processes: number[] = [];

beforeAll(async () => {
  await system.start();
  await system.send(shop.events());
}, 300_000);

afterEach(async () => {
  for (const service of services.splice(0)) {
    service.kill("SIGKILL");
    await service.ended;
    processes.push(...service.log.flatMap((line) => (typeof line["process"] === "number" ? [line["process"]] : [])));
  }
});

afterAll(async () => {
  await system.stop();
  rmSync(folder, { recursive: true, force: true });
});

function start(
  name: string,
  more: { url?: string; words?: readonly string[]; environment?: Record<string, string> } = {},
): RunningService {
  const url = more.url ?? system.edge.url;
  const home = join(folder, name);
  const { words = [], environment = {} } = more;
  const service = new RunningService({ url, token: system.token, home, name, signingKey, more: words, environment });
  services.push(service);
  return service;
}

/** The same seed for all, and nothing that serves until the last: whether a version beats another is the gates' business, not this file's. */
async function ask(request: { promote?: boolean } = {}): Promise<string> {
  const { body } = await system.client.call(createJob, { body: { model: FRAUD_MODEL, seed: 1, ...request } });
  return body.jobId;
}

const show = async (jobId: string): Promise<TrainingJob> =>
  (await system.client.call(getJob, { params: { jobId } })).body;

const ended = (jobId: string): Promise<TrainingJob> =>
  until(async () => {
    const job = await show(jobId);
    return job.finishedAt === null ? null : job;
  }, `${jobId} has ended`);

/** Once the job is at work on its machine: it has told of a run. */
const atWork = (jobId: string): Promise<TrainingJob> =>
  until(async () => {
    const job = await show(jobId);
    return job.state === "running" && job.progress?.run != null ? job : null;
  }, `${jobId} is at work`);

const versions = async (): Promise<string[]> => {
  const { body } = await system.client.call(listModels);
  if (body.models.length === 0) return [];
  const model = (await system.client.call(getModel, { params: { name: FRAUD_MODEL } })).body;
  return model.versions.map(({ version }) => version);
};

describe("the training service", () => {
  it("a machine that dies in the middle of a job loses its lease, and the next one publishes one model", async () => {
    const jobId = await ask();
    const first = start("first");
    const before = await atWork(jobId);
    first.kill("SIGKILL");
    expect(await first.ended).toMatchObject({ signal: "SIGKILL" });
    expect(before.lease).toMatchObject({ worker: "first", fence: 1 });
    const second = start("second");
    const job = await ended(jobId);
    expect(job).toMatchObject({ state: "succeeded", attempts: 2, result: { published: true, promoted: false } });
    const { body } = await system.client.call(getModel, { params: { name: FRAUD_MODEL } });
    expect(body.versions).toMatchObject([{ version: job.result?.version, status: "registered" }]);
    expect(body.routing).toBeNull();
    const version = job.result?.version ?? "";
    const manifest = (await system.client.call(getManifest, { params: { name: FRAUD_MODEL, version } })).body;
    expect(manifest.signature?.keyId).toBe(openSigner(signingKey).keyId);
    await healthOf(second);
    second.kill("SIGTERM");
    expect(await second.ended).toEqual({ code: 0, signal: null });
    expect(second.log.at(-1)).toMatchObject({ level: "info", message: "stopped" });
    expect(second.errors).toEqual([]);
  });

  it("an earlier run is published again from what it stored, and nothing changes", async () => {
    const known = await versions();
    const publish = async (run: string) => {
      const { code, output } = await edgewise("publish", "--run", run, "--home", join(folder, "second"));
      return { code, output };
    };
    const again = await publish(known[0] ?? "");
    expect(again).toEqual({ code: 0, output: `published ${FRAUD_MODEL} ${known[0]}` });
    expect(await versions()).toEqual(known);
    const unknown = await publish("none-of-these");
    expect(unknown).toMatchObject({
      code: 1,
      output: expect.stringContaining("no run is called none-of-these") as string,
    });
  });

  it("goes on with its own run when it is started again, and hands the job back when it is told to stop", async () => {
    const jobId = await ask();
    const stopped = start("fifth");
    const { progress } = await atWork(jobId);
    stopped.kill("SIGTERM");
    expect(await stopped.ended).toEqual({ code: 0, signal: null });
    expect(await show(jobId)).toMatchObject({
      state: "queued",
      attempts: 0,
      lease: null,
      progress: { run: progress?.run },
    });
    const known = await versions();
    const again = start("fifth", { words: ["--once"] });
    expect(await again.ended).toEqual({ code: 0, signal: null });
    const job = await show(jobId);
    expect(job).toMatchObject({ state: "succeeded", attempts: 1, progress: { run: progress?.run } });
    expect(job.result?.version).toBe(known[0]);
    expect(await versions()).toEqual(known);
  });

  it("stops a job that is cancelled, and nothing of it appears", async () => {
    const known = await versions();
    const jobId = await ask();
    const service = start("sixth");
    await atWork(jobId);
    await system.client.call(cancelJob, { params: { jobId } });
    expect(await ended(jobId)).toMatchObject({ state: "cancelled", lease: null, result: null });
    await service.said("job ended");
    expect(await versions()).toEqual(known);
    const logged = service.log.find((line) => line.message === "the process of the job wrote");
    expect(logged).toBeUndefined();
  });

  it("loses a job when the network is gone for longer than the lease, and does it once when it is back", async () => {
    const { hostname, port } = new URL(system.edge.url);
    const proxy = new CuttableProxy({ host: hostname, port: Number(port) });
    try {
      const known = await versions();
      const jobId = await ask();
      const service = start("third", { url: await proxy.start() });
      await atWork(jobId);
      proxy.cut();
      const end = await service.said("job ended");
      expect(end).toMatchObject({ job: jobId, outcome: "lost" });
      await service.said("no job can be taken");
      expect((await service.get("/readyz")).status).toBe(503);
      proxy.mend();
      const job = await ended(jobId);
      expect(job).toMatchObject({ state: "succeeded", attempts: 2 });
      expect(job.result?.version).toBe(known[0]);
      expect(await versions()).toEqual(known);
    } finally {
      await proxy.stop();
    }
  });

  it("does one job with two machines that ask at once", async () => {
    const jobId = await ask();
    const [one, other] = [start("second", { words: ["--once"] }), start("fourth", { words: ["--once"] })];
    const job = await ended(jobId);
    expect(job).toMatchObject({ state: "succeeded", attempts: 1 });
    expect(await Promise.all([one.ended, other.ended])).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ]);
    const taken = [one, other].flatMap(({ log }) => log.filter(({ message }) => message === "job taken"));
    expect(taken).toHaveLength(1);
  });

  it("puts a version straight into the bucket, manifest last, and has it registered", async () => {
    const credentials = { accessKeyId: "AKIDHARNESS", secretAccessKey: "secret-of-the-harness" };
    const s3 = new S3Server("models", credentials);
    // Locally R2 has no S3 endpoint: what arrives here is put into the Worker's bucket.
    const bucket = await system.edge.miniflare.getR2Bucket("MODELS");
    s3.onCreated = async (key, bytes) => void (await bucket.put(key, Buffer.from(bytes)));
    const environment = {
      EDGEWISE_S3_ENDPOINT: await s3.start(),
      EDGEWISE_S3_BUCKET: "models",
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    };
    try {
      const known = await versions();
      const jobId = await ask({ promote: true });
      const service = start("second", { words: ["--once", "--to", "s3"], environment });
      expect(await service.ended).toEqual({ code: 0, signal: null });
      const { result } = await show(jobId);
      expect(result).toMatchObject({ outcome: "succeeded", published: true, promoted: true });
      expect(result?.version).toBe(known[0]);
      expect(await versions()).toEqual(known);
      const puts = s3.received
        .filter(({ method }) => method === "PUT")
        .map(({ key }) => key.split("/").slice(4).join("/"));
      expect(puts.toSorted()).toEqual([`manifest.json`, `model-card.md`, `model.onnx`]);
      expect(puts.at(-1)).toBe("manifest.json");
      const { body } = await system.client.call(getModel, { params: { name: FRAUD_MODEL } });
      expect(body.routing).toMatchObject({ epoch: 1, serving: result?.version });
      await system.untilServed(known[0] ?? "", () => shop.demonstration(Date.now(), crypto.randomUUID()).plain);
    } finally {
      await s3.stop();
    }
  });

  it("is asked, listed and cancelled from the command line", async () => {
    const created = await edgewise("jobs", "create", "--seed", "6", "--key", "by-hand");
    const [jobId = ""] = created.output.split(" ");
    expect(created).toMatchObject({
      code: 0,
      output: expect.stringMatching(/^job-[0-9a-f-]{36}  fraud-orders  queued/) as string,
    });
    expect((await edgewise("jobs", "create", "--seed", "6", "--key", "by-hand")).output).toContain(jobId);
    expect((await edgewise("jobs", "list", "--state", "queued")).output).toContain(jobId);
    expect((await edgewise("jobs", "cancel", jobId)).output).toContain("cancelled");
    expect((await edgewise("jobs", "list", "--state", "queued")).output).toBe("No training jobs.");
    expect(await edgewise("jobs", "create", "--seed", "minus")).toMatchObject({ code: 2 });
  });

  it("says what is wrong with a job that cannot go through, and does not try again", async () => {
    const body = { model: FRAUD_MODEL, seed: 1, parameters: { leaves: -5 } };
    const { jobId } = (await system.client.call(createJob, { body })).body;
    start("second", { words: ["--once"] });
    const job = await ended(jobId);
    expect(job).toMatchObject({ state: "failed", attempts: 1 });
    expect(job.error).toContain("leaves");
  });

  it("refuses to start beside another on the same home, and names it", async () => {
    const first = start("second");
    await first.said("started");
    const rival = start("second");
    expect((await rival.ended).code).toBe(1);
    expect(rival.errors.join("\n")).toContain("is in use by process");
  });

  it("leaves no process behind", async () => {
    expect(processes.length).toBeGreaterThanOrEqual(7);
    await until(async () => (processes.some(isAlive) ? null : true), "every process of a job has ended");
  });
});

/** A command of this project against the running system; what it printed, errors included. */
async function edgewise(...words: string[]): Promise<{ code: number | null; output: string }> {
  const environment = { EDGEWISE_URL: system.edge.url, EDGEWISE_TOKEN: system.token, EDGEWISE_SIGNING_KEY: signingKey };
  const program = join(import.meta.dirname, "../../batch-training/main.ts");
  const child = spawn(process.execPath, [program, ...words], { env: { ...process.env, ...environment } });
  const ended = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, output: (out + errors).trim() };
}

async function healthOf(service: RunningService): Promise<void> {
  expect(await service.get("/healthz")).toEqual({ status: 200, text: '{"status":"ok"}' });
  expect((await service.get("/readyz")).status).toBe(200);
  expect((await service.get("/else")).status).toBe(404);
  const metrics = (await service.get("/metrics")).text;
  expect(metrics).toContain(`edgewise_worker_jobs_total{model="${FRAUD_MODEL}",outcome="succeeded"} 1`);
  for (const line of metrics.trimEnd().split("\n"))
    expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{[^}]*\})? [0-9.e+-]+)$/);
}

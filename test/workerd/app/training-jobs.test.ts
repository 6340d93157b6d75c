import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { JobLease, JobResult, TrainingJob } from "../../../models/contract/api/jobs.ts";
import { FRAUD_MODEL } from "../../../models/catalog/fraud-orders/model.ts";
import type { Role } from "../../../models/contract/auth.ts";
import { amountModel } from "../../support/amount-model.ts";
import { call, problemOf } from "./client.ts";
import { putFile, registryOf } from "./registry-client.ts";

const JOBS = "/api/v1/training/jobs";
const VERSION = "a".repeat(64);
const SUCCEEDED: JobResult = {
  outcome: "succeeded",
  run: "run-1",
  version: VERSION,
  published: true,
  promoted: false,
  reasons: [],
};
let tenants = 0;

/** The jobs of a tenant of its own, as a person and several machines see them. */
class Jobs {
  readonly tenant = `train-${++tenants}`;

  async create(body: object = {}, key?: string): Promise<Response> {
    const headers = key === undefined ? {} : { "idempotency-key": key };
    return await call(JOBS, {
      tenant: this.tenant,
      body: { model: FRAUD_MODEL, ...body },
      headers,
      roles: ["operator"],
    });
  }

  async created(body: object = {}): Promise<TrainingJob> {
    return await (await this.create(body)).json<TrainingJob>();
  }

  async lease(worker = "one", models = [FRAUD_MODEL]): Promise<JobLease | null> {
    const body = { worker, models, seconds: 60 };
    const response = await call("/api/v1/training/leases", { tenant: this.tenant, body, roles: ["trainer"] });
    return (await response.json<{ lease: JobLease | null }>()).lease;
  }

  async leased(worker = "one"): Promise<JobLease> {
    const lease = await this.lease(worker);
    if (!lease) throw new Error("no job waits");
    return lease;
  }

  async post({ job, fence }: JobLease, what: string, body: object = {}): Promise<Response> {
    const path = `${JOBS}/${job.jobId}/${what}`;
    return await call(path, { tenant: this.tenant, body: { fence, ...body }, roles: ["trainer"] });
  }

  async heartbeat(lease: JobLease): Promise<Response> {
    const progress = { run: "run-1", stage: "train", done: 0.5, note: "round 50 of 100" };
    return await this.post(lease, "heartbeat", { seconds: 60, progress });
  }

  async cancel(jobId: string): Promise<Response> {
    return await call(`${JOBS}/${jobId}/cancel`, { tenant: this.tenant, method: "POST" });
  }

  async show(jobId: string): Promise<TrainingJob> {
    return await (await call(`${JOBS}/${jobId}`, { tenant: this.tenant })).json<TrainingJob>();
  }

  /** The machine is lost: the lease's time passes without a heartbeat. */
  async expire({ job }: JobLease): Promise<void> {
    const update = env.DB.prepare("UPDATE training_jobs SET lease_expires_at = 1 WHERE tenant = ? AND job_id = ?");
    await update.bind(this.tenant, job.jobId).run();
  }

  /** The waiting time before the next attempt passes. */
  async wait({ job }: JobLease): Promise<void> {
    const update = env.DB.prepare("UPDATE training_jobs SET not_before = 1 WHERE tenant = ? AND job_id = ?");
    await update.bind(this.tenant, job.jobId).run();
  }
}

describe("asking for training", () => {
  it("201, then 200: the same key and request are one job; another request under the key is refused", async () => {
    const jobs = new Jobs();
    const first = await jobs.create({ seed: 7 }, "nightly");
    expect(first.status).toBe(201);
    const job = await first.json<TrainingJob>();
    expect(job).toMatchObject({
      state: "queued",
      attempts: 0,
      lease: null,
      createdBy: "tester",
      request: { model: FRAUD_MODEL, seed: 7, publish: true, promote: false },
    });
    const again = await jobs.create({ seed: 7 }, "nightly");
    expect([again.status, (await again.json<TrainingJob>()).jobId]).toEqual([200, job.jobId]);
    expect((await problemOf(await jobs.create({ seed: 8 }, "nightly"))).code).toBe("idempotency-conflict");
    expect((await jobs.create({ seed: 7 })).status).toBe(201);
    expect((await jobs.create({ seed: 7 })).status).toBe(201);
    expect(await new Jobs().create({ seed: 7 }, "nightly")).toMatchObject({ status: 201 });
  });

  it("asked ten times at once under one key, it is one job", async () => {
    const jobs = new Jobs();
    const answers = await Promise.all(Array.from({ length: 10 }, () => jobs.create({}, "at-once")));
    const ids = await Promise.all(answers.map(async (answer) => (await answer.json<TrainingJob>()).jobId));
    expect(new Set(ids).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
  });

  it.each<[string, object, string]>([
    ["an unknown field", { priority: 1 }, "/priority"],
    ["a model that is no name", { model: "../secrets" }, "/model"],
    ["a model that nobody can train", { model: "no-such-model" }, "/model"],
    ["too many attempts", { maxAttempts: 1_000 }, "/maxAttempts"],
    ["a parameter that is no plain value", { parameters: { leaves: { $gt: 1 } } }, "/parameters/leaves"],
  ])("400 names %s", async (_what, body, path) => {
    const problem = await problemOf(await new Jobs().create(body));
    expect(problem.code).toBe("invalid-request");
    expect(problem.issues?.map((issue) => issue.path)).toContain(path);
  });

  it("lists newest first, by state and model, and shows one", async () => {
    const jobs = new Jobs();
    const [a, b] = [await jobs.created(), await jobs.created({ seed: 2 })];
    await jobs.leased();
    const list = async (query: string) =>
      (
        await (
          await call(`${JOBS}${query}`, { tenant: jobs.tenant, roles: ["analyst"] })
        ).json<{ jobs: TrainingJob[] }>()
      ).jobs;
    expect((await list("")).map(({ jobId }) => jobId).toSorted()).toEqual([a.jobId, b.jobId].toSorted());
    expect((await list("?state=queued")).map(({ state }) => state)).toEqual(["queued"]);
    expect(await list("?model=other")).toEqual([]);
    expect(await list("?limit=1")).toHaveLength(1);
    expect((await call(`${JOBS}?limit=1000`, { tenant: jobs.tenant })).status).toBe(400);
    expect((await problemOf(await call(`${JOBS}/job-none`, { tenant: jobs.tenant }))).code).toBe("job-not-found");
  });

  it.each<[string, string, readonly Role[]]>([
    ["POST", JOBS, ["analyst"]],
    ["POST", "/api/v1/training/leases", ["operator"]],
    ["POST", `${JOBS}/job-1/complete`, ["operator"]],
    ["GET", JOBS, ["client"]],
  ])("403: %s %s is not for %s", async (method, path, roles) => {
    const response = await call(path, { method, roles, ...(method === "POST" && { body: {} }) });
    expect(response.status).toBe(403);
  });

  it("law: tenants — shows, leases and cancels nothing of another tenant", async () => {
    const [mine, theirs] = [new Jobs(), new Jobs()];
    const job = await mine.created();
    expect(await theirs.lease()).toBeNull();
    expect((await theirs.cancel(job.jobId)).status).toBe(404);
    expect((await call(`${JOBS}/${job.jobId}`, { tenant: theirs.tenant })).status).toBe(404);
    const lease = await mine.leased();
    expect((await theirs.heartbeat(lease)).status).toBe(404);
  });
});

describe("a lease", () => {
  it("goes to one of many machines that ask at once, oldest job first, and only for models it knows", async () => {
    const jobs = new Jobs();
    const first = await jobs.created({ seed: 1 });
    expect(await jobs.lease("stranger", ["another-model"])).toBeNull();
    const asked = await Promise.all(Array.from({ length: 8 }, (_, index) => jobs.lease(`machine-${index}`)));
    const given = asked.filter((lease) => lease !== null);
    expect(given).toHaveLength(1);
    expect(given[0]).toMatchObject({ fence: 1, job: { jobId: first.jobId, state: "running", attempts: 1 } });
    expect(given[0]?.job.lease?.worker).toMatch(/^machine-\d$/);
  });

  it("is kept by heartbeats, which show progress to people", async () => {
    const jobs = new Jobs();
    await jobs.created();
    const lease = await jobs.leased();
    const answer = await (await jobs.heartbeat(lease)).json<{ expiresAt: number; cancel: boolean }>();
    expect(answer.cancel).toBe(false);
    expect(answer.expiresAt).toBeGreaterThanOrEqual(lease.expiresAt);
    expect((await jobs.show(lease.job.jobId)).progress).toMatchObject({ run: "run-1", stage: "train", done: 0.5 });
  });

  it("law: nothing is lost — a machine that is gone gives its job to the next one, with what it had reached", async () => {
    const jobs = new Jobs();
    await jobs.created();
    const lost = await jobs.leased("lost");
    await jobs.heartbeat(lost);
    expect(await jobs.lease("second")).toBeNull();
    await jobs.expire(lost);
    const second = await jobs.leased("second");
    expect(second).toMatchObject({ fence: 2, job: { jobId: lost.job.jobId, attempts: 2, progress: { run: "run-1" } } });
  });

  it("is taken again at once by the machine that held it: it was restarted", async () => {
    const jobs = new Jobs();
    await jobs.created();
    const before = await jobs.leased("restarted");
    const after = await jobs.leased("restarted");
    expect(after).toMatchObject({ fence: 2, job: { jobId: before.job.jobId, attempts: 2 } });
    expect((await problemOf(await jobs.heartbeat(before))).code).toBe("lease-lost");
    await jobs.cancel(before.job.jobId);
    expect(await jobs.lease("restarted")).toBeNull();
    expect((await jobs.show(before.job.jobId)).state).toBe("cancelled");
  });

  it("law: nothing counts twice — who lost it can neither keep, end, fail, release, publish nor promote", async () => {
    const jobs = new Jobs();
    const { tenant } = jobs;
    const model = amountModel();
    await jobs.created();
    const stale = await jobs.leased("stale");
    await jobs.expire(stale);
    const holder = await jobs.leased("holder");
    const late = [
      await jobs.heartbeat(stale),
      await jobs.post(stale, "complete", { result: SUCCEEDED }),
      await jobs.post(stale, "fail", { reason: "late", retryable: false }),
      await jobs.post(stale, "release"),
    ];
    for (const response of late) {
      const problem = await problemOf(response);
      expect(problem).toMatchObject({ code: "lease-lost", status: 409 });
      expect(problem.detail).toContain("holder has it now, with fence 2");
    }
    await putFile(tenant, model);
    const versions = `/api/v1/models/${FRAUD_MODEL}/versions`;
    const as = ({ job, fence }: JobLease): string => `?jobId=${job.jobId}&fence=${fence}`;
    const publish = (lease: JobLease) => call(`${versions}${as(lease)}`, { tenant, body: model.manifest });
    expect((await problemOf(await publish(stale))).code).toBe("lease-lost");
    expect((await call(`/api/v1/models/${FRAUD_MODEL}`, { tenant })).status).toBe(404);
    expect((await publish(holder)).status).toBe(201);
    const promote = (lease: JobLease) =>
      call(`/api/v1/models/${FRAUD_MODEL}/promote${as(lease)}`, { tenant, body: { version: model.manifest.version } });
    expect((await problemOf(await promote(stale))).code).toBe("lease-lost");
    expect((await registryOf(tenant)).routing).toBeNull();
    expect((await promote(holder)).status).toBe(200);
    expect((await call(`${versions}?fence=1`, { tenant, body: model.manifest })).status).toBe(400);
    expect((await jobs.post(holder, "complete", { result: SUCCEEDED })).status).toBe(200);
  });

  it("is kept by a slow machine whose time passed while nobody took the job", async () => {
    const jobs = new Jobs();
    await jobs.created();
    const slow = await jobs.leased();
    await jobs.expire(slow);
    expect((await jobs.heartbeat(slow)).status).toBe(200);
    expect(await jobs.lease("second")).toBeNull();
  });

  it("ends with the job; the end may be said twice, and no other end after it", async () => {
    const jobs = new Jobs();
    await jobs.created();
    const lease = await jobs.leased();
    for (let repeat = 0; repeat < 2; repeat++) {
      const response = await jobs.post(lease, "complete", { result: SUCCEEDED });
      expect(await response.json()).toMatchObject({ state: "succeeded", lease: null, result: SUCCEEDED });
    }
    expect((await jobs.post(lease, "fail", { reason: "no", retryable: true })).status).toBe(409);
    expect(await jobs.lease("second")).toBeNull();
    expect((await jobs.show(lease.job.jobId)).finishedAt).toBeGreaterThan(0);
  });
});

describe("attempts", () => {
  it("wait twice as long each time, and end when they are used up", async () => {
    const jobs = new Jobs();
    await jobs.created({ maxAttempts: 3 });
    const delays: number[] = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      const lease = await jobs.leased();
      const before = Date.now();
      const job = await (
        await jobs.post(lease, "fail", { reason: `try ${attempt}`, retryable: true })
      ).json<TrainingJob>();
      delays.push(Math.round((job.notBefore - before) / 10_000) * 10);
      expect(job.error).toBe(`try ${attempt}`);
      expect(job.state).toBe(attempt < 3 ? "queued" : "failed");
      expect(await jobs.lease()).toBeNull();
      await jobs.wait(lease);
    }
    expect(delays.slice(0, 2)).toEqual([30, 60]);
    expect(await jobs.lease()).toBeNull();
  });

  it("are not repeated after a failure that another try does not mend", async () => {
    const jobs = new Jobs();
    await jobs.created();
    const lease = await jobs.leased();
    const response = await jobs.post(lease, "fail", { reason: "the column does not exist", retryable: false });
    expect(await response.json()).toMatchObject({ state: "failed", error: "the column does not exist" });
  });

  it("are used up by machines that are lost, too", async () => {
    const jobs = new Jobs();
    const { jobId } = await jobs.created({ maxAttempts: 2 });
    await jobs.expire(await jobs.leased("first"));
    await jobs.expire(await jobs.leased("second"));
    expect(await jobs.lease("third")).toBeNull();
    expect(await jobs.show(jobId)).toMatchObject({
      state: "failed",
      error: "its worker was lost, the last time in attempt 2",
      lease: null,
    });
  });

  it("do not count when a machine hands its job back", async () => {
    const jobs = new Jobs();
    await jobs.created({ maxAttempts: 1 });
    for (let repeat = 0; repeat < 3; repeat++) {
      const response = await jobs.post(await jobs.leased(), "release");
      expect(await response.json()).toMatchObject({ state: "queued", attempts: 0 });
    }
    expect((await jobs.leased()).fence).toBe(4);
  });
});

describe("cancelling", () => {
  it("ends a queued job at once, and twice is once", async () => {
    const jobs = new Jobs();
    const { jobId } = await jobs.created();
    for (let repeat = 0; repeat < 2; repeat++)
      expect(await (await jobs.cancel(jobId)).json()).toMatchObject({ state: "cancelled" });
    expect(await jobs.lease()).toBeNull();
  });

  it("is told to a running job's machine, whose failure then is the end", async () => {
    const jobs = new Jobs();
    await jobs.created();
    const lease = await jobs.leased();
    const { jobId } = lease.job;
    expect(await (await jobs.cancel(jobId)).json()).toMatchObject({ state: "running", cancelRequested: true });
    expect(await (await jobs.heartbeat(lease)).json()).toMatchObject({ cancel: true });
    const ended = await jobs.post(lease, "fail", { reason: "cancelled", retryable: true });
    expect(await ended.json()).toMatchObject({ state: "cancelled" });
    expect(await jobs.lease()).toBeNull();
  });

  it("ends a running job whose machine hands it back or is lost", async () => {
    const jobs = new Jobs();
    await jobs.created();
    const back = await jobs.leased();
    await jobs.cancel(back.job.jobId);
    expect(await (await jobs.post(back, "release")).json()).toMatchObject({ state: "cancelled" });
    await jobs.created({ seed: 2 });
    const lost = await jobs.leased();
    await jobs.cancel(lost.job.jobId);
    await jobs.expire(lost);
    expect(await jobs.lease("second")).toBeNull();
    expect(await jobs.show(lost.job.jobId)).toMatchObject({ state: "cancelled", lease: null });
  });

  it("409: a job that has ended stays what it is", async () => {
    const jobs = new Jobs();
    await jobs.created();
    const lease = await jobs.leased();
    await jobs.post(lease, "complete", { result: SUCCEEDED });
    expect((await problemOf(await jobs.cancel(lease.job.jobId))).code).toBe("job-finished");
    expect((await jobs.cancel("job-none")).status).toBe(404);
  });
});

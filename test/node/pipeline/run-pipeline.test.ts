import { describe, expect, it } from "vitest";
import type { PipelineEvent } from "../../../batch-training/pipeline/deps.ts";
import { runPipeline, type RunOptions } from "../../../batch-training/pipeline/run-pipeline.ts";
import { RunRecords, STAGES } from "../../../batch-training/pipeline/run-record.ts";
import { MemoryFiles, PowerLoss } from "../../support/memory-files.ts";
import { RecordingPublisher, tinyDeps, tinyModel, tinyWorld } from "../../support/tiny-model.ts";

const OPTIONS: RunOptions = { seed: 1, trials: 3 };

async function undisturbed() {
  const files = new MemoryFiles();
  const result = await runPipeline(tinyModel(tinyWorld()), tinyDeps(files), OPTIONS);
  return { ...result, disk: files };
}

describe("a run of the pipeline", () => {
  it("does every stage in order, once, and hands the version over with model, card and record", async () => {
    const world = tinyWorld();
    const events: PipelineEvent[] = [];
    const publisher = new RecordingPublisher();
    const files = new MemoryFiles();
    const {
      record,
      manifest,
      files: made,
    } = await runPipeline(
      tinyModel({ ...world, champion: "c".repeat(64) }),
      tinyDeps(files, { publisher, events }),
      OPTIONS,
    );
    const begun = events.flatMap((event) => (event.type === "stage" && event.status === "begins" ? event.stage : []));
    expect(begun).toEqual(STAGES);
    expect(record).toMatchObject({ state: "published", reasons: [], seed: 1, resumed: 0, version: manifest?.version });
    expect(record.stages.map(({ stage }) => stage)).toEqual(STAGES.slice(0, -2));
    expect(record.trials).toHaveLength(3);
    expect(publisher).toMatchObject({ published: [manifest?.version], promoted: [manifest?.version] });
    expect(made.map(({ path }) => path)).toEqual(["mean.json", "model-card.md"]);
    expect(manifest?.lineage).toMatchObject({
      runId: record.fingerprint,
      parent: "c".repeat(64),
      codeVersion: "test-1",
    });
    expect(await new RunRecords(files, "/home").find("latest")).toEqual(record);
  });

  it("law: same inputs and seed, same artefact — at another time, on another disk; another seed or number is another one", async () => {
    const [first, second] = [await undisturbed(), await undisturbed()];
    expect(first.record.id).not.toBe(second.record.id);
    expect(second.manifest).toEqual(first.manifest);
    expect(second.files).toEqual(first.files);
    const other = await runPipeline(tinyModel(tinyWorld()), tinyDeps(new MemoryFiles()), { ...OPTIONS, seed: 2 });
    const moved = { ...tinyWorld(), numbers: [3, 1, 2.5] };
    const changed = await runPipeline(tinyModel(moved), tinyDeps(new MemoryFiles()), OPTIONS);
    const versions = [first, other, changed].map(({ manifest }) => manifest?.version);
    expect(new Set(versions).size).toBe(3);
  });

  it("law: power lost before or in any write — the run goes on to the same artefact, whichever write it was", async () => {
    const calm = await undisturbed();
    const writes = calm.disk.changes;
    expect(writes).toBeGreaterThan(60);
    for (let power = 0; power < writes; power++) {
      const files = new MemoryFiles();
      files.powerAfter = power;
      const publisher = new RecordingPublisher();
      const deps = () => tinyDeps(files, { publisher });
      await expect(runPipeline(tinyModel(tinyWorld()), deps(), OPTIONS), `write ${power}`).rejects.toThrow(PowerLoss);
      files.restart();
      const [stopped] = await new RunRecords(files, "/home").list();
      const { record, manifest } = await runPipeline(tinyModel(tinyWorld()), deps(), {
        ...OPTIONS,
        ...(stopped && { resume: stopped }),
      });
      expect(manifest, `write ${power}`).toEqual(calm.manifest);
      expect(record).toMatchObject({ state: "published", resumed: stopped ? 1 : 0 });
      expect(new Set(publisher.published)).toEqual(new Set([calm.manifest?.version]));
    }
  });

  it("goes on with what it was about when it began, though the log and the champion have moved on", async () => {
    const calm = await undisturbed();
    const files = new MemoryFiles();
    files.powerAfter = Math.floor(calm.disk.changes / 2);
    await expect(runPipeline(tinyModel(tinyWorld()), tinyDeps(files), OPTIONS)).rejects.toThrow(PowerLoss);
    files.restart();
    const [stopped] = await new RunRecords(files, "/home").list();
    const later = { ...tinyWorld(), numbers: [9, 9, 9], champion: "d".repeat(64) };
    const { manifest } = await runPipeline(tinyModel(later), tinyDeps(files), {
      seed: 77,
      ...(stopped && { resume: stopped }),
    });
    expect(manifest).toEqual(calm.manifest);
    // What was whole when the power went is not made again.
    expect(later.worked).not.toContain("extract");
    expect(later.worked).not.toContain("trial");
  });

  it("does nothing twice: a second run over the same things reuses every output, and trials of a longer search", async () => {
    const files = new MemoryFiles();
    const first = tinyWorld();
    await runPipeline(tinyModel(first), tinyDeps(files), OPTIONS);
    expect(first.worked.filter((stage) => stage === "trial")).toHaveLength(3);
    const second = tinyWorld();
    const { record } = await runPipeline(tinyModel(second), tinyDeps(files), OPTIONS);
    expect(second.worked).toEqual([]);
    expect(record.stages.every(({ reused }) => reused)).toBe(true);
    const changedCode = tinyWorld();
    await runPipeline(tinyModel(changedCode), tinyDeps(files, { sourceHash: "b".repeat(64) }), OPTIONS);
    expect(changedCode.worked).toEqual(first.worked);
  });

  it("makes a damaged output again: cut short, or with one bit turned", async () => {
    const calm = await undisturbed();
    for (const damage of [
      (bytes: Uint8Array) => bytes.subarray(0, Math.floor(bytes.length * 0.7)),
      (bytes: Uint8Array) => bytes.map((byte, at) => (at === Math.floor(bytes.length / 2) ? byte ^ 1 : byte)),
      () => new Uint8Array(0),
    ]) {
      const files = new MemoryFiles();
      for (const [path, bytes] of calm.disk.content)
        files.content.set(path, path.includes("/stages/") ? damage(bytes) : bytes);
      const world = tinyWorld();
      const events: PipelineEvent[] = [];
      const { manifest } = await runPipeline(tinyModel(world), tinyDeps(files, { events }), OPTIONS);
      expect(manifest).toEqual(calm.manifest);
      expect(world.worked).toContain("extract");
      expect(events.some((event) => event.type === "warning" && event.text.includes("damaged"))).toBe(true);
    }
  });

  it("says that the disk is full, leaves no half file, and goes on when there is space", async () => {
    const calm = await undisturbed();
    const needed = [...calm.disk.content.values()].reduce((sum, bytes) => sum + bytes.length, 0);
    for (const share of [0.3, 0.6, 0.9]) {
      const files = new MemoryFiles();
      files.capacity = needed * share;
      await expect(runPipeline(tinyModel(tinyWorld()), tinyDeps(files), OPTIONS)).rejects.toMatchObject({
        code: "disk_full",
        message: expect.stringMatching(/^the disk is full: \d+\.\d MB could not be written to \/home\/.*--resume$/),
      });
      expect([...files.content.keys()].filter((path) => path.endsWith(".tmp"))).toEqual([]);
      files.capacity = Number.POSITIVE_INFINITY;
      const [stopped] = await new RunRecords(files, "/home").list();
      const { manifest } = await runPipeline(tinyModel(tinyWorld()), tinyDeps(files), {
        ...OPTIONS,
        ...(stopped && { resume: stopped }),
      });
      expect(manifest).toEqual(calm.manifest);
    }
  });

  it("a cancelled run publishes nothing, says so in its record, and can be taken up again", async () => {
    const calm = await undisturbed();
    for (const at of ["features", "train", "export"] as const) {
      const files = new MemoryFiles();
      const publisher = new RecordingPublisher();
      const stop = new AbortController();
      const deps = {
        ...tinyDeps(files, { publisher, signal: stop.signal }),
        report: (event: PipelineEvent) => {
          if (event.type === "stage" && event.stage === at) stop.abort();
        },
      };
      await expect(runPipeline(tinyModel(tinyWorld()), deps, OPTIONS)).rejects.toMatchObject({ code: "cancelled" });
      expect(publisher.published).toEqual([]);
      const [record] = await new RunRecords(files, "/home").list();
      expect(record).toMatchObject({ state: "cancelled", stage: at });
      const again = await runPipeline(tinyModel(tinyWorld()), tinyDeps(files), {
        ...OPTIONS,
        ...(record && { resume: record }),
      });
      expect(again.manifest).toEqual(calm.manifest);
    }
  });

  it("a refused model is not exported and not published, and the record says why", async () => {
    const world = { ...tinyWorld(), passes: false };
    const publisher = new RecordingPublisher();
    const { record, manifest } = await runPipeline(
      tinyModel(world),
      tinyDeps(new MemoryFiles(), { publisher }),
      OPTIONS,
    );
    expect(manifest).toBeNull();
    expect(record).toMatchObject({ state: "refused", reasons: ["the mean is not fine"], version: null });
    expect(world.worked).not.toContain("export");
    expect(publisher.published).toEqual([]);
  });

  it("a stage that fails is a failure with its reason, not a refusal", async () => {
    const files = new MemoryFiles();
    const broken = { ...tinyModel(tinyWorld()), calibrate: () => Promise.reject(new Error("no such thing")) };
    await expect(runPipeline(broken, tinyDeps(files), OPTIONS)).rejects.toThrow("no such thing");
    const [record] = await new RunRecords(files, "/home").list();
    expect(record).toMatchObject({ state: "failed", stage: "calibrate", reasons: ["no such thing"] });
  });

  it("hands nothing over where that is not wanted", async () => {
    const publisher = new RecordingPublisher();
    const quiet = await runPipeline(tinyModel(tinyWorld()), tinyDeps(new MemoryFiles(), { publisher }), {
      ...OPTIONS,
      publish: false,
    });
    expect(quiet.record.state).toBe("trained");
    expect(publisher.published).toEqual([]);
    await runPipeline(tinyModel(tinyWorld()), tinyDeps(new MemoryFiles(), { publisher }), {
      ...OPTIONS,
      promote: false,
    });
    expect(publisher).toMatchObject({ published: [quiet.record.version], promoted: [] });
  });

  it("refuses to go on with a run of another model or other features", async () => {
    const { record } = await undisturbed();
    const go = (part: object) =>
      runPipeline(tinyModel(tinyWorld()), tinyDeps(new MemoryFiles()), { ...OPTIONS, resume: { ...record, ...part } });
    await expect(go({ model: "other" })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(go({ featureService: { name: "x", hash: "0".repeat(64) } })).rejects.toMatchObject({
      code: "invalid_input",
    });
  });
});

import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { MAX_ORT_SESSION_BYTES, ortSessionBytes } from "../../../../models/engine/ort-memory.ts";
import { OrtSessionError, type OrtSession } from "../../../../models/engine/ort-session.ts";
import type { ModelRef, OrtResult } from "../../../../workers/ort/contract.ts";
import { MAX_REFUSALS, MEMORY_CEILING_BYTES, REFUSAL_MS } from "../../../../workers/ort/limits.ts";
import { ModelStore, type ModelStoreDeps, type StoredModel } from "../../../../workers/ort/model-store.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

class World {
  readonly objects = new Map<string, Uint8Array>();
  reads = 0;
  loads = 0;
  nowMs = 0;
  memory = 0;
  /** Resolves the pending deadlines: the clock is driven, nobody sleeps. */
  deadlines: (() => void)[] = [];
  createError: Error | null = null;
  readGate: Promise<void> = Promise.resolve();
  readonly store: ModelStore;

  constructor() {
    const deps: ModelStoreDeps = {
      open: async (key) => this.#open(key),
      sha256: async (bytes) => sha256(bytes),
      createSession: async (_bytes, charged) => this.#create(charged),
      memoryBytes: () => this.memory,
      nowMs: () => this.nowMs,
      sleep: () => new Promise((resolve) => this.deadlines.push(resolve)),
    };
    this.store = new ModelStore(deps);
  }

  put(name: string, bytes: Uint8Array): ModelRef {
    this.objects.set(name, bytes);
    return { key: name, sha256: sha256(bytes) };
  }

  use(source: ModelRef): Promise<OrtResult<number>> {
    return this.store.use(
      source,
      () => {},
      async (session) => session.bytes,
    );
  }

  #open(key: string): StoredModel | null {
    const bytes = this.objects.get(key);
    if (!bytes) return null;
    return {
      size: bytes.length,
      read: async () => {
        this.reads++;
        await this.readGate;
        return bytes;
      },
    };
  }

  #create(charged: number): OrtSession {
    this.loads++;
    if (this.createError) throw this.createError;
    const run = async (batch: Float32Array) => batch;
    return { engine: "ort", inputs: [], outputs: [], outputName: "y", bytes: charged, run, release: async () => {} };
  }
}

const model = (seed: number, size = 64): Uint8Array => new Uint8Array(size).fill(seed);
const treeModel = (seed: number, size: number): Uint8Array => {
  const bytes = model(seed, size);
  bytes.set(new TextEncoder().encode("..TreeEnsembleRegressor"), 10);
  return bytes;
};
const tagOf = (result: OrtResult<unknown>): string => (result.ok ? "ok" : result.error.tag);

describe("loading", () => {
  it("a model is read and created once, however many ask at once", async () => {
    const world = new World();
    const ref = world.put("a", model(1));
    const results = await Promise.all(Array.from({ length: 50 }, () => world.use(ref)));
    expect(new Set(results.map(tagOf))).toEqual(new Set(["ok"]));
    expect([world.reads, world.loads]).toEqual([1, 1]);
  });

  it("a read that never ends (its request was cancelled) does not block those who come after the deadline", async () => {
    const world = new World();
    const ref = world.put("a", model(1));
    world.readGate = new Promise(() => {});
    const first = world.use(ref);
    const second = world.use(ref);
    await new Promise((resolve) => setImmediate(resolve));
    world.readGate = Promise.resolve();
    for (const expire of world.deadlines.splice(0)) expire();
    expect(tagOf(await first)).toBe("timeout");
    expect(tagOf(await second)).toBe("ok");
  });

  it("tree files are charged fifteen bytes per byte, others four, and a live version fits beside its candidate", () => {
    expect(ortSessionBytes(treeModel(1, 100_000)) - ortSessionBytes(treeModel(1, 99_000))).toBe(15_000);
    expect(ortSessionBytes(model(1, 100_000)) - ortSessionBytes(model(1, 99_000))).toBe(4_000);
    expect(ortSessionBytes(model(84, 1000))).toBe(ortSessionBytes(model(1, 1000)));
  });

  it("a candidate of the largest size loads while the live version of the largest size is in use", async () => {
    const world = new World();
    const size = Math.floor((MAX_ORT_SESSION_BYTES - 300_000) / 15);
    const live = world.put("live", treeModel(1, size));
    const candidate = world.put("candidate", treeModel(2, size));
    const third = world.put("third", treeModel(3, size));
    const outcome = await world.store.use(
      live,
      () => {},
      async () => [await world.use(candidate), await world.use(third)].map(tagOf),
    );
    expect(outcome).toEqual({ ok: true, value: ["ok", "ok"] });
    expect(world.store.cache.list().map((entry) => entry.sha256)).toEqual([live.sha256, third.sha256]);
  });

  it("with every session in use a further one is refused for now, not squeezed in", async () => {
    const world = new World();
    const size = Math.floor((MAX_ORT_SESSION_BYTES - 300_000) / 15);
    const [a, b, c] = [1, 2, 3].map((seed) => world.put(`m${seed}`, treeModel(seed, size)));
    if (!a || !b || !c) throw new Error("three models");
    const nested = await world.store.use(
      a,
      () => {},
      () =>
        world.store.use(
          b,
          () => {},
          () => world.use(c),
        ),
    );
    expect(nested).toMatchObject({ value: { value: { ok: false, error: { tag: "busy", retryable: true } } } });
  });

  it("an isolate whose WebAssembly memory has grown to the ceiling takes no new model and keeps serving the old", async () => {
    const world = new World();
    const old = world.put("old", model(1));
    expect(tagOf(await world.use(old))).toBe("ok");
    world.memory = MEMORY_CEILING_BYTES;
    expect(await world.use(world.put("new", model(2)))).toMatchObject({
      error: { tag: "runtime_failed", retryable: true },
    });
    expect(tagOf(await world.use(old))).toBe("ok");
  });
});

describe("refusals", () => {
  it("a version the runtime refuses is not read again until a minute has passed", async () => {
    const world = new World();
    const ref = world.put("bad", model(1));
    world.createError = new OrtSessionError("model", "no such operator: Frobnicate");
    for (let i = 0; i < 10; i++) expect(await world.use(ref)).toMatchObject({ error: { tag: "refused" } });
    expect(world.reads).toBe(1);
    world.nowMs = REFUSAL_MS;
    expect(tagOf(await world.use(ref))).toBe("refused");
    expect(world.reads).toBe(2);
  });

  it("bytes that are not what the reference states are refused, and the true bytes elsewhere still load", async () => {
    const world = new World();
    const ref = world.put("a", model(1));
    world.objects.set("a", model(2));
    expect(tagOf(await world.use(ref))).toBe("checksum_mismatch");
    const inline = { bytes: model(1), sha256: ref.sha256 };
    expect(
      tagOf(
        await world.store.use(
          inline,
          () => {},
          async () => 1,
        ),
      ),
    ).toBe("ok");
  });

  it("a failure of the isolate is not held against the model", async () => {
    const world = new World();
    const ref = world.put("a", model(1));
    const trap = Object.assign(new Error("unreachable"), { name: "RuntimeError" });
    world.createError = new OrtSessionError("model", "aborted", { cause: trap });
    expect(await world.use(ref)).toMatchObject({ error: { tag: "runtime_failed", retryable: true } });
    world.createError = null;
    expect(tagOf(await world.use(ref))).toBe("ok");
  });

  it("a failed load gives its room back", async () => {
    const world = new World();
    world.createError = new OrtSessionError("model", "refused");
    const size = Math.floor((MAX_ORT_SESSION_BYTES - 300_000) / 15);
    for (let i = 0; i < 5; i++) await world.use(world.put(`bad${i}`, treeModel(i, size)));
    world.createError = null;
    expect(tagOf(await world.use(world.put("good", treeModel(9, size))))).toBe("ok");
  });

  it("the memory of refusals is bounded", async () => {
    const world = new World();
    world.createError = new OrtSessionError("model", "refused");
    const refs = Array.from({ length: MAX_REFUSALS + 1 }, (_, i) => world.put(`m${i}`, model(i)));
    for (const ref of refs) await world.use(ref);
    const before = world.reads;
    for (const ref of refs.slice(1)) await world.use(ref);
    expect(world.reads).toBe(before);
    for (const ref of refs.slice(0, 1)) await world.use(ref);
    expect(world.reads).toBe(before + 1);
  });
});

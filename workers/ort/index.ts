/** The Worker "edgewise-ort": any ONNX graph, in an isolate and a memory of its own, reached by RPC only. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { ORT_BUDGET_BYTES } from "../../models/engine/ort-memory.ts";
import { createOrtSession, type OrtSession } from "../../models/engine/ort-session.ts";
import type { ModelSource, OrtResult, OrtRpc, OrtStatus, ScoredBatch, SessionSummary } from "./contract.ts";
import { MAX_BATCH_VALUES } from "./limits.ts";
import { describeFailure, failure, ModelStore, type StoredModel } from "./model-store.ts";
import { memoryBytes, runtimeState, startRuntime } from "./runtime.ts";

export interface OrtEnv {
  readonly MODELS: R2Bucket;
}

/** One per isolate, shared by its requests. The bucket binding is the same in all of them. */
let store: ModelStore | null = null;

export class OrtService extends WorkerEntrypoint<OrtEnv> implements OrtRpc {
  async describe(source: ModelSource): Promise<OrtResult<SessionSummary>> {
    return this.#use(source, async (session) => ({ ok: true, value: summaryOf(session, source.sha256) }));
  }

  async run(source: ModelSource, batch: Float32Array, rows: number): Promise<OrtResult<ScoredBatch>> {
    if (!(batch instanceof Float32Array) || !Number.isInteger(rows) || rows < 1) {
      return failure("bad_request", "run takes a Float32Array and a positive number of rows");
    }
    if (batch.length > MAX_BATCH_VALUES || rows > MAX_BATCH_VALUES) {
      return failure("too_large", `a batch has at most ${MAX_BATCH_VALUES} values, not ${batch.length}: split it`);
    }
    return this.#use(source, async (session) => {
      const output = await session.run(batch, rows);
      if (output.length > MAX_BATCH_VALUES) {
        return failure(
          "too_large",
          `the answer has ${output.length} values, over ${MAX_BATCH_VALUES}: ask for fewer rows`,
        );
      }
      return { ok: true, value: { output, width: output.length / rows } };
    });
  }

  async status(): Promise<OrtStatus> {
    return {
      runtime: runtimeState(),
      memoryBytes: memoryBytes(),
      residentBytes: store?.cache.residentBytes ?? 0,
      budgetBytes: ORT_BUDGET_BYTES,
      sessions: store?.cache.list() ?? [],
    };
  }

  async #use<T>(source: ModelSource, work: (session: OrtSession) => Promise<OrtResult<T>>): Promise<OrtResult<T>> {
    const problem = sourceProblem(source);
    if (problem) return failure("bad_request", problem);
    store ??= createStore(this.env.MODELS);
    try {
      const result = await store.use(source, (promise) => this.ctx.waitUntil(promise), work);
      return result.ok ? result.value : result;
    } catch (error) {
      return describeFailure(error);
    }
  }
}

/** Nothing answers over HTTP; the service binding is the only way in. */
export default {
  fetch: () => new Response("edgewise-ort answers over its service binding only\n", { status: 404 }),
} satisfies ExportedHandler<OrtEnv>;

function createStore(bucket: R2Bucket): ModelStore {
  return new ModelStore({
    open: (key) => openObject(bucket, key),
    sha256: async (bytes) => hex(await crypto.subtle.digest("SHA-256", bytes)),
    createSession: async (bytes, charge) => createOrtSession(await startRuntime(), bytes, charge),
    memoryBytes,
    nowMs: () => Date.now(),
    sleep: (ms) => scheduler.wait(ms),
  });
}

async function openObject(bucket: R2Bucket, key: string): Promise<StoredModel | null> {
  const object = await bucket.get(key);
  if (!object) return null;
  return {
    size: object.size,
    read: async () => new Uint8Array(await object.arrayBuffer()),
  };
}

function summaryOf(session: OrtSession, sha256: string): SessionSummary {
  const { engine, inputs, outputs, outputName, bytes } = session;
  return { engine, inputs, outputs, outputName, bytes, sha256 };
}

/** Callers are our own Workers, but a wrong call must not read as a broken model. */
function sourceProblem(source: ModelSource): string | null {
  if (typeof source?.sha256 !== "string" || !/^[0-9a-f]{64}$/.test(source.sha256)) {
    return "sha256 must be 64 lower-case hex digits";
  }
  if ("bytes" in source) return source.bytes instanceof Uint8Array ? null : "bytes must be a Uint8Array";
  // R2 takes keys of up to 1,024 bytes.
  return typeof source.key === "string" && source.key.length > 0 && source.key.length <= 1024
    ? null
    : "key must be an R2 key of 1 to 1,024 characters";
}

const hex = (digest: ArrayBuffer): string =>
  Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");

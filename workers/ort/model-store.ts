/**
 * From a model reference to a resident, verified session. Platform-free: reading, hashing, the runtime and the clock are
 * passed in, so that every path runs in a plain test. Session creation waits for no I/O; only reading does.
 */
import {
  MAX_ORT_FILE_BYTES,
  MAX_ORT_SESSION_BYTES,
  ORT_BUDGET_BYTES,
  ortSessionBytes,
  ortTooLarge,
} from "../../models/engine/ort-memory.ts";
import { OrtSessionError, type OrtSession } from "../../models/engine/ort-session.ts";
import type { ModelRef, ModelSource, OrtError, OrtErrorTag, OrtResult } from "./contract.ts";
import { LOAD_DEADLINE_MS, MAX_REFUSALS, MEMORY_CEILING_BYTES, REFUSAL_MS } from "./limits.ts";
import { SessionCache } from "./session-cache.ts";
import { OrtStartError } from "./start-error.ts";

/** An object as the store sees it: its size is known before its bytes are read. */
export interface StoredModel {
  readonly size: number;
  read(): Promise<Uint8Array>;
}

export interface ModelStoreDeps {
  open(key: string): Promise<StoredModel | null>;
  sha256(bytes: Uint8Array): Promise<string>;
  /** @throws OrtSessionError, OrtStartError */
  createSession(bytes: Uint8Array, chargedBytes: number): Promise<OrtSession>;
  memoryBytes(): number;
  nowMs(): number;
  /** Resolves after `ms`, or rejects; used for deadlines only. */
  sleep(ms: number): Promise<void>;
}

type LoadResult = OrtResult<null>;

interface Refusal {
  readonly error: OrtError;
  readonly untilMs: number;
}

const RETRYABLE: Readonly<Record<OrtErrorTag, boolean>> = {
  not_found: false,
  checksum_mismatch: false,
  refused: false,
  too_large: false,
  busy: true,
  timeout: true,
  bad_request: false,
  run_failed: false,
  runtime_failed: true,
};

export const failure = (tag: OrtErrorTag, message: string): { ok: false; error: OrtError } => ({
  ok: false,
  error: { tag, message, retryable: RETRYABLE[tag] },
});

export class ModelStore {
  readonly cache = new SessionCache<OrtSession>(ORT_BUDGET_BYTES);
  readonly #deps: ModelStoreDeps;
  readonly #flights = new Map<string, Promise<LoadResult>>();
  readonly #refusals = new Map<string, Refusal>();

  constructor(deps: ModelStoreDeps) {
    this.#deps = deps;
  }

  /**
   * Runs `work` on the session of `source`, loading it first if need be. `keepAlive` takes the load's promise, so that it
   * goes on when the request that began it is cancelled.
   */
  async use<T>(
    source: ModelSource,
    keepAlive: (promise: Promise<unknown>) => void,
    work: (session: OrtSession) => Promise<T>,
  ): Promise<OrtResult<T>> {
    // Twice: between a load and its use another load may have needed the room.
    for (let attempt = 0; attempt < 2; attempt++) {
      const resident = this.cache.use(source.sha256, work);
      if (resident) return { ok: true, value: await resident };
      const loaded = await this.#ensureLoaded(source, keepAlive);
      if (!loaded.ok) return loaded;
    }
    return failure("busy", "the model was evicted before it could run: more models are in use than fit; retry");
  }

  /** One load per source, however many callers wait for it. */
  async #ensureLoaded(source: ModelSource, keepAlive: (promise: Promise<unknown>) => void): Promise<LoadResult> {
    const key = sourceKey(source);
    const refusal = this.#refusals.get(key);
    if (refusal && refusal.untilMs > this.#deps.nowMs()) return { ok: false, error: refusal.error };
    const flying = this.#flights.get(key);
    if (flying) {
      const result = await this.#withDeadline(flying);
      if (result) return result;
      // The request that began the load was cancelled with its read pending: nobody will settle that promise.
      if (this.#flights.get(key) === flying) this.#flights.delete(key);
    }
    const own = this.#load(source).then((result) => {
      if (this.#flights.get(key) === own) this.#flights.delete(key);
      this.#remember(key, result);
      return result;
    });
    this.#flights.set(key, own);
    keepAlive(own);
    return (await this.#withDeadline(own)) ?? failure("timeout", "the model could not be read in time; retry");
  }

  async #withDeadline(promise: Promise<LoadResult>): Promise<LoadResult | null> {
    return Promise.race([promise, this.#deps.sleep(LOAD_DEADLINE_MS).then(() => null)]);
  }

  async #load(source: ModelSource): Promise<LoadResult> {
    const bytes = "bytes" in source ? source.bytes : await this.#fetch(source);
    if (!(bytes instanceof Uint8Array)) return bytes;
    if (bytes.length > MAX_ORT_FILE_BYTES) return tooLarge(bytes.length);
    const actual = await this.#deps.sha256(bytes);
    if (actual !== source.sha256) {
      return failure("checksum_mismatch", `the model's sha256 is ${actual}, its reference states ${source.sha256}`);
    }
    const charge = ortSessionBytes(bytes);
    if (charge > MAX_ORT_SESSION_BYTES) return tooLarge(bytes.length);
    if (this.#deps.memoryBytes() >= MEMORY_CEILING_BYTES) {
      return failure(
        "runtime_failed",
        "this isolate's WebAssembly memory is exhausted; another one can load the model",
      );
    }
    if (!(await this.cache.reserve(charge))) {
      return failure("busy", "every resident model is in use and there is no room for another; retry");
    }
    try {
      const session = await this.#deps.createSession(bytes, charge);
      if (this.cache.has(source.sha256)) await session.release();
      else this.cache.insert(source.sha256, session);
      return { ok: true, value: null };
    } catch (error) {
      return describeFailure(error);
    } finally {
      this.cache.unreserve(charge);
    }
  }

  async #fetch(ref: ModelRef): Promise<Uint8Array | { ok: false; error: OrtError }> {
    try {
      const object = await this.#deps.open(ref.key);
      if (!object) return failure("not_found", `no model under the key "${ref.key}"`);
      if (object.size > MAX_ORT_FILE_BYTES) return tooLarge(object.size);
      return await object.read();
    } catch (error) {
      return failure(
        "timeout",
        `the model store failed: ${error instanceof Error ? error.message : String(error)}; retry`,
      );
    }
  }

  /** A version that cannot load is not read and parsed again for every request that asks for it. */
  #remember(key: string, result: LoadResult): void {
    if (result.ok || !["refused", "too_large", "checksum_mismatch"].includes(result.error.tag)) return;
    this.#refusals.delete(key);
    this.#refusals.set(key, { error: result.error, untilMs: this.#deps.nowMs() + REFUSAL_MS });
    const [oldest] = this.#refusals.keys();
    if (this.#refusals.size > MAX_REFUSALS && oldest !== undefined) this.#refusals.delete(oldest);
  }
}

/** Bytes handed over may differ from those in R2 though both claim one hash, so each place is judged by itself. */
const sourceKey = (source: ModelSource): string =>
  "bytes" in source ? `bytes:${source.bytes.length} ${source.sha256}` : `key:${source.key} ${source.sha256}`;

const tooLarge = (size: number): { ok: false; error: OrtError } => failure("too_large", ortTooLarge(size));

/** Plain data for anything a load or a run throws. */
export function describeFailure(error: unknown): { ok: false; error: OrtError } {
  if (error instanceof OrtStartError) return failure("runtime_failed", error.message);
  if (!(error instanceof OrtSessionError)) {
    return failure("runtime_failed", error instanceof Error ? error.message : String(error));
  }
  // A trap, or an allocation that failed, says nothing against the model: the isolate is at its end.
  if (
    (error.cause instanceof Error && error.cause.name === "RuntimeError") ||
    /bad_alloc|failed to allocate/.test(error.message)
  ) {
    return failure("runtime_failed", error.message);
  }
  if (error.code === "input") return failure("bad_request", error.message);
  return failure(error.code === "run" ? "run_failed" : "refused", error.message);
}

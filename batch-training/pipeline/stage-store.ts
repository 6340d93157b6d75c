/**
 * Outputs of stages, named by what they were made from. The key of an output is the SHA-256 of stage, code, parameters and the
 * hashes of its inputs; a file holds the value and its own hash. A file that is cut or changed counts as absent and is made again,
 * so neither a kill at any instant nor a damaged disk can put a wrong value into a run.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { canonicalJson } from "../../models/contract/canonical-json.ts";
import { type FileSystem, TEMPORARY, writeWhole } from "./file-system.ts";
import { PipelineError } from "./pipeline-error.ts";
import { decodeValue, encodeValue } from "./stored-value.ts";

export interface StageIdentity {
  readonly stage: string;
  /** What the code is, and what runs it: another of either makes another key. */
  readonly code: string;
  /** JSON: parameters and hashes of inputs. */
  readonly inputs: Readonly<Record<string, unknown>>;
}

export interface Stored<T> {
  readonly value: T;
  /** SHA-256 of the value: what the keys of later stages are made of. */
  readonly hash: string;
  readonly key: string;
  /** It was there already. */
  readonly reused: boolean;
}

/** The key of a value says what made it, so the type is that of its maker. */
interface Decoded<T> {
  readonly value: T;
  readonly hash: string;
}

/** What Node reads into one buffer: 2 GiB. */
const MAX_OUTPUT_BYTES = 2 ** 31 - 1;

function refuseTooLarge(stage: string, parts: readonly Uint8Array[]): void {
  const bytes = parts.reduce((sum, part) => sum + part.byteLength, 0);
  if (bytes <= MAX_OUTPUT_BYTES) return;
  const size = `${(bytes / 1e9).toFixed(1)} GB, at most ${(MAX_OUTPUT_BYTES / 1e9).toFixed(1)} are kept as one output`;
  throw new PipelineError(
    "invalid_input",
    `what ${stage} makes has ${size}: train on fewer objects or days of the log`,
  );
}

/** Unfinished files older than this belong to no living process: a stage writes one within seconds. */
const ABANDONED_AFTER_MS = 3_600_000;

export class StageStore {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #onDamage: (text: string) => void;

  constructor(files: FileSystem, folder: string, onDamage: (text: string) => void) {
    this.#files = files;
    this.#folder = folder;
    this.#onDamage = onDamage;
  }

  /** The stored output, or else what `work` makes, stored before it is handed on. */
  async get<T>(identity: StageIdentity, work: () => Promise<T>): Promise<Stored<T>> {
    const key = createHash("sha256").update(canonicalJson(identity)).digest("hex");
    const path = join(this.#folder, `${identity.stage}-${key.slice(0, 40)}`);
    const known = await this.#read(path, identity.stage);
    if (known !== null) return { ...(known as Decoded<T>), key, reused: true };
    const { parts, hash } = encodeValue(await work());
    refuseTooLarge(identity.stage, parts);
    await writeWhole(this.#files, path, parts);
    // Read back, so that what later stages see is what a resumed run will see.
    const written = await this.#read(path, identity.stage);
    if (written === null || written.hash !== hash) {
      throw new Error(
        `the output of ${identity.stage} at ${path} does not read back as it was written; check the disk`,
      );
    }
    return { ...(written as Decoded<T>), key, reused: false };
  }

  /** Removes the longest unused outputs until the rest fits, and what killed processes left unfinished. @returns bytes freed */
  async prune(maxBytes: number, now: number): Promise<number> {
    const files = [...(await this.#files.list(this.#folder))].toSorted((a, b) => b.usedAt - a.usedAt);
    let kept = 0;
    let freed = 0;
    for (const { name, bytes, usedAt } of files) {
      const abandoned = name.endsWith(TEMPORARY) && now - usedAt > ABANDONED_AFTER_MS;
      if (!abandoned && kept + bytes <= maxBytes) {
        kept += bytes;
        continue;
      }
      await this.#files.remove(join(this.#folder, name));
      freed += bytes;
    }
    return freed;
  }

  async #read(path: string, stage: string): Promise<Decoded<unknown> | null> {
    const bytes = await this.#files.read(path);
    if (bytes === null) return null;
    const decoded = decodeValue(bytes);
    if (decoded === null) {
      this.#onDamage(`the stored output of ${stage} is damaged and is made again`);
      return null;
    }
    await this.#files.touch(path);
    return decoded;
  }
}

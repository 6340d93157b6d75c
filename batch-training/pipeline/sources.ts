/** Where a run takes events and champions from: a Worker, or files where there is none. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { listEventLog, readEventLog } from "../../models/contract/api/events.ts";
import { getManifest, getModel, getModelFile } from "../../models/contract/api/models.ts";
import type { Manifest } from "../../models/contract/manifest.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import { PipelineError } from "./pipeline-error.ts";

type Client = Pick<ApiClient, "call">;

/** The event log: objects that never change, named. */
export interface LogSource {
  list(signal: AbortSignal | undefined): Promise<readonly string[]>;
  /** Names of the objects that hold recommendations as they were shown, read like all others; absent where none are kept. */
  exposures?(signal: AbortSignal | undefined): Promise<readonly string[]>;
  /** NDJSON, decompressed. @throws PipelineError `invalid_input` when it is not what was listed, or cut */
  read(name: string, signal: AbortSignal | undefined): Promise<Uint8Array>;
}

export interface ModelRegistry {
  /** null before the first. */
  serving(model: string): Promise<string | null>;
  manifest(model: string, version: string): Promise<Manifest>;
  file(model: string, version: string, path: string): Promise<Uint8Array>;
}

/** One decompressed object; the consumer writes batches of at most 13 MB, a compactor somewhat larger ones. */
const MAX_OBJECT_BYTES = 256 * 1024 * 1024;

export function workerLog(client: Client): LogSource {
  const list = async (log: "events" | "exposures"): Promise<readonly string[]> => {
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const query = { log, limit: 1_000, ...(cursor !== undefined && { cursor }) };
      const { body } = await client.call(listEventLog, { query });
      for (const { key } of body.objects) names.push(key);
      cursor = body.cursor ?? undefined;
    } while (cursor !== undefined);
    return names;
  };
  return {
    list: () => list("events"),
    exposures: () => list("exposures"),
    read: async (name) => {
      const { body } = await client.call(readEventLog, { query: { key: name } });
      return unzip(body, name);
    },
  };
}

/** Files of stored events, NDJSON, gzipped where the name ends with .gz. A name holds the hash of the content, so that a run which goes on sees the same. */
export function fileLog(paths: readonly string[]): LogSource {
  return {
    list: async () => await Promise.all(paths.map(async (path) => `${path}#${sha256(await readOrExplain(path))}`)),
    read: async (name) => {
      const at = name.lastIndexOf("#");
      const path = name.slice(0, at);
      const bytes = await readOrExplain(path);
      if (sha256(bytes) !== name.slice(at + 1)) {
        throw new PipelineError("invalid_input", `${path} has changed since the run began; begin a new run`);
      }
      return path.endsWith(".gz") ? unzip(bytes, path) : bytes;
    },
  };
}

export function workerRegistry(client: Client): ModelRegistry {
  return {
    serving: async (name) => {
      try {
        const { body } = await client.call(getModel, { params: { name } });
        return body.routing?.serving ?? null;
      } catch (error) {
        if (error instanceof ApiError && error.code === "model-not-found") return null;
        throw error;
      }
    },
    manifest: async (name, version) => (await client.call(getManifest, { params: { name, version } })).body,
    file: async (name, version, path) => (await client.call(getModelFile, { params: { name, version, path } })).body,
  };
}

/** Nothing serves, so nothing has to be beaten. */
export const emptyRegistry: ModelRegistry = {
  serving: async () => null,
  manifest: (name) => Promise.reject(new Error(`${name} has no version`)),
  file: (name) => Promise.reject(new Error(`${name} has no version`)),
};

function unzip(bytes: Uint8Array, name: string): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_OBJECT_BYTES });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PipelineError("invalid_input", `${name} cannot be decompressed (${why}): is it cut off?`);
  }
}

async function readOrExplain(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new PipelineError(
      "invalid_input",
      `cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

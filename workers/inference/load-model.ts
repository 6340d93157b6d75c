import type { Manifest } from "../../models/contract/manifest.ts";
import { compileSession } from "../../models/engine/compile-session.ts";
import { proveSession } from "../../models/engine/prove-session.ts";
import type { ServingModel } from "../../models/engine/serving-model.ts";
import { readModel } from "../../models/onnx/read-model.ts";
import { err, ok, type Result } from "../../models/result.ts";
import { type ArtefactPlace, keyOf, type ModelStore, verified } from "../adapters/model-store.ts";
import { within } from "../deadline.ts";
import { Unavailable } from "../unavailable.ts";
import type { OrtRpc } from "../ort/contract.ts";

/** An opened version: what scores, what it costs to keep, and what it must be proven against. */
export interface LoadedModel extends ServingModel {
  readonly bytes: number;
  readonly golden: Manifest["golden"];
  run(batch: Float32Array, rows: number): Float32Array | Promise<Float32Array>;
}

export const MODEL_FILE = "model.onnx";

/** ONNX Runtime keeps its sessions in the other Worker; here only the handle is charged. */
const HANDLE_BYTES = 4_096;

/** A run takes a millisecond; the first one after a restart of the other Worker waits for its runtime, a few hundred. */
const ORT_RUN_DEADLINE_MS = 2_000;

/** What runs models. */
export interface Engines {
  /** The compact engine's SIMD kernels. */
  readonly kernels: WebAssembly.Module;
  readonly ort: OrtRpc;
}

export interface LoadDeps extends Engines {
  readonly store: ModelStore;
}

/** `permanent`: no retry can mend it. */
export interface LoadError {
  readonly permanent: boolean;
  readonly reason: string;
}

/** Reads a version from R2, verifies it against its manifest, and opens it on its engine. */
export async function loadModel(deps: LoadDeps, place: ArtefactPlace): Promise<Result<LoadedModel, LoadError>> {
  const permanently = (reason: string): { ok: false; error: LoadError } => err({ permanent: true, reason });
  // One round trip: the file's name is known, and the manifest is needed only to verify it.
  const [manifest, stored] = await Promise.all([deps.store.manifest(place), deps.store.bytes(place, MODEL_FILE)]);
  if (!manifest.ok) return permanently(manifest.error.reason);
  const file = manifest.value.files.find((entry) => entry.path === MODEL_FILE);
  if (!file) return permanently(`${MODEL_FILE} is not among the files`);
  const bytes = verified(file.path, stored, file.sha256);
  if (!bytes.ok) return permanently(bytes.error.reason);
  return await openModel(deps, place.tenant, manifest.value, bytes.value);
}

/** Opens a model whose bytes are at hand and verified. */
export async function openModel(
  engines: Engines,
  tenant: string,
  manifest: Manifest,
  bytes: Uint8Array,
): Promise<Result<LoadedModel, LoadError>> {
  return manifest.engine === "compact"
    ? openCompact(engines.kernels, manifest, bytes)
    : await openOrt(engines.ort, tenant, manifest);
}

/** Opens and proves a version that is about to be registered or promoted; the error says why it must not serve. @throws {Unavailable} when its engine cannot tell now */
export async function proveModel(
  engines: Engines,
  tenant: string,
  manifest: Manifest,
  bytes: Uint8Array,
): Promise<Result<null, string>> {
  const wrongWidth = manifest.golden.rows.findIndex((row) => row.vector.length !== manifest.input.width);
  if (wrongWidth >= 0) return err(`golden row ${wrongWidth} does not have the input's ${manifest.input.width} values`);
  const opened = await openModel(engines, tenant, manifest, bytes);
  if (!opened.ok && !opened.error.permanent) throw new Unavailable(opened.error.reason);
  if (!opened.ok) return err(opened.error.reason);
  try {
    const objection = await proveSession(opened.value, manifest.golden);
    return objection === null ? ok(null) : err(objection);
  } catch (error) {
    return err(`a golden row cannot be scored: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function openCompact(
  kernels: WebAssembly.Module,
  manifest: Manifest,
  bytes: Uint8Array,
): Result<LoadedModel, LoadError> {
  try {
    const session = compileSession(readModel(bytes), { kernels });
    const explained = manifest.explanation === "exact" ? session.explain : null;
    return ok({
      ...identity(manifest),
      bytes: session.bytes,
      run: (batch, rows) => session.run(batch, rows),
      score: (vector) => session.run(vector, 1)[0] ?? Number.NaN,
      explain: explained,
    });
  } catch (error) {
    return err({
      permanent: true,
      reason: `the compact engine refuses the model: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
}

async function openOrt(ort: OrtRpc, tenant: string, manifest: Manifest): Promise<Result<LoadedModel, LoadError>> {
  const sha256 = manifest.files.find((entry) => entry.path === MODEL_FILE)?.sha256 ?? "";
  const source = { key: keyOf({ tenant, name: manifest.name, version: manifest.version }, MODEL_FILE), sha256 };
  const described = await ort.describe(source);
  if (!described.ok) {
    return err({ permanent: !described.error.retryable, reason: `ONNX Runtime: ${described.error.message}` });
  }
  const run = async (batch: Float32Array, rows: number): Promise<Float32Array> => {
    const answer = await within(ort.run(source, batch, rows), ORT_RUN_DEADLINE_MS);
    if (!answer.ok) throw new Error(answer.error.message);
    return answer.value.output;
  };
  return ok({
    ...identity(manifest),
    bytes: HANDLE_BYTES,
    run,
    score: async (vector) => (await run(vector, 1))[0] ?? Number.NaN,
    explain: null,
  });
}

function identity(manifest: Manifest): Pick<LoadedModel, "name" | "version" | "policy" | "featureService" | "golden"> {
  const { name, version, policy, featureService, golden } = manifest;
  return { name, version, policy, featureService, golden };
}

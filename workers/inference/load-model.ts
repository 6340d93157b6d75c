import type { Manifest } from "../../models/contract/manifest.ts";
import { compileSession } from "../../models/engine/compile-session.ts";
import type { ServingModel } from "../../models/engine/serving-model.ts";
import { readModel } from "../../models/onnx/read-model.ts";
import { err, ok, type Result } from "../../models/result.ts";
import { keyOf, type ModelStore } from "../adapters/model-store.ts";
import type { OrtRpc } from "../ort/contract.ts";

/** A loaded and proven version, with what it costs to keep. */
export interface LoadedModel extends ServingModel {
  readonly bytes: number;
}

export const MODEL_FILE = "model.onnx";

/** ONNX Runtime keeps its sessions in the other Worker; here only the handle is charged. */
const HANDLE_BYTES = 4_096;

export interface LoadDeps {
  readonly store: ModelStore;
  /** Null when no ONNX Runtime Worker is bound. */
  readonly ort: OrtRpc | null;
}

/** Reads a version from R2, verifies it, loads it on its engine and proves it on its golden vectors. The error says why it must not serve. */
export async function loadModel(
  deps: LoadDeps,
  place: { tenant: string; name: string; version: string },
): Promise<Result<LoadedModel, string>> {
  const manifest = await deps.store.manifest(place);
  if (!manifest.ok) return err(manifest.error.reason);
  const file = manifest.value.files.find((entry) => entry.path === MODEL_FILE);
  if (!file) return err(`${MODEL_FILE} is not among the files`);
  const bytes = await deps.store.readFile(place, file.path, file.sha256);
  if (!bytes.ok) return err(bytes.error.reason);
  return await openModel(deps, { tenant: place.tenant, manifest: manifest.value, bytes: bytes.value });
}

/** Opens a model whose bytes are at hand, and proves it. */
export async function openModel(
  deps: Pick<LoadDeps, "ort">,
  input: { tenant: string; manifest: Manifest; bytes: Uint8Array },
): Promise<Result<LoadedModel, string>> {
  const { manifest } = input;
  const opened = manifest.engine === "compact" ? openCompact(manifest, input.bytes) : await openOrt(deps.ort, input);
  if (!opened.ok) return opened;
  const proof = await prove(opened.value, manifest);
  return proof.ok ? opened : proof;
}

function openCompact(manifest: Manifest, bytes: Uint8Array): Result<LoadedModel, string> {
  try {
    const session = compileSession(readModel(bytes));
    const { explain } = session;
    return ok({
      ...identity(manifest),
      bytes: session.bytes,
      score: (vector) => session.run(vector, 1)[0] ?? Number.NaN,
      explain: explain === null || manifest.explanation === "none" ? null : (vector) => explain(vector),
    });
  } catch (error) {
    return err(`the compact engine refuses the model: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function openOrt(
  ort: OrtRpc | null,
  input: { tenant: string; manifest: Manifest; bytes: Uint8Array },
): Promise<Result<LoadedModel, string>> {
  const { manifest, tenant } = input;
  if (!ort) return err("the model needs ONNX Runtime, and no ORT Worker is bound");
  const sha256 = manifest.files.find((entry) => entry.path === MODEL_FILE)?.sha256 ?? "";
  const source = { key: keyOf({ tenant, name: manifest.name, version: manifest.version }, MODEL_FILE), sha256 };
  const described = await ort.describe(source);
  if (!described.ok) return err(`ONNX Runtime refuses the model: ${described.error.message}`);
  return ok({
    ...identity(manifest),
    bytes: HANDLE_BYTES,
    score: async (vector) => {
      const answer = await ort.run(source, vector, 1);
      if (!answer.ok) throw new Error(answer.error.message);
      return answer.value.output[0] ?? Number.NaN;
    },
    explain: null,
  });
}

function identity(manifest: Manifest): Pick<ServingModel, "name" | "version" | "policy" | "featureService"> {
  const { name, version, policy, featureService } = manifest;
  return { name, version, policy, featureService };
}

/** Scores every golden row; the first one that differs by more than the tolerance, or has the wrong width, is the reason. */
async function prove(model: LoadedModel, manifest: Manifest): Promise<Result<null, string>> {
  const { golden, input } = manifest;
  for (const [index, row] of golden.rows.entries()) {
    if (row.vector.length !== input.width)
      return err(`golden row ${index} has ${row.vector.length} values, the input ${input.width}`);
    const vector = Float32Array.from(row.vector, (value) => value ?? Number.NaN);
    let score: number;
    try {
      score = await model.score(vector);
    } catch (error) {
      return err(`golden row ${index} cannot be scored: ${error instanceof Error ? error.message : String(error)}`);
    }
    const expected = row.score[0] ?? Number.NaN;
    if (!(Math.abs(score - expected) <= golden.tolerance)) {
      return err(`golden row ${index} scores ${score}, the manifest says ${expected}`);
    }
  }
  return ok(null);
}

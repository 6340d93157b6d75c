import type { Manifest } from "../../models/contract/manifest.ts";
import { compileSession } from "../../models/engine/compile-session.ts";
import { proveSession } from "../../models/engine/prove-session.ts";
import { readModel } from "../../models/onnx/read-model.ts";
import { ServedFileError } from "../../models/recommend/array-file.ts";
import {
  BUNDLE_FILES,
  bundleBytes,
  decodeBundle,
  openIds,
  type RecommenderBundle,
} from "../../models/recommend/bundle.ts";
import { bundleObjection } from "../../models/recommend/golden.ts";
import type { PackedLookup } from "../../models/recommend/packed-strings.ts";
import { type Placement, placeServed } from "../../models/recommend/place-served.ts";
import { RANKING_SERVICE, RANKING_WIDTH } from "../../models/recommend/ranking-features.ts";
import type { Ranker } from "../../models/recommend/recommender.ts";
import { err, ok, type Result } from "../../models/result.ts";

/** A recommender that was opened and proven. */
export interface LoadedRecommender {
  readonly name: string;
  readonly version: string;
  readonly bundle: RecommenderBundle;
  readonly placed: Placement;
  readonly ids: PackedLookup;
  readonly ranker: Ranker | null;
  /** Resident bytes, the working arrays of its use included. */
  readonly bytes: number;
}

/** Working arrays and catalogue columns by item: a few floats each, see `Recommender` and `Catalogue`. */
const WORKING_BYTES_PER_ITEM = 48;

const NO_RETRIEVAL = { kind: "scores", items: 0, scores: new Float32Array(0) } as const;

/**
 * Opens and proves a version from its verified files: every index checked, of one catalogue, golden histories and the ranker's golden rows reproduced,
 * and ranking features those of this build. The error says why it must not serve.
 * @param headItems items whose embeddings stay here, where the others lie in a vector index; null: all
 */
export async function openRecommender(
  kernels: WebAssembly.Module,
  manifest: Manifest,
  files: ReadonlyMap<string, Uint8Array>,
  headItems: number | null = null,
): Promise<Result<LoadedRecommender, string>> {
  if (manifest.featureService.name !== RANKING_SERVICE.name || manifest.featureService.hash !== RANKING_SERVICE.hash) {
    return err(
      `it ranks over ${manifest.featureService.name} ${manifest.featureService.hash}, which this build has not`,
    );
  }
  try {
    const bundle = decodeBundle(files);
    const objection = bundleObjection(bundle, manifest);
    if (objection !== null) return err(objection);
    const ids = openIds(bundle);
    const session = bundle.ranker === null ? null : compileSession(readModel(bundle.ranker), { kernels });
    const golden = manifest.recommender?.ranker?.golden;
    if (session && golden) {
      if (golden.rows.some((row) => row.vector.length !== RANKING_WIDTH)) {
        return err(`a golden row of ${BUNDLE_FILES.ranker} does not have ${RANKING_WIDTH} values`);
      }
      const wrong = await proveSession(session, golden);
      if (wrong !== null) return err(`${BUNDLE_FILES.ranker}: ${wrong}`);
    }
    // From here on the files' own bytes are not needed: the retrieval lies in the kernels' memory.
    const placed = placeServed(bundle.retrieval, kernels, headItems);
    const working = bundle.table.items * WORKING_BYTES_PER_ITEM + ids.bytes + (session?.bytes ?? 0);
    return ok({
      name: manifest.name,
      version: manifest.version,
      bundle: { ...bundle, retrieval: placed.served, ranker: null },
      placed: { dots: placed.dots, indexed: placed.indexed },
      ids,
      ranker: session === null ? null : (vectors, rows) => session.run(vectors, rows),
      bytes: bundleBytes({ ...bundle, retrieval: NO_RETRIEVAL, ranker: null }) + placed.bytes + working,
    });
  } catch (error) {
    if (error instanceof ServedFileError) return err(error.message);
    return err(`the recommender cannot be opened: ${error instanceof Error ? error.message : String(error)}`);
  }
}

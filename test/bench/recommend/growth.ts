import { compileSession } from "../../../models/engine/compile-session.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { bundleBytes, openIds, type RecommenderBundle } from "../../../models/recommend/bundle.ts";
import { Catalogue } from "../../../models/recommend/catalogue.ts";
import { placeServed } from "../../../models/recommend/place-served.ts";
import { ANYONE } from "../../../models/recommend/recommend-request.ts";
import { Recommender } from "../../../models/recommend/recommender.ts";
import type { VisitorFact } from "../../../models/recommend/visitor-history.ts";
import type { ReportRow } from "../../../models/contract/report.ts";
import { engineKernels } from "../../support/engine-kernels.ts";
import { generatedBundle } from "../../support/recommender-bundle.ts";
import { quantile } from "../http/load.ts";
import { rowOf } from "../report.ts";
import { benchRanker } from "./ranker.ts";

const SIZES = [1_000, 10_000, 100_000];
const NOW = Date.parse("2026-06-01T12:00:00Z");
const FACTS = 20;

/** A list of ten in this process: both stages, without HTTP; and what the recommender occupies. */
export function growthRows(lists: number): ReportRow[] {
  return SIZES.flatMap((items) => {
    const bundle = generatedBundle({
      items,
      seed: 1,
      dimensions: 64,
      neighbours: 10,
      retrieval: "embeddings",
      precision: "bytes",
    });
    const { recommender, bytes } = open(bundle);
    const took = new Float64Array(lists);
    for (let list = -lists; list < lists; list++) {
      const facts = factsOf(list + lists, items);
      const started = performance.now();
      const answer = recommender.recommend({ ...ANYONE, facts, limit: 10, now: NOW });
      if (list >= 0) took[list] = performance.now() - started;
      if (answer.items.length !== 10) throw new Error(`${answer.items.length} items`);
    }
    took.sort();
    const memory = items === 100_000 ? { floor: 60, aim: 30 } : {};
    return [
      rowOf(`recommend.process.${items}.p50`, "ms", [quantile(took, 0.5)], { better: "lower" }),
      rowOf(`recommend.process.${items}.p95`, "ms", [quantile(took, 0.95)], { better: "lower" }),
      rowOf(`recommend.memory.${items}`, "MB", [bytes / 1_000_000], {
        better: "lower",
        note: "embeddings of 64 dimensions in 8 bits, 10 + 3 neighbours, item table, ids, catalogue, working arrays; ranker not counted",
        ...memory,
      }),
    ];
  });
}

function open(bundle: RecommenderBundle): { recommender: Recommender; bytes: number } {
  const placed = placeServed(bundle.retrieval, engineKernels);
  const catalogue = new Catalogue(bundle.table, openIds(bundle));
  const session = compileSession(readModel(benchRanker().bytes), { kernels: engineKernels });
  const ranker = (vectors: Float32Array, rows: number): Float32Array => session.run(vectors, rows);
  const recommender = new Recommender({ ...bundle, retrieval: placed.served }, catalogue, ranker, placed);
  const rest = { ...bundle, retrieval: { kind: "scores", items: 0, scores: new Float32Array(0) } as const };
  return { recommender, bytes: placed.bytes + bundleBytes(rest) + catalogue.bytes + recommender.bytes };
}

function factsOf(visitor: number, items: number): VisitorFact[] {
  return Array.from({ length: FACTS }, (_, at) => {
    const productId = `p-${(visitor * 37 + at * 101) % items}`;
    return { productId, action: "view", at: NOW - (FACTS - at) * 3_600_000, quantity: 1 };
  });
}

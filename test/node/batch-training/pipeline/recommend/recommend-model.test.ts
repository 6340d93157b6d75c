import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodeDeps } from "../../../../../batch-training/pipeline/node-deps.ts";
import { recommendModel } from "../../../../../batch-training/pipeline/recommend/recommend-model.ts";
import { type RunResult, runPipeline } from "../../../../../batch-training/pipeline/run-pipeline.ts";
import { emptyRegistry, fileLog } from "../../../../../batch-training/pipeline/sources.ts";
import { simulateShop } from "../../../../../batch-training/simulator/simulate-shop.ts";
import { decodeBundle, openIds } from "../../../../../models/recommend/bundle.ts";
import { Catalogue } from "../../../../../models/recommend/catalogue.ts";
import { bundleObjection } from "../../../../../models/recommend/golden.ts";
import { ANYONE } from "../../../../../models/recommend/recommend-request.ts";
import { Recommender } from "../../../../../models/recommend/recommender.ts";

const root = join(import.meta.dirname, "../../../../..");
const folder = mkdtempSync(join(tmpdir(), "recommend-model-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The log of a small simulated shop, as the Worker would have written it. */
function logOf(
  events: Iterable<object & { readonly recordedtime?: string | undefined; readonly time: string }>,
): string {
  const file = join(folder, "log.ndjson");
  const lines = Array.from(events, (event) =>
    JSON.stringify({ ...event, tenant: "default", ingestedAt: Date.parse(event.recordedtime ?? event.time) }),
  );
  writeFileSync(file, lines.join("\n"));
  return file;
}

const run = async (file: string, home: string): Promise<RunResult> =>
  await runPipeline(
    recommendModel({ log: fileLog([file]), registry: emptyRegistry }),
    nodeDeps({ home: join(folder, home), codeVersion: "test", root, publisher: null, report: () => {} }),
    { seed: 1, parameters: { blendQuestions: 150, rankingQuestions: 300, "ials.sweeps": 3 } },
  );

describe("a recommender of a shop's log", () => {
  let result: RunResult;
  let file = "";
  beforeAll(async () => {
    const shop = simulateShop({ seed: "3", scale: 0.12, end: Date.parse("2026-01-26T00:00:00Z"), days: 70 });
    file = logOf(Array.from(shop.events(), ({ event }) => event));
    result = await run(file, "first");
  }, 120_000);

  it("has two stages that hold against the first alone, and beats every rival that is served by the same code", () => {
    expect(result.record.reasons).toEqual([]);
    const rivals = result.record.gates.filter(({ id }) => id === "beats_rival");
    expect(rivals.map(({ against }) => against)).toEqual([
      "popularity",
      "popularity of the last month",
      "own counts",
      "item-knn",
      "ease",
      "session-knn",
    ]);
    expect(result.record.gates.find(({ id }) => id === "holds_first_stage")?.passed).toBe(true);
    for (const gate of rivals) expect(gate.low).toBeGreaterThan(0);
    const figure = (slice: string): number =>
      result.record.metrics.find((metric) => metric.name === "ndcg_at_10" && metric.slice === slice)?.value ?? 0;
    // The shop has tastes, habits and companions to be found; popularity knows none of them.
    expect(figure("test")).toBeGreaterThan(1.5 * figure("test/popularity"));
    expect(result.record.metrics.some(({ name }) => name === "fallback_share")).toBe(true);
  });

  it("is published as files that open, reproduce their golden rows and recommend", () => {
    const files = new Map(result.files.map(({ path, bytes }) => [path, bytes.slice()]));
    expect([...files.keys()]).toEqual(["items.bin", "retrieval.bin", "ranker.onnx", "model-card.md"]);
    const bundle = decodeBundle(files);
    expect(result.manifest?.recommender?.ranker?.golden.rows.length).toBeGreaterThan(10);
    expect(result.manifest && bundleObjection(bundle, result.manifest)).toBeNull();
    const recommender = new Recommender(bundle, new Catalogue(bundle.table, openIds(bundle)), null);
    const answer = recommender.recommend({ ...ANYONE, limit: 10, now: Date.parse("2026-01-26T00:00:00Z") });
    expect(answer.items.length).toBe(10);
  });

  it("is the same to the byte for the same log and seed", async () => {
    const again = await run(file, "second");
    expect(again.manifest?.version).toBe(result.manifest?.version);
  }, 120_000);
});

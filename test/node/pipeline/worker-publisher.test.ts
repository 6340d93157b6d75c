import { describe, expect, it } from "vitest";
import { ApiError } from "../../../batch-training/client/api-error.ts";
import type { ApiClient } from "../../../batch-training/client/api-client.ts";
import { workerPublisher } from "../../../batch-training/pipeline/node-deps.ts";
import { runPipeline } from "../../../batch-training/pipeline/run-pipeline.ts";
import { MemoryFiles } from "../../support/memory-files.ts";
import { tinyDeps, tinyModel, tinyWorld } from "../../support/tiny-model.ts";

const CHAMPION = "c".repeat(64);
const OTHER = "d".repeat(64);

const notFound = (): ApiError =>
  Object.assign(new ApiError("no such model", { kind: "problem", status: 404 }), { code: "model-not-found" });

/** A Worker of which only what publishing asks for is there. */
function worker(serving: string | null) {
  const calls: string[] = [];
  const call = async (route: { operationId: string }) => {
    calls.push(route.operationId);
    if (route.operationId !== "getModel") return { status: 200, body: {} };
    if (serving === null) throw notFound();
    return { status: 200, body: { routing: { serving } } };
  };
  return { calls, client: { call } as unknown as Pick<ApiClient, "call"> };
}

async function publish(champion: string | null, serving: string | null) {
  const { calls, client } = worker(serving);
  const deps = tinyDeps(new MemoryFiles(), { publisher: workerPublisher(client, "a test") });
  const { record } = await runPipeline(tinyModel({ ...tinyWorld(), champion }), deps, { seed: 1 });
  return { calls, record };
}

describe("handing over to a Worker", () => {
  it("files first, the manifest after them, promotion last", async () => {
    const { calls, record } = await publish(CHAMPION, CHAMPION);
    expect(record.state).toBe("published");
    expect(calls).toEqual(["putModelFile", "putModelFile", "publishVersion", "getModel", "promoteModel"]);
  });

  it("a version that was compared with another champion than the one that serves by then is not promoted", async () => {
    const { calls, record } = await publish(CHAMPION, OTHER);
    expect(calls).not.toContain("promoteModel");
    expect(record.state).toBe("refused");
    expect(record.reasons.join()).toMatch(/is published and not promoted: d{12} serves now, not c{12}.*train again/);
  });

  it("promotes the first version, and again one that serves already", async () => {
    const first = await publish(null, null);
    expect(first.calls.at(-1)).toBe("promoteModel");
    const again = await publish(CHAMPION, first.record.version === null ? null : CHAMPION);
    expect(again.record.state).toBe("published");
  });
});

import { env, exports } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { MAX_ORT_FILE_BYTES, MAX_ORT_SESSION_BYTES } from "../../../models/engine/ort-memory.ts";
import { floatTensor, model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import { treeEnsembleRegressor } from "../../../models/onnx/tree-ensemble.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";
import type { OrtResult, OrtRpc, ScoredBatch } from "../../../workers/ort/contract.ts";
import type { OrtEnv } from "../../../workers/ort/index.ts";
import { MAX_BATCH_VALUES } from "../../../workers/ort/limits.ts";
import type { GoldenText } from "../../support/onnx/golden-text.ts";
import { tinyModels } from "./tiny-models.ts";

/** The entrypoint through its loopback binding: arguments and results cross a real RPC. */
const ort = (exports as unknown as { OrtService: OrtRpc }).OrtService;
/** As the platform has it: this file is evaluated before the first call can start the runtime. */
const platformInstantiate = WebAssembly.instantiate;
const bucket = (env as unknown as OrtEnv).MODELS;

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const inline = async (bytes: Uint8Array) => ({ bytes, sha256: await sha256(bytes) });

/** Puts bytes under a key of their own and answers the reference a manifest would hold. */
async function published(name: string, bytes: Uint8Array) {
  const ref = { key: `default/models/${name}/v1/model.onnx`, sha256: await sha256(bytes) };
  await bucket.put(ref.key, bytes);
  return ref;
}

function scored(result: OrtResult<ScoredBatch>): { output: number[]; width: number } {
  if (!result.ok) throw new Error(`${result.error.tag}: ${result.error.message}`);
  return { output: [...result.value.output], width: result.value.width };
}

const tagOf = (result: OrtResult<unknown>): string => (result.ok ? "ok" : result.error.tag);

/** Complete trees over 32 features, with thresholds and leaves that no two nodes share. */
function forest(count: number, depth: number): Uint8Array {
  const nodes = 2 ** (depth + 1) - 1;
  const splits = 2 ** depth - 1;
  const column = (of: (node: number) => number): number[] => Array.from({ length: nodes }, (_, node) => of(node));
  const trees = Array.from({ length: count }, (_, tree) => ({
    feature: column((node) => (node < splits ? (node * 7 + tree) % 32 : -1)),
    threshold: column((node) => Math.sin(node + tree)),
    whenTrue: column((node) => (node < splits ? 2 * node + 1 : 0)),
    whenFalse: column((node) => (node < splits ? 2 * node + 2 : 0)),
    missingTrue: column((node) => node % 2),
    value: column((node) => Math.cos(node * tree)),
  }));
  const { node: ensemble } = treeEnsembleRegressor({ input: "x", output: "y", trees, baseValues: [0] });
  return writeModel(
    model({
      nodes: [ensemble],
      inputs: [valueInfo("x", "float32", ["n", 32])],
      outputs: [valueInfo("y", "float32", ["n", 1])],
    }),
  );
}

/** x[n, width] times a square matrix. */
function dense(width: number): Uint8Array {
  const weights = Float32Array.from({ length: width * width }, (_, i) => Math.sin(i));
  return writeModel(
    model({
      nodes: [node("Gemm", { inputs: ["x", "w"], outputs: ["y"] })],
      inputs: [valueInfo("x", "float32", ["n", width])],
      outputs: [valueInfo("y", "float32", ["n", width])],
      initializers: [floatTensor("w", [width, width], weights)],
    }),
  );
}

describe("a published model", () => {
  it("is read from R2, verified, and scores a batch", async () => {
    const ref = await published("dense", tinyModels.dense);
    const result = scored(await ort.run(ref, Float32Array.of(1, 0, 0, 1, 1, 1), 2));
    expect(result).toEqual({ output: [1.5, 1.5, 9.5, 11.5], width: 2 });
  });

  it("serves many calls at once from one session", async () => {
    const ref = await published("dense-concurrent", tinyModels.dense);
    const calls = Array.from(
      { length: 32 },
      async (_, i) => scored(await ort.run(ref, Float32Array.of(i, 0, 0), 1)).output,
    );
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 32 }, (_, i) => [i + 0.5, 2 * i - 0.5]));
    const { sessions } = await ort.status();
    expect(sessions.filter((session) => session.sha256 === ref.sha256)).toHaveLength(1);
  });

  it("describes itself: inputs, outputs, the output that counts, charged bytes", async () => {
    const result = await ort.describe(await published("embedding", tinyModels.embedding));
    expect(result).toMatchObject({
      ok: true,
      value: {
        engine: "ort",
        inputs: [
          { name: "id", type: "int64", shape: [null, 1] },
          { name: "x", type: "float32", shape: [null, 2] },
        ],
        outputName: "score",
      },
    });
  });

  it("stays resident: a second call does not need R2", async () => {
    const ref = await published("tree-resident", tinyModels.tree);
    scored(await ort.run(ref, Float32Array.of(0, 1), 1));
    await bucket.delete(ref.key);
    expect(scored(await ort.run(ref, Float32Array.of(0, 3), 1)).output).toEqual([4.5]);
  });
});

const golden = JSON.parse((env as unknown as { GOLDEN_EXPORTS: string }).GOLDEN_EXPORTS) as GoldenText[];
const decoded = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

describe.each(golden.map((fixture) => [fixture.id, fixture] as const))("the export %s", (_id, fixture) => {
  it("gives the scores of the library that made it", async () => {
    const batch = new Float32Array(decoded(fixture.input).buffer as ArrayBuffer);
    const expected = new Float64Array(decoded(fixture.output).buffer as ArrayBuffer);
    const { output } = scored(await ort.run(await inline(decoded(fixture.model)), batch, fixture.rows));
    expect(output).toHaveLength(expected.length);
    const excess = output.map((value, i) => Math.abs(value - (expected[i] ?? 0)) - 1e-5 * Math.abs(expected[i] ?? 0));
    expect(Math.max(...excess)).toBeLessThanOrEqual(1e-6);
  });
});

describe("columns to inputs", () => {
  it("several inputs take their columns of a row in graph order, integers included", async () => {
    const source = await inline(tinyModels.embedding);
    const result = scored(await ort.run(source, Float32Array.of(0, 2, 3, 2, 1, 1), 2));
    expect(result).toEqual({ output: [1 * 2 + 10 * 3, 3 + 30], width: 1 });
  });

  it("a missing value and ±infinity reach the tree as they are", async () => {
    const source = await inline(tinyModels.tree);
    const rows = Float32Array.of(0, 2, 0, Number.NaN, 0, Infinity, 0, -Infinity);
    expect(scored(await ort.run(source, rows, 4)).output).toEqual([-0.5, -0.5, 4.5, -0.5]);
  });

  it("a graph frozen to one row is run row by row", async () => {
    const source = await inline(tinyModels.rowwise);
    expect(scored(await ort.run(source, Float32Array.of(1, 2, 3, 4, 5, 6), 2)).output).toEqual([6, 15]);
  });

  it("an id that is no integer is refused, not rounded", async () => {
    const result = await ort.run(await inline(tinyModels.embedding), Float32Array.of(0.5, 1, 1), 1);
    expect(result).toMatchObject({ ok: false, error: { tag: "bad_request", retryable: false } });
  });
});

describe("what cannot be served has a tagged answer", () => {
  it.each([
    ["an unknown operator", tinyModels.unknownOperator, "refused", /Frobnicate/],
    ["a graph without a float output", tinyModels.labelsOnly, "refused", /no float tensor/],
    ["a truncated file", tinyModels.dense.slice(0, 60), "refused", /refuses the model/],
    ["no bytes at all", new Uint8Array(0), "refused", /refuses the model/],
  ])("%s", async (_name, bytes, tag, message) => {
    const result = await ort.describe(await inline(bytes));
    expect(result).toMatchObject({
      ok: false,
      error: { tag, message: expect.stringMatching(message), retryable: false },
    });
  });

  it("a key without an object, and bytes that are not what the manifest states", async () => {
    const sha = await sha256(tinyModels.dense);
    expect(tagOf(await ort.describe({ key: "default/models/none/v1/model.onnx", sha256: "0".repeat(64) }))).toBe(
      "not_found",
    );
    const ref = await published("swapped", tinyModels.tree);
    expect(tagOf(await ort.run({ ...ref, sha256: sha.replace(/^./, "0") }, Float32Array.of(1, 2), 1))).toBe(
      "checksum_mismatch",
    );
  });

  it("a model over its limit, without reading or loading it", async () => {
    const ref = await published("huge", new Uint8Array(MAX_ORT_FILE_BYTES + 1));
    expect(tagOf(await ort.describe(ref))).toBe("too_large");
    const tree = new Uint8Array(MAX_ORT_SESSION_BYTES / 15 + 100);
    tree.set(tinyModels.tree);
    expect(tagOf(await ort.describe(await inline(tree)))).toBe("too_large");
  });

  it.each([
    ["rows that do not divide the batch", [1, 2, 3, 4], 2],
    ["no row", [], 0],
    ["a fraction of a row", [1, 2, 3], 0.5],
  ])("%s", async (_name, values, rows) => {
    expect(tagOf(await ort.run(await inline(tinyModels.dense), Float32Array.from(values), rows))).toBe("bad_request");
  });

  it("a batch over its limit", async () => {
    const source = await inline(tinyModels.dense);
    expect(tagOf(await ort.run(source, new Float32Array(MAX_BATCH_VALUES + 3), 1))).toBe("too_large");
  });

  it("a batch that the graph itself cannot take", async () => {
    const source = await inline(tinyModels.divisor);
    expect(tagOf(await ort.run(source, Float32Array.of(1, 2, 3), 1))).toBe("run_failed");
  });

  it.each([
    [null],
    [{ key: "k" }],
    [{ key: "k", sha256: "ABC" }],
    [{ key: "", sha256: "0".repeat(64) }],
    [{ bytes: "text", sha256: "0".repeat(64) }],
  ])("a malformed reference %j", async (source) => {
    expect(tagOf(await ort.describe(source as never))).toBe("bad_request");
  });

  it("none of them harms the sessions beside it", async () => {
    expect(scored(await ort.run(await inline(tinyModels.tree), Float32Array.of(0, 1), 1)).output).toEqual([-0.5]);
    expect(await ort.status()).toMatchObject({ runtime: "ready" });
  });
});

describe("the isolate", () => {
  it("keeps WebAssembly compilation as the platform has it once the runtime is up", async () => {
    await ort.describe(await inline(tinyModels.dense));
    expect(WebAssembly.instantiate).toBe(platformInstantiate);
    expect(await ort.status()).toMatchObject({ runtime: "ready" });
  });

  it("reports its memory: the runtime's floor of 16 MB, sessions charged within the budget", async () => {
    const status = await ort.status();
    expect(status.memoryBytes).toBeGreaterThanOrEqual(16 * 2 ** 20);
    expect(status.memoryBytes).toBeLessThan(40 * 2 ** 20);
    expect(status.residentBytes).toBe(status.sessions.reduce((sum, session) => sum + session.bytes, 0));
    expect(status.residentBytes).toBeLessThanOrEqual(status.budgetBytes);
  });

  it.each([
    ["boosted trees", () => forest(500, 6)],
    ["a dense network", () => dense(1024)],
  ])("grows by no more than it charges for %s", async (_name, build) => {
    const bytes = build();
    expect(bytes.length).toBeGreaterThan(2 ** 20);
    const described = await ort.describe(await inline(bytes));
    expect(described).toMatchObject({ ok: true });
    // The runtime's floor, what is charged, and the fifth by which WebAssembly memory grows at least.
    const { memoryBytes, residentBytes } = await ort.status();
    expect(memoryBytes).toBeLessThanOrEqual(1.2 * (16 * 2 ** 20 + residentBytes));
  });

  it("answers nothing over HTTP", async () => {
    const worker = (exports as unknown as { default: Fetcher }).default;
    expect((await worker.fetch("http://ort/")).status).toBe(404);
  });
});

import { describe, expect, it } from "vitest";
import { chooseEngine } from "../../../../batch-training/publish/choose-engine.ts";
import { compactReady } from "../../../support/onnx/compact-ready.ts";
import { linear, singleNode, stumps } from "../../../support/onnx/small-models.ts";

describe("the engine of a model", () => {
  it.skipIf(!compactReady)("is compact where every operator compiles, with the operators as the reason", async () => {
    const choice = await chooseEngine(stumps());
    expect(choice).toMatchObject({ ok: true, engine: "compact" });
    expect(choice.reason).toContain("TreeEnsembleRegressor, Sigmoid");
  });

  it("is ONNX Runtime where only that runs the graph, with the compact engine's reason", async () => {
    const choice = await chooseEngine(singleNode("LpNormalization"));
    expect(choice).toMatchObject({ ok: true, engine: "ort", reason: expect.stringContaining("LpNormalization") });
  });

  it.each([
    ["Frobnicate", "com.example", "com.example.Frobnicate"],
    ["Frobnicate", "", "Frobnicate"],
  ])("is none for %s of domain '%s': refused, the operator named", async (opType, domain, named) => {
    const choice = await chooseEngine(singleNode(opType, domain));
    expect(choice).toMatchObject({ ok: false, operator: named });
    expect(choice.reason).toContain(`neither engine runs ${named}`);
  });

  it("is none for a file that is no model; the file is at fault, no operator", async () => {
    expect(await chooseEngine(Buffer.from("not a model at all"))).toMatchObject({ ok: false, operator: null });
    expect(await chooseEngine(new Uint8Array(0))).toMatchObject({ ok: false, operator: null });
  });

  it("is none for a graph that only ONNX Runtime runs and whose session does not fit its Worker", async () => {
    const { readModel } = await import("../../../../models/onnx/read-model.ts");
    const { writeModel } = await import("../../../../models/onnx/write-model.ts");
    const big = readModel(linear(3_000_000));
    const node = { ...readModel(singleNode("LpNormalization")).graph.nodes[0], inputs: ["y"], outputs: ["z"] };
    const graph = { ...big.graph, nodes: [...big.graph.nodes, node as (typeof big.graph.nodes)[number]] };
    expect(await chooseEngine(writeModel({ ...big, graph }))).toMatchObject({
      ok: false,
      reason: expect.stringContaining("does not fit the ORT Worker"),
    });
  });

  it("gives reasons short enough for a manifest", async () => {
    const choice = await chooseEngine(singleNode("LpNormalization"));
    expect(choice.reason.length).toBeLessThanOrEqual(300);
  });
});

import { describe, expect, it } from "vitest";
import { chooseEngine } from "../../../../batch-training/publish/choose-engine.ts";
import { readModel } from "../../../../models/onnx/read-model.ts";
import { writeModel } from "../../../../models/onnx/write-model.ts";
import { linear, singleNode, stumps } from "../../../support/onnx/small-models.ts";

describe("the engine of a model", () => {
  it("is compact where every operator compiles, with the operators as the reason", async () => {
    const choice = await chooseEngine(stumps());
    expect(choice).toMatchObject({ ok: true, engine: "compact" });
    expect(choice.reason).toContain("TreeEnsembleRegressor, Sigmoid");
  });

  it("is ONNX Runtime where only that runs the graph, with the compact engine's reason", async () => {
    const choice = await chooseEngine(singleNode("Hardmax"));
    expect(choice).toMatchObject({ ok: true, engine: "ort", reason: expect.stringContaining("Hardmax") });
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
    const big = readModel(linear(3_000_000));
    const [hardmax] = readModel(singleNode("Hardmax")).graph.nodes;
    const [y] = big.graph.outputs;
    if (!hardmax || !y) throw new Error("the small models have a node and an output");
    const nodes = [...big.graph.nodes, { ...hardmax, inputs: ["y"], outputs: ["z"] }];
    const graph = { ...big.graph, nodes, outputs: [{ ...y, name: "z" }] };
    expect(await chooseEngine(writeModel({ ...big, graph }))).toMatchObject({
      ok: false,
      reason: expect.stringContaining("does not fit the ORT Worker"),
    });
  });

  it("gives reasons short enough for a manifest", async () => {
    const choice = await chooseEngine(singleNode("Hardmax"));
    expect(choice.reason.length).toBeLessThanOrEqual(300);
  });
});

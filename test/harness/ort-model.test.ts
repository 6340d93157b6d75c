/** A model that only ONNX Runtime runs, from its file to a decision: both built Workers, and the runtime's native build as the second opinion. */
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { loadOrt } from "../../batch-training/evaluate/load-session.ts";
import { chooseEngine } from "../../batch-training/publish/choose-engine.ts";
import { publishModel } from "../../batch-training/publish/publish-model.ts";
import { promoteVersion } from "../../batch-training/publish/promote-version.ts";
import { FRAUD_FEATURES } from "../../models/catalog/feature-catalog.ts";
import { FRAUD_MODEL } from "../../models/catalog/fraud-orders/model.ts";
import { getFraudDecision } from "../../models/contract/api/fraud.ts";
import type { DegradedFlag } from "../../models/contract/decision-record.ts";
import type { Order } from "../../models/contract/events/orders.ts";
import { manifestContent } from "../../models/contract/manifest.ts";
import { attribute, floatTensor, int64Tensor, model, node, valueInfo } from "../../models/onnx/build-graph.ts";
import { writeModel } from "../../models/onnx/write-model.ts";
import { amountModel, MODEL_FILE, publishable } from "../support/amount-model.ts";
import { type Answer, RunningSystem } from "./running-system.ts";
import { smallShop } from "./small-shop.ts";

const shop = smallShop({ seed: 4, end: Date.now() });
const system = new RunningSystem(inject("workers"));
const bytes = shrunkAmount();
let orders = 0;

/** A new order each time, so that none is recognised. */
function orderOf(cents: number): Order {
  const { plain } = shop.demonstration(Date.now(), `o${++orders}`);
  const total = { amount: cents, currency: "EUR" };
  return { ...plain, total, lines: plain.lines.map((line) => ({ ...line, unitPrice: total })) };
}

beforeAll(() => system.start(), 60_000);
afterAll(() => system.dispose());

describe.sequential("a model for ONNX Runtime", () => {
  it("is refused for the compact engine, with the operator, and is no version then", async () => {
    const refused = published("compact", "a test");
    await expect(publish(refused)).rejects.toMatchObject({
      status: 422,
      code: "model-refused",
      message: expect.stringContaining("Shrink") as string,
    });
    await expect(promoteVersion(system.client, FRAUD_MODEL, refused.manifest.version)).rejects.toMatchObject({
      code: "version-not-found",
    });
  });

  it("is published, promoted, and decides with the score of onnxruntime-node, lacking nothing but reasons to hold an order", async () => {
    const choice = await chooseEngine(bytes);
    expect(choice).toMatchObject({ ok: true, engine: "ort", reason: expect.stringContaining("Shrink") as string });
    const version = published("ort", choice.reason);
    await publish(version);
    await promoteVersion(system.client, FRAUD_MODEL, version.manifest.version);
    await system.untilServed(version.manifest.version, () => orderOf(5_000));
    await expectDecided(version.manifest.version);
  });

  it("is opened again from storage by Workers that start anew", async () => {
    await system.restart();
    const { version } = published("ort", (await chooseEngine(bytes)).reason).manifest;
    await system.untilServed(version, () => orderOf(5_000));
    await expectDecided(version);
    expect(system.errors).toEqual([]);
  });
});

async function publish({ manifest, bytes: file }: ReturnType<typeof publishable>): Promise<void> {
  await publishModel(system.client, manifest, [{ path: MODEL_FILE, bytes: file }]);
}

/** Orders below and above the bound of review: what decides is this version, and its score what the runtime's native build makes of the stored vector. */
async function expectDecided(version: string): Promise<void> {
  const session = await loadOrt(bytes);
  try {
    for (const { cents, decision, lacking } of [
      { cents: 25_000, decision: "approve", lacking: [] },
      // Held orders come with reasons, and of a graph outside the compact engine there are none: it says so.
      { cents: 35_000, decision: "review", lacking: ["explanation-missing"] },
    ] satisfies { cents: number; decision: string; lacking: DegradedFlag[] }[]) {
      const { answer, orderId } = await answered(cents, lacking);
      expect(answer).toMatchObject({ status: 200, modelVersion: version });
      expect(answer.decision).toMatchObject({ model: FRAUD_MODEL, modelVersion: version, decision });
      const { body } = await system.client.call(getFraudDecision, { params: { orderId } });
      const vector = Float32Array.from(body.decisions[0]?.vector ?? [], (value) => value ?? Number.NaN);
      const [score] = await session.run(vector, 1);
      expect(answer.decision.score).toBeCloseTo(score ?? Number.NaN, 6);
      // And what the graph says by hand, so that both builds are not merely wrong together.
      expect(answer.decision.score).toBeCloseTo(scoreOf(cents / 100), 6);
    }
  } finally {
    await session.release();
  }
}

/** The answer to an order that lacks exactly this: cold shards may take longer than their deadline. */
async function answered(cents: number, lacking: readonly DegradedFlag[]): Promise<{ answer: Answer; orderId: string }> {
  let seen = "";
  for (let attempt = 0; attempt < 20; attempt++) {
    const order = orderOf(cents);
    const answer = await system.score(order);
    seen = answer.decision.degraded.join();
    if (seen === lacking.join()) return { answer, orderId: order.orderId };
  }
  throw new Error(`of an order of ${cents} cents the decision lacks "${seen}", not "${lacking.join()}"`);
}

/** By hand what `shrunkAmount` computes, of an amount in major units. */
function scoreOf(amount: number): number {
  const hundreds = amount / 100;
  const shrunk = hundreds > 1 ? hundreds - 1 : 0;
  return 1 / (1 + Math.exp(2 - shrunk));
}

/** A fraud model around `Shrink`, which the compact engine does not have. */
function shrunkAmount(): Uint8Array {
  const shrink = { lambd: attribute.float(1), bias: attribute.float(1) };
  return writeModel(
    model({
      nodes: [
        node("Gather", {
          inputs: ["features", "column"],
          outputs: ["amount"],
          attributes: { axis: attribute.int(1) },
        }),
        node("Mul", { inputs: ["amount", "hundredth"], outputs: ["hundreds"] }),
        node("Shrink", { inputs: ["hundreds"], outputs: ["shrunk"], attributes: shrink }),
        node("Sub", { inputs: ["shrunk", "two"], outputs: ["log_odds"] }),
        node("Sigmoid", { inputs: ["log_odds"], outputs: ["score"] }),
      ],
      initializers: [
        int64Tensor("column", [1], [FRAUD_FEATURES.indexOf("amount")]),
        floatTensor("hundredth", [1], [0.01]),
        floatTensor("two", [1], [2]),
      ],
      inputs: [valueInfo("features", "float32", ["n", FRAUD_FEATURES.width])],
      outputs: [valueInfo("score", "float32", ["n", 1])],
    }),
  );
}

function published(engine: "compact" | "ort", engineReason: string) {
  const content = manifestContent(amountModel({ engine: "ort" }).manifest);
  const row = (amount: number) => ({
    vector: FRAUD_FEATURES.names.map((name) => (name === "amount" ? amount : null)),
    score: [scoreOf(amount)],
  });
  const golden = { tolerance: 1e-6, rows: [row(50), row(350)] };
  return publishable(bytes, { ...content, engine, engineReason, golden });
}

import { describe, expect, it } from "vitest";
import { floatTensor, model, node, valueInfo } from "../../../models/onnx/build-graph.ts";
import { OnnxError, type OnnxErrorCode } from "../../../models/onnx/error.ts";
import type { Model, Node } from "../../../models/onnx/model.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import type { ReadLimits } from "../../../models/onnx/wire-reader.ts";
import { WireWriter } from "../../../models/onnx/wire-writer.ts";
import { writeModel } from "../../../models/onnx/write-model.ts";

function refusal(bytes: Uint8Array, limits: Partial<ReadLimits> = {}): { code: OnnxErrorCode; message: string } {
  try {
    readModel(bytes, limits);
  } catch (error) {
    if (error instanceof OnnxError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("the file was accepted");
}

const relu = model({
  nodes: [node("Add", { inputs: ["x", "bias"], outputs: ["sum"] }), node("Relu", { inputs: ["sum"], outputs: ["y"] })],
  inputs: [valueInfo("x", "float32", [null, 4])],
  outputs: [valueInfo("y", "float32", [null, 4])],
  initializers: [floatTensor("bias", [4], [1, 2, 3, 4])],
});

/** A model file around fields of a graph written by hand. */
function graphFile(body: (writer: WireWriter) => void): Uint8Array {
  const writer = new WireWriter();
  writer.int(1, 10);
  writer.message(7, () => body(writer));
  writer.message(8, () => writer.int(2, 18));
  return writer.take();
}

function withNodes(nodes: readonly Node[], more: Partial<Model> = {}): Model {
  return { ...relu, ...more, graph: { ...relu.graph, nodes } };
}

describe("readModel refuses", () => {
  it("a file cut off anywhere but between two fields of the model", () => {
    const bytes = writeModel(relu);
    for (let length = 0; length < bytes.length; length++) {
      const { code } = refusal(bytes.subarray(0, length));
      expect(["truncated", "bad-graph", "unknown-opset"]).toContain(code);
    }
  });

  it("what is no protobuf at all", () => {
    expect(refusal(new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])).code).toBe(
      "malformed",
    );
    expect(refusal(new TextEncoder().encode("PK not a model")).code).toMatch(/malformed|truncated/);
    expect(refusal(new Uint8Array(0)).message).toMatch(/no graph/);
  });

  it("a length of four gigabytes without allocating it", () => {
    const bytes = new Uint8Array([0x08, 10, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    expect(refusal(bytes)).toEqual({
      code: "truncated",
      message: "byte 8: a field claims 4294967295 bytes, 0 are left",
    });
  });

  it("a tensor that claims more than it holds", () => {
    const claims = (dims: readonly number[]) =>
      graphFile((writer) =>
        writer.message(5, () => {
          writer.packedInts(1, dims);
          writer.int(2, 1);
          writer.string(8, "w");
          writer.bytes(9, new Uint8Array(8));
        }),
      );
    expect(refusal(claims([1_000_000, 1000]))).toEqual({
      code: "bad-tensor",
      message: 'tensor "w": 1000000000 elements of float32 take 4000000000 bytes, raw_data holds 8',
    });
    expect(refusal(claims([2 ** 40]))).toMatchObject({ code: "bad-tensor" });
    expect(refusal(claims([0, 2 ** 40]))).toMatchObject({ code: "bad-tensor" });
    expect(refusal(claims([-2, -1])).message).toContain("dimension -2");
    expect(refusal(claims(Array.from({ length: 40 }, () => 1))).message).toContain("40 dimensions");
  });

  it("tensor bytes in another file", () => {
    const bytes = graphFile((writer) =>
      writer.message(5, () => {
        writer.string(8, "w");
        writer.int(14, 1);
      }),
    );
    expect(refusal(bytes)).toMatchObject({ code: "external-data" });
  });

  it("operator sets newer than it knows, and domains that are not imported", () => {
    const future = { ...relu, opsetImports: new Map([["", 99]]) };
    expect(() => writeModel(future)).toThrow(/version 99; known are 1 to/);
    const other = withNodes([node("Relu", { inputs: ["x"], outputs: ["y"], domain: "com.example" })]);
    expect(() => writeModel(other)).toThrow(/does not import/);
  });

  it("cycles, missing values and values made twice", () => {
    const cycle = withNodes([
      node("Add", { inputs: ["x", "y"], outputs: ["z"] }),
      node("Relu", { inputs: ["z"], outputs: ["y"] }),
    ]);
    expect(() => writeModel(cycle)).toThrow(/uses "y", which nothing before it makes/);
    const twice = withNodes([
      node("Relu", { inputs: ["x"], outputs: ["y"] }),
      node("Relu", { inputs: ["x"], outputs: ["y"] }),
    ]);
    expect(() => writeModel(twice)).toThrow(/"y" is defined twice/);
  });

  it("more objects, strings, bytes or depth than its limits allow", () => {
    const bytes = writeModel(relu);
    expect(refusal(bytes, { messages: 5 }).code).toBe("too-large");
    expect(refusal(bytes, { strings: 2 }).code).toBe("too-large");
    expect(refusal(bytes, { bytes: 100 })).toMatchObject({
      code: "too-large",
      message: expect.stringContaining("the limit is 100"),
    });
    const nest = (writer: WireWriter, depth: number): void => {
      if (depth === 0) return;
      writer.message(1, () =>
        writer.message(5, () => {
          writer.string(1, "body");
          writer.message(6, () => nest(writer, depth - 1));
          writer.int(20, 5);
        }),
      );
    };
    expect(refusal(graphFile((writer) => nest(writer, 40)))).toMatchObject({ code: "too-large" });
  });

  it("text that is not UTF-8", () => {
    for (const text of [
      [0xc0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf5, 0x80, 0x80, 0x80],
      [0xe2, 0x82],
    ])
      expect(refusal(graphFile((writer) => writer.bytes(2, Uint8Array.from(text))))).toMatchObject({
        code: "malformed",
      });
  });
});

describe("readModel accepts", () => {
  it("numbers that are not packed, as the official library writes them", () => {
    const bytes = graphFile((writer) => {
      writer.message(1, () => {
        writer.string(2, "out");
        writer.string(4, "Constant");
        writer.message(5, () => {
          writer.string(1, "value_floats");
          writer.float(7, 1.5);
          writer.float(7, -2);
          writer.int(20, 6);
        });
        writer.message(5, () => {
          writer.string(1, "other");
          writer.int(8, 5);
          writer.int(8, -1);
          writer.int(8, 2 ** 35);
          writer.int(20, 7);
        });
      });
      writer.message(12, () => writer.string(1, "out"));
    });
    const attributes = readModel(bytes).graph.nodes[0]?.attributes;
    expect(attributes?.get("value_floats")).toEqual({ type: "floats", value: Float32Array.of(1.5, -2) });
    expect(attributes?.get("other")).toEqual({ type: "ints", value: Float64Array.of(5, -1, 2 ** 35) });
  });

  it("fields it does not know", () => {
    const writer = new WireWriter();
    writer.string(99, "future");
    writer.float(98, 1);
    const bytes = writeModel(relu);
    const extended = new Uint8Array([...bytes, ...writer.take()]);
    expect(readModel(extended)).toEqual(readModel(bytes));
  });
});

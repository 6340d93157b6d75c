import { InferenceSession, Tensor } from "onnxruntime-node";
import { attribute, model, node, valueInfo } from "../../../../models/onnx/build-graph.ts";
import { writeModel } from "../../../../models/onnx/write-model.ts";

/**
 * Products of square float32 tiles by ONNX Runtime's GEMM, multi-threaded, with the widest vectors the processor has. Measured on two
 * cores with 512 x 512 tiles: about 170 GFlop/s; 128-bit WebAssembly SIMD reaches 28.
 */
export interface TileProducts {
  /** target -= left · rightᵀ */
  subtractTransposed(target: Float32Array, left: Float32Array, right: Float32Array): Promise<void>;
  /** target += left · right */
  add(target: Float32Array, left: Float32Array, right: Float32Array): Promise<void>;
  /** target += leftᵀ · right */
  addTransposed(target: Float32Array, left: Float32Array, right: Float32Array): Promise<void>;
  release(): Promise<void>;
}

function gemm(
  options: { readonly transA: number; readonly transB: number; readonly alpha: number },
  size: number,
): Uint8Array {
  const tile = (name: string): ReturnType<typeof valueInfo> => valueInfo(name, "float32", [size, size]);
  return writeModel(
    model({
      nodes: [
        node("Gemm", {
          inputs: ["left", "right", "sum"],
          outputs: ["result"],
          attributes: {
            transA: attribute.int(options.transA),
            transB: attribute.int(options.transB),
            alpha: attribute.float(options.alpha),
          },
        }),
      ],
      inputs: [tile("left"), tile("right"), tile("sum")],
      outputs: [tile("result")],
    }),
  );
}

export async function openTileProducts(size: number, threads: number): Promise<TileProducts> {
  const open = (options: Parameters<typeof gemm>[0]): Promise<InferenceSession> =>
    InferenceSession.create(gemm(options, size), {
      intraOpNumThreads: threads,
      executionProviders: ["cpu"],
      // Waiting threads sleep: spinning takes the processor from whoever else works on the machine.
      extra: { session: { intra_op: { allow_spinning: "0" } } },
    });
  const sessions = await Promise.all([
    open({ transA: 0, transB: 1, alpha: -1 }),
    open({ transA: 0, transB: 0, alpha: 1 }),
    open({ transA: 1, transB: 0, alpha: 1 }),
  ]);
  const [subtractTransposed, add, addTransposed] = sessions;
  const result = new Float32Array(size * size);
  const tensor = (data: Float32Array): Tensor => new Tensor("float32", data, [size, size]);
  const fetches = { result: tensor(result) };
  const through =
    (session: InferenceSession) =>
    async (target: Float32Array, left: Float32Array, right: Float32Array): Promise<void> => {
      const answer = await session.run({ left: tensor(left), right: tensor(right), sum: tensor(target) }, fetches);
      target.set(answer["result"]?.data as Float32Array);
    };
  return {
    subtractTransposed: through(subtractTransposed),
    add: through(add),
    addTransposed: through(addTransposed),
    release: async () => {
      await Promise.all(sessions.map((session) => session.release()));
    },
  };
}

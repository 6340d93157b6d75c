import type { Model } from "../onnx/model.ts";
import type { Session } from "./session.ts";
import { UnsupportedOperator } from "./unsupported-operator.ts";

export interface CompileOptions {
  /**
   * The compiled SIMD kernels (`models/engine/kernels.wasm`): in Workers an imported module, in Node
   * `new WebAssembly.Module(bytes)`. Without it everything runs in plain JavaScript, slower where matrices are large.
   */
  readonly kernels?: WebAssembly.Module;
}

/**
 * Plans a model once: checks every node, lays trees and weights out as flat arrays, allocates every buffer.
 * @throws UnsupportedOperator naming the operator that this engine does not run
 * @throws OnnxError where attributes or shapes of a node contradict each other
 */
export function compileSession(model: Model, _options: CompileOptions = {}): Session {
  const [first] = model.graph.nodes;
  throw new UnsupportedOperator(first?.opType ?? "an empty graph", first?.name ?? "", "not implemented yet");
}

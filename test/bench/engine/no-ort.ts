/** Stands in for ONNX Runtime where a Worker without it is measured. */
export const env = { wasm: {} };
export const Tensor = Object;
export const InferenceSession = {};

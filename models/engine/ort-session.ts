/**
 * ONNX Runtime behind the `AsyncSession` contract. The runtime is handed in (`onnxruntime-web` in a Worker,
 * `onnxruntime-node` in training), so both places bind columns to inputs and pick the output in exactly one way.
 */
import type { AsyncSession, TensorInfo } from "./session.ts";

/** What of an ONNX Runtime package is used here; the web and the Node package both have it. */
export interface OrtRuntime {
  readonly InferenceSession: {
    create(bytes: Uint8Array, options?: Record<string, unknown>): Promise<OrtInferenceSession>;
  };
  readonly Tensor: new (type: OrtInputType, data: OrtInputData, dims: readonly number[]) => object;
}

/** One graph input or output as the runtime reports it; `shape` and `type` are there for tensors only. */
export interface OrtValueMetadata {
  readonly name: string;
  readonly isTensor: boolean;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

export interface OrtInferenceSession {
  readonly inputMetadata: readonly OrtValueMetadata[];
  readonly outputMetadata: readonly OrtValueMetadata[];
  run(feeds: Record<string, never>, fetches: readonly string[]): Promise<Record<string, unknown>>;
  release(): Promise<void>;
}

export type OrtInputType = "float32" | "float64" | "int32" | "int64" | "bool";
type OrtInputData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

/** `model`: the runtime refuses the bytes; `unsupported`: it loads but does not fit the contract; `input`: a bad call. */
export type OrtErrorCode = "model" | "unsupported" | "input" | "run";

export class OrtSessionError extends Error {
  readonly code: OrtErrorCode;
  constructor(code: OrtErrorCode, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = "OrtSessionError";
    this.code = code;
  }
}

export interface OrtSession extends AsyncSession {
  readonly engine: "ort";
  /** Name of the graph output that `run` returns. */
  readonly outputName: string;
  /** Gives the runtime's memory back. No run may be in flight, none may follow. */
  release(): Promise<void>;
}

interface InputPlan {
  readonly name: string;
  readonly type: OrtInputType;
  /** Dimensions after the batch; at most one free dimension (-1) in the whole graph. */
  readonly inner: readonly number[];
  /** Values per row, or null where `inner` has the free dimension. */
  readonly width: number | null;
}

interface IoPlan {
  readonly inputs: readonly InputPlan[];
  /** The batch size the graph is frozen to, or null. */
  readonly fixedRows: number | null;
  readonly outputName: string;
}

const INPUT_TYPES: readonly string[] = ["float32", "float64", "int32", "int64", "bool"] satisfies OrtInputType[];
const TENSOR_TYPES: readonly string[] = [...INPUT_TYPES, "string"];

/**
 * Loads ONNX bytes. `residentBytes` is what the caller charges for the session (the runtime does not tell).
 * A batch row is the concatenation of the row's values of every graph input, in graph order; `run` returns the first
 * float output. @throws OrtSessionError
 */
export async function createOrtSession(
  runtime: OrtRuntime,
  bytes: Uint8Array,
  residentBytes: number,
): Promise<OrtSession> {
  let native: OrtInferenceSession;
  try {
    native = await runtime.InferenceSession.create(bytes, {
      executionProviders: ["cpu"],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
    });
  } catch (error) {
    throw new OrtSessionError("model", `ONNX Runtime refuses the model: ${messageOf(error)}`, { cause: error });
  }
  try {
    const plan = planIo(native);
    return {
      engine: "ort",
      inputs: native.inputMetadata.flatMap(tensorInfo),
      outputs: native.outputMetadata.flatMap(tensorInfo),
      outputName: plan.outputName,
      bytes: residentBytes,
      run: (batch, rows) => runBatch(runtime, native, plan, { batch, rows }),
      release: () => native.release(),
    };
  } catch (error) {
    await native.release();
    throw error;
  }
}

function planIo(native: OrtInferenceSession): IoPlan {
  const inputs = native.inputMetadata.map(planInput);
  if (inputs.length === 0) throw new OrtSessionError("unsupported", "the graph has no input");
  if (inputs.filter((input) => input.width === null).length > 1) {
    throw new OrtSessionError("unsupported", "more than one free dimension beside the batch: export with fixed shapes");
  }
  const output = native.outputMetadata.find((value) => value.type === "float32" || value.type === "float64");
  if (!output) {
    throw new OrtSessionError(
      "unsupported",
      "no float tensor among the outputs (a classifier's ZipMap gives maps: export it with zipmap off)",
    );
  }
  const frozen = new Set(
    native.inputMetadata.map((value) => fixedSize(value.shape?.[0])).filter((size) => size !== null && size > 0),
  );
  if (frozen.size > 1) {
    throw new OrtSessionError("unsupported", "the inputs are frozen to different batch sizes");
  }
  const [fixedRows] = frozen;
  return { inputs, fixedRows: typeof fixedRows === "number" ? fixedRows : null, outputName: output.name };
}

function planInput(value: OrtValueMetadata): InputPlan {
  const { name, type, shape } = value;
  if (!value.isTensor || type === undefined || !isInputType(type)) {
    throw new OrtSessionError("unsupported", `input "${name}" is ${type ?? "not a tensor"}, not a number tensor`);
  }
  if (!shape || shape.length === 0) throw new OrtSessionError("unsupported", `input "${name}" has no batch dimension`);
  const inner = shape.slice(1).map((size) => fixedSize(size) ?? -1);
  const free = inner.filter((size) => size === -1).length;
  if (free > 1)
    throw new OrtSessionError("unsupported", `input "${name}" has ${free} free dimensions beside the batch`);
  return { name, type, inner, width: free === 1 ? null : inner.reduce((product, size) => product * size, 1) };
}

async function runBatch(
  runtime: OrtRuntime,
  native: OrtInferenceSession,
  plan: IoPlan,
  call: { batch: Float32Array; rows: number },
): Promise<Float32Array> {
  const { rows } = call;
  if (!Number.isInteger(rows) || rows < 1 || call.batch.length % rows !== 0) {
    throw new OrtSessionError("input", `${call.batch.length} values cannot be split into ${rows} rows`);
  }
  const widths = resolveWidths(plan.inputs, call.batch.length / rows);
  const chunk = plan.fixedRows ?? rows;
  if (rows % chunk !== 0) {
    throw new OrtSessionError("input", `the graph is frozen to batches of ${chunk} rows, ${rows} were given`);
  }
  // The caller may refill its array while the runtime works; conversion below never aliases the copy either.
  const batch = chunk === rows ? call.batch : call.batch.slice();
  const rowWidth = batch.length / rows;
  let output: Float32Array | null = null;
  for (let start = 0; start < rows; start += chunk) {
    const part = batch.subarray(start * rowWidth, (start + chunk) * rowWidth);
    const values = await runOnce(native, plan, feedsOf(runtime, plan.inputs, { batch: part, rows: chunk, widths }));
    if (values.length % chunk !== 0) {
      throw new OrtSessionError(
        "unsupported",
        `output "${plan.outputName}" has ${values.length} values for ${chunk} rows`,
      );
    }
    if (chunk === rows) return values;
    output ??= new Float32Array((values.length / chunk) * rows);
    output.set(values, (values.length / chunk) * start);
  }
  return output ?? new Float32Array(0);
}

function resolveWidths(inputs: readonly InputPlan[], rowWidth: number): number[] {
  const known = inputs.reduce((sum, input) => sum + (input.width ?? 0), 0);
  const free = inputs.find((input) => input.width === null);
  const unit = free ? free.inner.reduce((product, size) => (size === -1 ? product : product * size), 1) : 0;
  const rest = rowWidth - known;
  if (free ? unit < 1 || rest < unit || rest % unit !== 0 : rest !== 0) {
    throw new OrtSessionError(
      "input",
      `a row has ${rowWidth} values, the graph takes ${known}${free ? " and more" : ""}`,
    );
  }
  return inputs.map((input) => input.width ?? rest);
}

function feedsOf(
  runtime: OrtRuntime,
  inputs: readonly InputPlan[],
  part: { batch: Float32Array; rows: number; widths: readonly number[] },
): Record<string, object> {
  const { batch, rows, widths } = part;
  const rowWidth = batch.length / rows;
  const feeds: Record<string, object> = {};
  let column = 0;
  for (const [index, input] of inputs.entries()) {
    const width = widths[index] ?? 0;
    const values = columnsOf(batch, { rows, rowWidth, column, width });
    const unit = input.inner.reduce((product, size) => (size === -1 ? product : product * size), 1);
    const dims = [rows, ...input.inner.map((size) => (size === -1 ? width / unit : size))];
    feeds[input.name] = new runtime.Tensor(input.type, CONVERT[input.type](values, input.name), dims);
    column += width;
  }
  return feeds;
}

/** The columns of one input as an array of its own (`rows × width`, row-major). */
function columnsOf(
  batch: Float32Array,
  slice: { rows: number; rowWidth: number; column: number; width: number },
): Float32Array {
  const { rows, rowWidth, column, width } = slice;
  if (width === rowWidth) return batch.slice();
  const values = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const start = row * rowWidth + column;
    values.set(batch.subarray(start, start + width), row * width);
  }
  return values;
}

const CONVERT: Readonly<Record<OrtInputType, (values: Float32Array, name: string) => OrtInputData>> = {
  float32: (values) => values,
  float64: (values) => Float64Array.from(values),
  bool: (values) => Uint8Array.from(values, (value) => (value === 0 ? 0 : 1)),
  int32: (values, name) => Int32Array.from(values, (value) => integer(value, name)),
  int64: (values, name) => BigInt64Array.from(Array.from(values, (value) => BigInt(integer(value, name)))),
};

/** float32 holds integers exactly up to 2^24; beyond that, an id has already lost its last digits. */
function integer(value: number, name: string): number {
  if (!Number.isInteger(value) || Math.abs(value) > 2 ** 24) {
    throw new OrtSessionError("input", `input "${name}" takes integers up to 2^24, not ${value}`);
  }
  return value;
}

async function runOnce(
  native: OrtInferenceSession,
  plan: IoPlan,
  feeds: Record<string, object>,
): Promise<Float32Array> {
  let results: Record<string, unknown>;
  try {
    results = await native.run(feeds as Record<string, never>, [plan.outputName]);
  } catch (error) {
    throw new OrtSessionError("run", `ONNX Runtime failed: ${messageOf(error)}`, { cause: error });
  }
  const data = (results[plan.outputName] as { readonly data?: unknown } | undefined)?.data;
  if (data instanceof Float32Array) return data.slice();
  if (data instanceof Float64Array) return Float32Array.from(data);
  throw new OrtSessionError("run", `output "${plan.outputName}" carries no float data`);
}

function tensorInfo(value: OrtValueMetadata): TensorInfo[] {
  if (value.type === undefined || !isTensorType(value.type)) return [];
  const shape = (value.shape ?? []).map(fixedSize);
  return [{ name: value.name, type: value.type, shape }];
}

/**
 * A dimension of a fixed size, or null. A free one is a name, or -1 where it has none; the web package reads that -1 as
 * unsigned.
 */
function fixedSize(size: number | string | undefined): number | null {
  return typeof size === "number" && size >= 0 && size < 2 ** 31 ? size : null;
}

const isInputType = (type: string): type is OrtInputType => INPUT_TYPES.includes(type);
const isTensorType = (type: string): type is TensorInfo["type"] => TENSOR_TYPES.includes(type);
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** `edgewise model`: look into an ONNX file, run it on either engine or on both. */
import { readFile, writeFile } from "node:fs/promises";
import { defineCommand } from "citty";
import { OrtSessionError } from "../../models/engine/ort-session.ts";
import { UnsupportedOperator } from "../../models/engine/unsupported-operator.ts";
import { OnnxError } from "../../models/onnx/error.ts";
import { describeInspection, inspectModel } from "../evaluate/inspect-model.ts";
import { describeRun, type EngineSelection, runModel, runReport } from "../evaluate/run-model.ts";
import { type Matrix, MatrixError } from "../sources/matrix.ts";
import { readCsvMatrix } from "../sources/read-csv-matrix.ts";
import { readNpy } from "../sources/read-npy.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

const file = { type: "positional", description: "the model", valueHint: "FILE.onnx", required: true } as const;
const json = { type: "string", description: "write the result as JSON", valueHint: "FILE" } as const;

const inspect = strictCommand({
  meta: { name: "inspect", description: "Operators, shapes, the engine that serves it and why, bytes in memory" },
  args: { file, json },
  run: async ({ args }) => {
    const inspection = await inspectModel(await readBytes(args.file)).catch(asUserError(args.file));
    for (const line of describeInspection(inspection)) console.log(line);
    await writeJson(args.json, inspection);
    if (!inspection.choice.ok) throw new UserError(`${args.file} cannot be served: ${inspection.choice.reason}`);
  },
});

const run = strictCommand({
  meta: { name: "run", description: "Score the rows of a CSV or .npy file; `both` compares the engines" },
  args: {
    file,
    input: { type: "string", description: "rows of numbers", valueHint: "FILE.csv|FILE.npy", required: true },
    engine: { type: "enum", options: ["compact", "ort", "both"], default: "compact", description: "what runs it" },
    explain: { type: "boolean", default: false, description: "exact contributions of each value (compact only)" },
    json,
  },
  run: async ({ args }) => {
    const engine = args.engine as EngineSelection;
    if (args.explain && engine === "ort") {
      throw new UserError("--explain needs the compact engine: use --engine compact or both", 2);
    }
    const bytes = await readBytes(args.file);
    const matrix = await readMatrix(args.input);
    const result = await runModel({ bytes, matrix, engine, explain: args.explain }).catch(asUserError(args.file));
    for (const line of describeRun(result)) console.log(line);
    await writeJson(args.json, runReport(result, { file: args.file, input: args.input }));
  },
});

export const model = defineCommand({
  meta: { name: "model", description: "Inspect and run ONNX files" },
  subCommands: { inspect, run },
});

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new UserError(`cannot read ${path}: ${reasonOf(error)}`);
  }
}

async function readMatrix(path: string): Promise<Matrix> {
  const bytes = await readBytes(path);
  try {
    return path.endsWith(".npy") ? readNpy(bytes) : readCsvMatrix(new TextDecoder().decode(bytes));
  } catch (error) {
    if (error instanceof MatrixError) throw new UserError(`${path}: ${error.message}`);
    throw error;
  }
}

async function writeJson(path: string | undefined, value: unknown): Promise<void> {
  if (path === undefined) return;
  if (path === "") throw new UserError("--json needs a file name", 2);
  try {
    await writeFile(path, `${JSON.stringify(value, null, 2)}\n`);
  } catch (error) {
    throw new UserError(`cannot write ${path}: ${reasonOf(error)}`);
  }
}

/** Errors about the model or the rows are the user's to mend; any other is a bug and keeps its type. */
const asUserError =
  (path: string) =>
  (error: unknown): never => {
    if (error instanceof OnnxError)
      throw new UserError(`${path} is not a valid model (${error.code}): ${error.message}`);
    if (error instanceof UnsupportedOperator) throw new UserError(`${error.message}; try --engine ort`);
    if (error instanceof OrtSessionError || error instanceof MatrixError) throw new UserError(error.message);
    throw error;
  };

const ERRNO: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
};

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return ERRNO[code] ?? (error instanceof Error ? error.message : String(error));
}

/** Which engine serves a model: decided once, at publication, and recorded in the manifest with its reason. */
import { MAX_ORT_SESSION_BYTES, ortSessionBytes, ortTooLarge } from "../../models/engine/ort-memory.ts";
import { OrtSessionError } from "../../models/engine/ort-session.ts";
import type { EngineName } from "../../models/engine/session.ts";
import { UnsupportedOperator } from "../../models/engine/unsupported-operator.ts";
import { OnnxError } from "../../models/onnx/error.ts";
import { readModel } from "../../models/onnx/read-model.ts";
import { loadCompact, loadOrt } from "../evaluate/load-session.ts";

export type EngineChoice =
  | {
      readonly ok: true;
      readonly engine: EngineName;
      /** At most 300 characters: what the manifest holds. */
      readonly reason: string;
      /** Bytes that a session of the model occupies where it is served. */
      readonly residentBytes: number;
    }
  | {
      readonly ok: false;
      /** The operator that neither engine runs, e.g. `com.example.Frobnicate`; null where the file itself is at fault. */
      readonly operator: string | null;
      readonly reason: string;
    };

const MAX_REASON_CHARACTERS = 300;

/**
 * The compact engine if it compiles the graph, else ONNX Runtime if it loads it and the session fits its Worker, else a
 * refusal that names the operator. Never throws for a bad model.
 */
export async function chooseEngine(bytes: Uint8Array): Promise<EngineChoice> {
  let compactReason: string;
  let operator: string | null = null;
  try {
    const operators = [...new Set(readModel(bytes).graph.nodes.map((node) => node.opType))];
    const session = loadCompact(bytes);
    const reason = `the compact engine runs every operator: ${operators.join(", ")}`;
    return { ok: true, engine: "compact", reason: shorten(reason), residentBytes: session.bytes };
  } catch (error) {
    if (error instanceof UnsupportedOperator) operator = error.operator;
    else if (!(error instanceof OnnxError)) throw error;
    compactReason = error.message;
  }
  return chooseOrt(bytes, operator, compactReason);
}

async function chooseOrt(bytes: Uint8Array, operator: string | null, compactReason: string): Promise<EngineChoice> {
  const refuse = (ortReason: string): EngineChoice => {
    const named = operatorIn(ortReason) ?? operator;
    const reason = `neither engine runs ${named ?? "this model"}. Compact: ${compactReason}. ORT: ${ortReason}`;
    return { ok: false, operator: named, reason };
  };
  const residentBytes = ortSessionBytes(bytes);
  if (residentBytes > MAX_ORT_SESSION_BYTES) return refuse(ortTooLarge(bytes.length));
  try {
    const session = await loadOrt(bytes);
    await session.release();
  } catch (error) {
    if (error instanceof OnnxError) return { ok: false, operator: null, reason: error.message };
    if (error instanceof OrtSessionError) return refuse(error.message);
    throw error;
  }
  return { ok: true, engine: "ort", reason: shorten(`ONNX Runtime, because ${compactReason}`), residentBytes };
}

/** ONNX Runtime's words for an operator it does not have, in the three places where it can notice. */
function operatorIn(message: string): string | null {
  const [, domain, name] =
    /No Op registered for ()(\S+) with domain_version/.exec(message) ??
    /Fatal error: ([\w.]*):(\w+)\(-?\d*\) is not a registered function/.exec(message) ??
    /Could not find an implementation for ()(\w+)\(\d+\)/.exec(message) ??
    [];
  if (name === undefined) return null;
  return domain === undefined || domain === "" || domain === "ai.onnx" ? name : `${domain}.${name}`;
}

const shorten = (text: string): string =>
  text.length <= MAX_REASON_CHARACTERS ? text : `${text.slice(0, MAX_REASON_CHARACTERS - 1)}…`;

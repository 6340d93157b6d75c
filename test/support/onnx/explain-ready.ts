import { compileSession } from "../../../models/engine/compile-session.ts";
import { readModel } from "../../../models/onnx/read-model.ts";
import { stumps } from "./small-models.ts";

/** Whether the compact engine explains trees yet: tests that need it are skipped until it does. */
export const explainReady = compileSession(readModel(stumps())).explain !== null;

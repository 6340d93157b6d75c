/** Failures of a run in words for the person who started it; any other error is a bug and keeps its type. */
export type PipelineErrorCode = "disk_full" | "cancelled" | "no_such_run" | "invalid_run" | "invalid_input";

export class PipelineError extends Error {
  override readonly name = "PipelineError";
  readonly code: PipelineErrorCode;

  constructor(code: PipelineErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Thrown by a stage whose data or model must not go further: the run ends as refused, with these reasons, and is no failure. */
export class StageRefusal extends Error {
  override readonly name = "StageRefusal";
  readonly reasons: readonly string[];

  constructor(reasons: readonly string[]) {
    super(reasons.join("; "));
    this.reasons = reasons;
  }
}

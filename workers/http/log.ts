/** Structured logs: one JSON object a line. Callers pass pseudonyms and ids of ours, never a person's identifiers or payloads. */
export interface LogFields {
  readonly [field: string]: string | number | boolean | null | undefined;
}

export function logInfo(message: string, fields: LogFields): void {
  console.log(JSON.stringify({ level: "info", message, ...fields }));
}

export function logWarning(message: string, fields: LogFields): void {
  console.warn(JSON.stringify({ level: "warning", message, ...fields }));
}

export function logError(message: string, error: unknown, fields: LogFields = {}): void {
  const cause =
    error instanceof Error
      ? { error: error.name, reason: error.message, stack: error.stack }
      : { reason: String(error) };
  console.error(JSON.stringify({ level: "error", message, ...cause, ...fields }));
}

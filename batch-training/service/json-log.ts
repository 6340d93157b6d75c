/** Structured logs of the service: one JSON object a line. Fields are ids, names, states and figures of ours; never an event, a row or a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

/** Longest value that is written, in characters: a reason, not a document. */
const MAX_VALUE_CHARACTERS = 1_000;

export function jsonLog(write: (line: string) => void, now: () => number, common: LogFields = {}): Log {
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      const entries = Object.entries({ ...common, ...fields }).map(([name, value]) => [
        name,
        typeof value === "string" ? value.slice(0, MAX_VALUE_CHARACTERS) : value,
      ]);
      write(JSON.stringify({ time: new Date(now()).toISOString(), level, message, ...Object.fromEntries(entries) }));
    };
  return { info: at("info"), warning: at("warning"), error: at("error") };
}

/** The reason of an error, with that of its cause, in one line. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `${error.message}${cause}`.replaceAll(/\s+/g, " ");
}

/** The event log as a run's first stage takes it: its objects whole, and the events in them. */
import { EventLogSnapshot } from "../sources/event-log.ts";
import type { StageContext } from "./model-definition.ts";
import { PipelineError } from "./pipeline-error.ts";
import type { LogSource } from "./sources.ts";

/** Objects read side by side: hides the round trip, stays polite. */
const READ_CONCURRENCY = 8;

export interface LogObject {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export async function readLogObjects(
  log: LogSource,
  names: readonly string[],
  context: StageContext,
): Promise<readonly LogObject[]> {
  const objects: LogObject[] = [];
  for (let start = 0; start < names.length; start += READ_CONCURRENCY) {
    context.signal?.throwIfAborted();
    const group = names.slice(start, start + READ_CONCURRENCY);
    const bodies = await Promise.all(group.map((name) => log.read(name, context.signal)));
    for (const [index, bytes] of bodies.entries()) objects.push({ name: group[index] ?? "", bytes });
    context.progress(objects.length, names.length, `${objects.length} log objects`);
  }
  return objects;
}

/** Every event by (source, id) once, in the order in which facts became visible. @throws PipelineError for a damaged line */
export function snapshotOf(objects: readonly LogObject[]): EventLogSnapshot {
  const snapshot = new EventLogSnapshot();
  for (const { name, bytes } of objects) {
    try {
      snapshot.add(bytes, name);
    } catch (error) {
      if (error instanceof SyntaxError) throw new PipelineError("invalid_input", error.message);
      throw error;
    }
  }
  return snapshot;
}

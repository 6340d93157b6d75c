import type { StoredEvent } from "../../models/contract/events.ts";
import { compileSource } from "../../models/features/catalog.ts";
import type { CompiledService } from "../../models/features/compile-service.ts";
import type { SourceDefinition } from "../../models/features/definition.ts";
import { readPath, type Scope } from "../../models/features/evaluate.ts";
import { parseTime } from "../../models/features/parse-time.ts";

/** Identity, time and payload of a fact, apart from any group. */
export interface SourceFact {
  readonly identity: string;
  readonly time: number;
  readonly payload: unknown;
}

/** Reads identity and time of a source's facts from events; null where an event has none. Sources without fan-out only. */
export function sourceReader(definition: SourceDefinition): (event: StoredEvent) => SourceFact | null {
  const source = compileSource(definition);
  const roots = new Map(definition.events.map(({ type, root }) => [type, readPath(root)]));
  return (event) => {
    const root = roots.get(event.type);
    if (!root) return null;
    const payload = root(event.data);
    const scope: Scope = { root: payload, time: parseTime(event.time), asOf: event.ingestedAt, feature: null };
    if (source.where !== null && source.where(scope) !== true) return null;
    const identity = source.identity?.(scope);
    const time = source.time?.(scope) ?? scope.time;
    return typeof identity === "string" && typeof time === "number" ? { identity, time, payload } : null;
  };
}

/** As `sourceReader` for the requests of a service, with the id of its first entity. */
export function requestReader(
  service: CompiledService,
): (event: StoredEvent) => (SourceFact & { subject: string }) | null {
  const read = sourceReader(service.definition.request);
  const [first] = service.entities;
  return (event) => {
    const fact = read(event);
    if (fact === null) return null;
    const subject = first?.key({ root: fact.payload, time: fact.time, asOf: fact.time, feature: null });
    return { ...fact, subject: typeof subject === "string" ? subject : "" };
  };
}

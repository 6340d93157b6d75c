import * as z from "zod";
import { DecisionRecord, FraudDecision } from "./decision-record.ts";
import { Problem } from "./errors.ts";
import { EVENT_DEFINITIONS, type EventType, eventDefinition, eventSchema } from "./events.ts";
import { Manifest } from "./manifest.ts";
import { Report } from "./report.ts";
import { RoutingRecord } from "./api/models.ts";

/** Stored and answered shapes that have a name of their own, beside the events. */
const RECORDS = { DecisionRecord, FraudDecision, Manifest, Problem, Report, RoutingRecord } as const;

export interface SchemaEntry {
  readonly name: string;
  readonly kind: "event" | "record";
  readonly direction: "in" | "out" | null;
  readonly dataSensitivity: string | null;
  readonly retentionPolicy: string | null;
}

export const SCHEMA_ENTRIES: readonly SchemaEntry[] = [
  ...(Object.keys(EVENT_DEFINITIONS) as EventType[]).map((name) => {
    const { direction, dataSensitivity, retentionPolicy } = eventDefinition(name);
    return { name, kind: "event" as const, direction, dataSensitivity, retentionPolicy };
  }),
  ...Object.keys(RECORDS).map((name) => ({
    name,
    kind: "record" as const,
    direction: null,
    dataSensitivity: null,
    retentionPolicy: null,
  })),
];

/** One named schema as JSON Schema draft 2020-12, with the governance metadata of an event beside it; null if unknown. */
export function jsonSchema(name: string): Record<string, unknown> | null {
  const entry = SCHEMA_ENTRIES.find((candidate) => candidate.name === name);
  if (!entry) return null;
  const schema = entry.kind === "event" ? eventSchema(name as EventType) : RECORDS[name as keyof typeof RECORDS];
  const document = z.toJSONSchema(schema, { target: "draft-2020-12", io: "input" });
  return {
    $id: `/api/v1/schemas/${name}`,
    title: name,
    ...(entry.kind === "event" && {
      description: eventDefinition(name as EventType).description,
      "x-direction": entry.direction,
      "x-dataSensitivity": entry.dataSensitivity,
      "x-retentionPolicy": entry.retentionPolicy,
    }),
    ...document,
  };
}

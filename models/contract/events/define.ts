import type * as z from "zod";

/** Who may see the payload: `personal` is pseudonymised before it is stored. */
export type DataSensitivity = "public" | "internal" | "personal";

/** How long the event log keeps the event. */
export type RetentionPolicy = "90-days" | "400-days" | "7-years";

export interface EventDefinition<S extends z.ZodType = z.ZodType> {
  readonly direction: "in" | "out";
  readonly description: string;
  readonly dataSensitivity: DataSensitivity;
  readonly retentionPolicy: RetentionPolicy;
  readonly data: S;
}

export function defineEvent<S extends z.ZodType>(definition: EventDefinition<S>): EventDefinition<S> {
  return definition;
}

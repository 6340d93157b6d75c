import * as z from "zod";

/** The one JSON shape of benchmarks and evaluations. Row ids are stable, so that runs can be compared by id. */
export const Report = z
  .object({
    tool: z.string(),
    version: z.string(),
    machine: z.object({
      cpu: z.string(),
      cores: z.int(),
      memoryBytes: z.number(),
      node: z.string(),
      platform: z.string(),
    }),
    parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
    rows: z.array(
      z.object({
        id: z.string(),
        value: z.number(),
        unit: z.string(),
        floor: z.number().optional(),
        aim: z.number().optional(),
        better: z.enum(["lower", "higher"]).optional(),
        low: z.number().optional(),
        high: z.number().optional(),
        note: z.string().optional(),
      }),
    ),
  })
  .meta({ id: "Report", description: "Benchmark or evaluation result" });
export type Report = z.infer<typeof Report>;
export type ReportRow = Report["rows"][number];

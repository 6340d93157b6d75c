import { cpus, totalmem } from "node:os";
import type { Report } from "../../models/contract/report.ts";

/** The machine a report was made on. */
export function describeMachine(): Report["machine"] {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? "unknown",
    cores: processors.length,
    memoryBytes: totalmem(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
  };
}

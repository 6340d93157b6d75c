import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks per second of /proc; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Runtime processes that this process has started, directly or not. Empty where there is no /proc. */
export function workerdProcesses(): number[] {
  const parents = new Map<number, number>();
  const names = new Map<number, string>();
  for (const entry of entries()) {
    const stat = readStat(Number(entry));
    if (!stat) continue;
    parents.set(Number(entry), Number(stat.fields[1]));
    names.set(Number(entry), stat.name);
  }
  const isOurs = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at))
      if (at === process.pid) return true;
    return false;
  };
  return [...parents.keys()].filter((pid) => pid !== process.pid && names.get(pid) === "workerd" && isOurs(pid));
}

/** Processor time that a process has used, milliseconds; null where it cannot be told. */
export function processorMs(pid: number): number | null {
  const stat = readStat(pid);
  return stat ? ((Number(stat.fields[11]) + Number(stat.fields[12])) * 1_000) / TICKS_PER_SECOND : null;
}

function entries(): string[] {
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/** `/proc/PID/stat`: the name, and the fields after it (0: state, 1: parent, 11: user time, 12: system time). */
function readStat(pid: number): { name: string; fields: string[] } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    const end = text.lastIndexOf(")");
    return { name: text.slice(text.indexOf("(") + 1, end), fields: text.slice(end + 2).split(" ") };
  } catch {
    return null;
  }
}

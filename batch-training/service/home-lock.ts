/** One service per home: two would take each other's job, which they hold under one name, and remove each other's outputs. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "../local/workerd-process.ts";

const LOCK = "worker.pid";

/** @returns what gives the home back @throws {Error} that names the process which has it */
export function lockHome(home: string): () => void {
  mkdirSync(home, { recursive: true });
  const file = join(home, LOCK);
  for (let attempt = 1; ; attempt++) {
    try {
      writeFileSync(file, `${process.pid} ${bootId()}`, { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error) || !("code" in error) || error.code !== "EEXIST") throw error;
    }
    const holder = holderOf(file);
    if (holder > 0 && holder !== process.pid && isAlive(holder)) {
      throw new Error(
        `${home} is in use by process ${holder}. Stop it first, or give this one another --home and --name.`,
      );
    }
    if (attempt > 3) throw new Error(`${file} cannot be taken over; remove it if no service runs here.`);
    // Left by a service that was killed.
    rmSync(file, { force: true });
  }
}

/** 0: nobody. */
function holderOf(file: string): number {
  try {
    const [id, boot] = readFileSync(file, "utf8").split(" ");
    // A process of before the machine was started again is gone, whoever has its number now.
    return boot === bootId() && /^\d+$/.test(id ?? "") ? Number(id) : 0;
  } catch {
    return 0;
  }
}

/** Changes with every start of the machine; the same for ever where the system does not tell. */
function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "-";
  }
}

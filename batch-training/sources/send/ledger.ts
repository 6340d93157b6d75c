import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import * as z from "zod";

/** Events proven applied that a ledger names, so that a server with another history is noticed. */
export const MAX_WITNESSES = 64;

export const LedgerState = z.object({
  v: z.literal(1),
  /** What is being sent, and where to. */
  key: z.string(),
  /** Events from the start of the source whose fate is settled: applied, refused, or given up. */
  settled: z.int().min(0),
  applied: z.int().min(0),
  refused: z.int().min(0),
  unapplied: z.int().min(0),
  witnesses: z.array(z.object({ source: z.string(), id: z.string() })).max(MAX_WITNESSES),
});
export type LedgerState = z.infer<typeof LedgerState>;

/** How far a transfer has come, kept outside the process that makes it. */
export interface Ledger {
  /** Null when there is none, when it is unreadable, or when it is about another transfer. */
  read(): Promise<LedgerState | null>;
  /** Replaces the state. A process killed inside leaves the state before or after, never a part. */
  write(state: Omit<LedgerState, "v" | "key">): Promise<void>;
}

/** A ledger in one small file, replaced by renaming. `key` names the source and the server. */
export function fileLedger(path: string, key: string): Ledger {
  return {
    async read() {
      const text = await readFile(path, "utf8").catch((error: unknown) => {
        if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
        throw error;
      });
      if (text === null) return null;
      const state = LedgerState.safeParse(jsonOf(text));
      return state.success && state.data.key === key ? state.data : null;
    },
    async write(state) {
      await mkdir(dirname(path), { recursive: true });
      const draft = `${path}.${process.pid}.tmp`;
      await writeFile(draft, `${JSON.stringify({ v: 1, key, ...state })}\n`);
      await rename(draft, path);
    },
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

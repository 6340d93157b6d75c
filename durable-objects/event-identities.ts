/** An event that asks to be counted once. */
export interface EventClaim {
  /** Identity of (source, id). */
  readonly identity: string;
  /** Hash of the content. */
  readonly content: string;
  /** The event is older than identities are kept: it counts only if it is known. */
  readonly old: boolean;
}
export type ClaimOutcome = "new" | "known" | "conflict" | "too-old";

/**
 * Identities of events, and of facts that are merged into tiles, are kept this long: longer than the 14 days a queue may hold a
 * message plus the 14 days in which dead letters may be replayed. An older event that is not known is refused.
 */
export const IDENTITY_TTL_MS = 35 * 86_400_000;

/** Parameters that one statement may bind. */
const MAX_BOUND = 100;
/** Identity and content of each claim, and the time of all. */
const CLAIMS_PER_STATEMENT = Math.floor((MAX_BOUND - 1) / 2);

export function isRefused(outcome: ClaimOutcome | undefined): boolean {
  return outcome === "conflict" || outcome === "too-old";
}

/** Which events were counted, and which were processed to the end. Call inside a transaction. */
export class EventIdentities {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  claim(claims: readonly EventClaim[], now: number): ClaimOutcome[] {
    const inserted = this.#insert(
      claims.filter((claim) => !claim.old),
      now,
    );
    const missing = claims.filter(({ identity }) => !inserted.has(identity)).map(({ identity }) => identity);
    const known = this.#contents(missing);
    const first = new Set(inserted.keys());
    return claims.map(({ identity, content, old }) => {
      // Of two events of one identity in one call, the first is new, whatever the other says.
      if (!old && first.delete(identity)) return "new";
      const stored = inserted.get(identity) ?? known.get(identity);
      if (stored === undefined) return "too-old";
      return stored === content ? "known" : "conflict";
    });
  }

  settle(identities: readonly string[]): void {
    for (let from = 0; from < identities.length; from += MAX_BOUND) {
      const part = identities.slice(from, from + MAX_BOUND);
      const list = part.map(() => "?").join(",");
      this.#sql.exec(`UPDATE events SET settled = 1 WHERE settled = 0 AND identity IN (${list})`, ...part);
    }
  }

  settled(identities: readonly string[]): boolean[] {
    return identities.map(
      (identity) =>
        this.#sql.exec("SELECT 1 FROM events WHERE identity = ? AND settled = 1", identity).toArray().length > 0,
    );
  }

  /** Removes at most `limit` identities whose time is over. Returns how many. */
  sweep(now: number, limit: number): number {
    return this.#sql.exec(
      "DELETE FROM events WHERE identity IN (SELECT identity FROM events WHERE at < ? LIMIT ?)",
      now - IDENTITY_TTL_MS,
      limit,
    ).rowsWritten;
  }

  /** Contents of those that were not there, by identity. */
  #insert(claims: readonly EventClaim[], now: number): Map<string, string> {
    const inserted = new Map<string, string>();
    for (let from = 0; from < claims.length; from += CLAIMS_PER_STATEMENT) {
      const part = claims.slice(from, from + CLAIMS_PER_STATEMENT);
      const list = part.map((_, index) => `(?${index * 2 + 2}, ?${index * 2 + 3}, ?1, 0)`).join(",");
      const rows = this.#sql.exec<{ identity: string; content: string }>(
        `INSERT INTO events (identity, content, at, settled) VALUES ${list}
         ON CONFLICT (identity) DO NOTHING RETURNING identity, content`,
        now,
        ...part.flatMap(({ identity, content }) => [identity, content]),
      );
      for (const { identity, content } of rows) inserted.set(identity, content);
    }
    return inserted;
  }

  #contents(identities: readonly string[]): Map<string, string> {
    const known = new Map<string, string>();
    for (let from = 0; from < identities.length; from += MAX_BOUND) {
      const part = identities.slice(from, from + MAX_BOUND);
      const list = part.map(() => "?").join(",");
      const rows = this.#sql.exec<{ identity: string; content: string }>(
        `SELECT identity, content FROM events WHERE identity IN (${list})`,
        ...part,
      );
      for (const { identity, content } of rows) known.set(identity, content);
    }
    return known;
  }
}

import type { DrizzleD1Database } from "drizzle-orm/d1";
import { deadLettersById, findDeadLetters, markReplayed } from "../../d1/queries/dead-letters.ts";
import {
  type DeadLetter,
  listDeadLetters,
  replayDeadLetters,
  type ReplayResult,
} from "../../models/contract/api/events.ts";
import type { QueuedEvents } from "../../models/contract/queued-events.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";

/** Older dead letters are not replayed: identities are not kept long enough to promise that nothing counts twice. */
export const MAX_REPLAY_AGE_MS = 14 * 86_400_000;

export interface DeadLetterDeps {
  readonly db: DrizzleD1Database;
  readonly enqueue: (messages: readonly QueuedEvents[]) => Promise<void>;
}

export function mountDeadLetters(app: App, http: HttpDeps, deps: DeadLetterDeps): void {
  mount(app, http, listDeadLetters, async ({ query }, { identity }) => {
    const { limit, before, reason } = query;
    return Response.json({
      deadLetters: await findDeadLetters(deps.db, { tenant: identity.tenant, limit, before, reason }),
    });
  });

  mount(app, http, replayDeadLetters, async ({ body }, { identity, now }) => {
    const ids = [...new Set(body.deadLetterIds)];
    const found = new Map(
      (await deadLettersById(deps.db, identity.tenant, ids)).map((letter) => [letter.deadLetterId, letter]),
    );
    const results: ReplayResult[] = [];
    const replayable: DeadLetter[] = [];
    for (const deadLetterId of ids) {
      const letter = found.get(deadLetterId);
      if (!letter) results.push({ deadLetterId, status: "refused", reason: "not-found" });
      else if (letter.storedAt < now - MAX_REPLAY_AGE_MS)
        results.push({ deadLetterId, status: "refused", reason: "replay-too-old" });
      else {
        replayable.push(letter);
        results.push({ deadLetterId, status: "queued" });
      }
    }
    if (replayable.length > 0) {
      await deps.enqueue(
        replayable.map((letter) => ({
          v: 1,
          tenant: letter.tenant,
          events: [JSON.parse(letter.event)],
          pseudonymised: true,
        })),
      );
      await markReplayed(
        deps.db,
        identity.tenant,
        replayable.map((letter) => letter.deadLetterId),
        now,
      );
    }
    return Response.json({ results });
  });
}

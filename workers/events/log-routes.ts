import { checkIngested, listEventLog, readEventLog } from "../../models/contract/api/events.ts";
import type { EventLog } from "../adapters/event-log.ts";
import { Failure } from "../http/failure.ts";
import { type HttpDeps, mount } from "../http/mount.ts";
import type { App } from "../http/mount.ts";

export interface LogDeps {
  readonly log: EventLog;
  /** Whether each (source, id) has been applied, in the order of `ids`. */
  readonly ingested: (tenant: string, source: string, ids: readonly string[]) => Promise<boolean[]>;
}

/** Reading the event log, and asking what has been applied. */
export function mountEventLog(app: App, http: HttpDeps, deps: LogDeps): void {
  mount(app, http, listEventLog, async ({ query }, { identity }) =>
    Response.json(await deps.log.list(identity.tenant, query)),
  );

  mount(app, http, readEventLog, async ({ query }, { identity }) => {
    const body = await deps.log.read(identity.tenant, query.key);
    if (!body) return new Failure("object-not-found");
    // The object is gzip itself: `encodeBody: manual` keeps the runtime from compressing or decompressing it.
    return new Response(body, { headers: { "content-type": "application/gzip" }, encodeBody: "manual" });
  });

  mount(app, http, checkIngested, async ({ body }, { identity }) =>
    Response.json({ ingested: await deps.ingested(identity.tenant, body.source, body.ids) }),
  );
}

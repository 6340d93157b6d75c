import {
  cleanUpVectors as cleanUpVectorsRoute,
  writeVectors as writeVectorsRoute,
} from "../../models/contract/api/vectors.ts";
import { Failure } from "../http/failure.ts";
import { type App, type HttpDeps, mount } from "../http/mount.ts";
import { Unavailable } from "../unavailable.ts";
import { cleanUpVectors } from "./remove-vectors.ts";
import type { VectorsDeps } from "./deployed-index.ts";
import { writeVectors } from "./write-vectors.ts";

export function mountVectors(app: App, http: HttpDeps, deps: VectorsDeps): void {
  mount(app, http, writeVectorsRoute, async ({ params }, { identity }) => {
    return await orUnavailable(async () => {
      const written = await writeVectors(deps, { tenant: identity.tenant, ...params });
      if (written.ok) return Response.json(written.value);
      return new Failure(written.error.code, { detail: written.error.detail });
    });
  });

  mount(app, http, cleanUpVectorsRoute, async ({ params }, { identity }) => {
    return await orUnavailable(async () => Response.json(await cleanUpVectors(deps, identity.tenant, params.name)));
  });
}

async function orUnavailable(work: () => Promise<Response | Failure>): Promise<Response | Failure> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    return new Failure("unavailable", { reason: error.message, retryAfterSeconds: 5 });
  }
}

import type { ArtefactPlace } from "../adapters/model-store.ts";
import { err, type Result } from "../../models/result.ts";
import { type PublishDeps, type PublishError, publishVersion } from "./publish-version.ts";

export interface RegisterStoredDeps extends PublishDeps {
  readonly isRegistered: (place: ArtefactPlace) => Promise<boolean>;
}

/** Registers a version whose files and manifest lie in the bucket already, after the same checks as a publication through the API. */
export async function registerStored(
  deps: RegisterStoredDeps,
  place: ArtefactPlace,
  by: string,
): Promise<Result<{ created: boolean }, PublishError>> {
  if (await deps.isRegistered(place)) return { ok: true, value: { created: false } };
  const manifest = await deps.store.manifest(place);
  if (!manifest.ok) {
    const code = manifest.error.kind === "untrusted" ? "signature-refused" : "manifest-refused";
    return err({ code, detail: manifest.error.reason });
  }
  const { tenant, name } = place;
  const published = await publishVersion(deps, { tenant, name, manifest: manifest.value, by });
  return published.ok ? { ok: true, value: { created: true } } : published;
}

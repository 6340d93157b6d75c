import type { Config } from "../config.ts";

/** Durable Objects live where the configuration says, from the first one on. */
export function inJurisdiction<T extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<T>,
  config: Pick<Config, "jurisdiction">,
): DurableObjectNamespace<T> {
  return config.jurisdiction === null ? namespace : namespace.jurisdiction(config.jurisdiction);
}

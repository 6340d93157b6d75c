import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { unstable_readConfig } from "wrangler";

const root = resolve(import.meta.dirname, "../..");
const CONFIGS = ["wrangler.toml", "workers/ort/wrangler.toml"] as const;

/** Every binding of an environment by kind and name, without the resources behind it. */
function bindingsOf(config: string, env: string | undefined): string[] {
  const read = unstable_readConfig(
    { config: resolve(root, config), ...(env !== undefined && { env }) },
    { hideWarnings: true },
  );
  const named = (kind: string, entries: readonly object[] | undefined): string[] =>
    (entries ?? []).map(
      (entry) => `${kind} ${"binding" in entry ? String(entry.binding) : "name" in entry ? String(entry.name) : ""}`,
    );
  const bindings: string[] = [
    ...named("kv", read.kv_namespaces),
    ...named("d1", read.d1_databases),
    ...named("r2", read.r2_buckets),
    ...named("queue", read.queues.producers),
    ...named("object", read.durable_objects.bindings),
    ...named("service", read.services),
    ...named("ratelimit", read.ratelimits),
    ...named("vectorize", read.vectorize),
    ...(read.assets?.binding === undefined ? [] : [`assets ${read.assets.binding}`]),
    ...(read.version_metadata === undefined ? [] : [`version ${read.version_metadata.binding}`]),
    ...(read.queues.consumers ?? []).map(
      (consumer: { readonly queue: string }) => `consumer ${consumer.queue.replace(/-(staging|production)$/, "")}`,
    ),
    ...Object.keys(read.vars).map((name) => `var ${name}`),
  ];
  return bindings.toSorted();
}

describe("wrangler.toml", () => {
  it.each(CONFIGS.flatMap((config) => ["staging", "production"].map((env) => [config, env] as const)))(
    "%s binds in %s what it binds in development",
    (config, env) => {
      expect(bindingsOf(config, undefined).length).toBeGreaterThan(0);
      // Vectorize has no local form: development searches the embedded index.
      const only = config === "wrangler.toml" ? ["vectorize VECTORS"] : [];
      expect(bindingsOf(config, env)).toEqual([...bindingsOf(config, undefined), ...only].toSorted());
    },
  );

  it("is what worker-configuration.d.ts was generated from (npm run types)", () => {
    const args = [
      "types",
      "--check",
      "-c",
      "wrangler.toml",
      "-c",
      "workers/ort/wrangler.toml",
      "--include-runtime=false",
      "--strict-vars=false",
    ];
    const wrangler = resolve(root, "node_modules/wrangler/bin/wrangler.js");
    const { status, stdout, stderr } = spawnSync(process.execPath, [wrangler, ...args, "worker-configuration.d.ts"], {
      cwd: root,
      encoding: "utf8",
    });
    expect(status, `${stdout}\n${stderr}`).toBe(0);
  });

  it("holds no secret", () => {
    for (const config of CONFIGS) {
      for (const env of [undefined, "staging", "production"]) {
        const { vars } = unstable_readConfig(
          { config: resolve(root, config), ...(env !== undefined && { env }) },
          { hideWarnings: true },
        );
        expect(Object.keys(vars).filter((name) => /SECRET|KEY$|TOKEN|PASSWORD/.test(name))).toEqual([]);
      }
    }
  });
});

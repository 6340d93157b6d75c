import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { goldenAsText } from "./test/support/onnx/golden-as-text.ts";

/** Secrets of the main Worker under test; `test/support/credentials.ts` signs with the same ones. */
const TEST_SECRETS = {
  JWT_SECRET: "test-secret-test-secret-test-secret-1",
  PSEUDONYM_KEY: "test-pseudonym-key-test-pseudonym-key",
};

/** Stands in for the second Worker, whose own tests are in `workerd-ort`: it says that it has no runtime. */
const WITHOUT_ORT = `
import { WorkerEntrypoint } from "cloudflare:workers";
const failure = { ok: false, error: { tag: "runtime_failed", message: "no runtime in this test", retryable: true } };
export class OrtService extends WorkerEntrypoint {
  describe() { return failure; }
  run() { return failure; }
}
export default {};
`;

export default defineConfig({
  test: {
    projects: [
      {
        // Plain Node: the kernel, object cores, trainer stages, architecture. Other runtimes have their own project.
        test: {
          name: "node",
          environment: "node",
          include: ["test/node/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        // Entity shards and the feature store over them, inside workerd, without the rest of the Worker.
        plugins: [
          cloudflareTest({
            main: "./test/workerd/features/worker.ts",
            miniflare: {
              compatibilityDate: "2026-09-01",
              durableObjects: { ENTITY_SHARDS: { className: "EntityShard", useSQLite: true } },
              kvNamespaces: ["KV"],
            },
          }),
        ],
        test: {
          name: "workerd-features",
          include: ["test/workerd/features/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        // The main Worker with its own configuration: routes, queries on a migrated D1, objects and alarms, consumers.
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: "./wrangler.toml" },
            miniflare: {
              bindings: { ...TEST_SECRETS, TEST_MIGRATIONS: await readD1Migrations("d1/migrations") },
              workers: [{ name: "edgewise-ort", modules: true, script: WITHOUT_ORT, compatibilityDate: "2026-09-01" }],
            },
          })),
        ],
        test: {
          name: "workerd",
          include: ["test/workerd/app/**/*.test.ts"],
          setupFiles: ["test/workerd/app/apply-migrations.ts"],
          testTimeout: 60_000,
        },
      },
      {
        // The second Worker, inside workerd, with its own configuration file.
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./workers/ort/wrangler.toml" },
            miniflare: { bindings: { GOLDEN_EXPORTS: goldenAsText() } },
          }),
        ],
        test: {
          name: "workerd-ort",
          include: ["test/workerd/ort/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
      {
        // The built Workers in workerd, driven from Node as a user's machine drives them: real bundles, storage that stays.
        test: {
          name: "harness",
          environment: "node",
          include: ["test/harness/**/*.test.ts"],
          globalSetup: ["test/harness/built-workers.ts"],
          // A bound against hanging, not a measurement: a loaded machine may take minutes for what takes seconds.
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});

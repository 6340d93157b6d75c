import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

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
        // The second Worker, inside workerd, with its own configuration file.
        plugins: [cloudflareTest({ wrangler: { configPath: "./workers/ort/wrangler.toml" } })],
        test: {
          name: "workerd-ort",
          include: ["test/workerd/ort/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
    ],
  },
});

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

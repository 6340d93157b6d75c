import { defineConfig } from "vitest/config";

/** Plain Node: the kernel, object cores, trainer stages, architecture. Other runtimes have their own project. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          environment: "node",
          include: ["test/node/**/*.test.ts"],
          testTimeout: 60_000,
        },
      },
    ],
  },
});

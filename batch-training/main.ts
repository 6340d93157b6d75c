#!/usr/bin/env node
/** `edgewise`: the entry of the batch-training service. A command is imported only when it is asked for. */
import { defineCommand } from "citty";
import { runCli } from "./commands/run-cli.ts";

const edgewise = defineCommand({
  meta: { name: "edgewise", description: "Train, evaluate and publish the models of Edgewise" },
  subCommands: {
    start: async () => (await import("./commands/start.ts")).start,
    simulate: async () => (await import("./commands/send.ts")).simulate,
    import: async () => (await import("./commands/send.ts")).importData,
    "dev-secrets": async () => (await import("./commands/dev-secrets.ts")).devSecrets,
    train: async () => (await import("./commands/train.ts")).train,
    publish: async () => (await import("./commands/publish.ts")).publish,
    jobs: async () => (await import("./commands/jobs.ts")).jobs,
    worker: async () => (await import("./commands/worker.ts")).worker,
    keys: async () => (await import("./commands/keys.ts")).keys,
    runs: async () => (await import("./commands/runs.ts")).runs,
    models: async () => (await import("./commands/registry.ts")).models,
    promote: async () => (await import("./commands/registry.ts")).promote,
    rollback: async () => (await import("./commands/registry.ts")).rollback,
    "dead-letters": async () => (await import("./commands/registry.ts")).deadLetters,
    model: async () => (await import("./commands/model.ts")).model,
    features: async () => (await import("./commands/features.ts")).features,
    evaluate: async () => (await import("./commands/evaluate.ts")).evaluate,
  },
});

process.exitCode = await runCli(edgewise, process.argv.slice(2));

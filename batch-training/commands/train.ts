/** `edgewise train`: from the log of a running Worker to a published version. */
import { writeFileSync } from "node:fs";
import { defineCommand } from "citty";
import { connectionArgs } from "../client/connection.ts";
import { codeVersion } from "../local/code-version.ts";
import { DEFAULT_MATURITY_MS, trainFromLog } from "../pipeline/train-from-log.ts";
import { asUserError, connectOrExplain, signerOrExplain } from "./connection.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

const DAY_MS = 86_400_000;

const fraud = strictCommand({
  meta: { name: "fraud", description: "Train, gate, publish and promote the fraud model from the Worker's event log" },
  args: {
    seed: { type: "string", description: "of sampling", default: "1", valueHint: "N" },
    "maturity-days": {
      type: "string",
      description: "how long a chargeback may take",
      default: String(DEFAULT_MATURITY_MS / DAY_MS),
      valueHint: "DAYS",
    },
    promote: {
      type: "boolean",
      default: true,
      description: "make it serve when it passes (--no-promote: only publish)",
    },
    json: { type: "string", description: "write the result", valueHint: "FILE" },
    ...connectionArgs,
  },
  run: async ({ args }) => {
    const seed = wholeNumber("seed", args.seed, 0, 2 ** 31);
    const days = wholeNumber("maturity-days", args["maturity-days"], 1, 90);
    let stage = "";
    const result = await trainFromLog({
      client: connectOrExplain(args),
      seed,
      codeVersion: codeVersion(),
      maturityMs: days * DAY_MS,
      promote: args.promote,
      signer: signerOrExplain(args),
      onStage: (name, detail) => {
        if (name !== stage) console.log(`${name}: ${detail}`);
        stage = name;
      },
    }).catch(asUserError);
    console.log(`${result.events} events, ${result.rows} orders with mature labels, ${result.frauds} of them fraud`);
    for (const gate of result.gates?.gates ?? [])
      console.log(`  ${gate.passed ? "passed " : "REFUSED"}  ${gate.reason}`);
    if (args.json !== undefined) writeFileSync(args.json, `${JSON.stringify(result, null, 2)}\n`);
    if (result.manifest === null) throw new UserError(`Nothing was published: ${result.refusals.join("; ")}`);
    console.log(`${result.promoted ? "promoted" : "published"} ${result.manifest.name} ${result.manifest.version}`);
  },
});

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new UserError(`--${name} takes a whole number from ${min} to ${max}, not "${text}"`, 2);
  }
  return value;
}

export const train = defineCommand({ meta: { name: "train", description: "Train models" }, subCommands: { fraud } });

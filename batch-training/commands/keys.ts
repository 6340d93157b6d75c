/** `edgewise keys`: the pair that signs manifests. The private key stays with the trainer; the Worker gets the public one. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { defineCommand } from "citty";
import { generateSigningKey, openSigner, SIGNING_KEY_FILE_VARIABLE } from "../publish/signing.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

const generate = strictCommand({
  meta: { name: "generate", description: "Make a key pair that signs manifests (Ed25519)" },
  args: {
    out: {
      type: "string",
      description: "where the private key goes, readable by you alone",
      default: "edgewise-signing-key.pem",
      valueHint: "FILE",
    },
  },
  run: ({ args }) => {
    const file = resolve(args.out);
    if (existsSync(file))
      throw new UserError(`${file} exists. A private key is never overwritten; give another --out.`);
    const pem = generateSigningKey();
    try {
      writeFileSync(file, pem, { mode: 0o600, flag: "wx" });
    } catch (error) {
      throw new UserError(`${file} cannot be written: ${error instanceof Error ? error.message : String(error)}`);
    }
    const signer = openSigner(pem);
    console.log(
      [
        `key id       ${signer.keyId}`,
        `public key   ${signer.publicKey}`,
        `private key  ${file}`,
        "",
        `The trainer signs with it: ${SIGNING_KEY_FILE_VARIABLE}=${file}`,
        `The Worker trusts it: MODEL_PUBLIC_KEYS = "${signer.publicKey}" in wrangler.toml, beside the keys it trusts already.`,
      ].join("\n"),
    );
  },
});

const show = strictCommand({
  meta: { name: "show", description: "Key id and public key of a private key" },
  args: { file: { type: "positional", description: "the private key", valueHint: "FILE", required: true } },
  run: ({ args }) => {
    let pem: string;
    try {
      pem = readFileSync(args.file, "utf8");
    } catch {
      throw new UserError(`${args.file} cannot be read.`);
    }
    const signer = openOrExplain(pem);
    console.log(`${signer.keyId}  ${signer.publicKey}`);
  },
});

function openOrExplain(pem: string): ReturnType<typeof openSigner> {
  try {
    return openSigner(pem);
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error));
  }
}

export const keys = defineCommand({
  meta: { name: "keys", description: "Keys that sign manifests" },
  subCommands: { generate, show },
});

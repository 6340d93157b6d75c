import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import { generateSigningKey, type ManifestSigner, signerFromEnvironment } from "../publish/signing.ts";

/** What the events of this state were made from: another source, seed or scale is another history, and needs another state. */
export const RunParameters = z.object({
  source: z.enum(["shop", "cards", "retail"]),
  seed: z.int(),
  scale: z.number().positive(),
  /** Epoch milliseconds at which the history ends: fixed at the first start, so that a second one makes the same events. */
  end: z.int(),
  /** Imports only: the folder, and for cards the limit on days. */
  folder: z.string().nullable(),
  days: z.int().nullable(),
});
export type RunParameters = z.infer<typeof RunParameters>;

const Secrets = z.object({ JWT_SECRET: z.string().min(32), PSEUDONYM_KEY: z.string().min(32) });
export type Secrets = z.infer<typeof Secrets>;

/** Everything a local system keeps between starts, in one folder: storage of the Workers, secrets, what was sent. */
export class LocalState {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  get storageFolder(): string {
    return join(this.folder, "storage");
  }
  get buildFolder(): string {
    return join(this.folder, "build");
  }
  /** The private key that signs this state's models. */
  get signingKeyFile(): string {
    return join(this.folder, "signing-key.pem");
  }
  /** Stage outputs and run records of `edgewise train`. */
  get trainingFolder(): string {
    return join(this.folder, "training");
  }
  get ledgerFile(): string {
    return join(this.folder, "sent.json");
  }

  static reset(folder: string): void {
    rmSync(folder, { recursive: true, force: true });
  }

  /** The parameters of this state, recorded at the first start. @throws {Error} when they contradict the wanted ones */
  parameters(wanted: RunParameters): RunParameters {
    const file = join(this.folder, "run.json");
    if (!existsSync(file)) {
      writeAtomically(file, JSON.stringify(wanted));
      return wanted;
    }
    const recorded = RunParameters.parse(JSON.parse(readFileSync(file, "utf8")));
    for (const key of ["source", "seed", "scale", "folder", "days"] as const) {
      if (recorded[key] !== wanted[key]) {
        throw new Error(
          `This state was made with ${key} ${recorded[key]}, not ${wanted[key]}. Start with --reset to begin anew.`,
        );
      }
    }
    return recorded;
  }

  /** Development secrets, made once; readable by their owner only. */
  secrets(): Secrets {
    const file = join(this.folder, "secrets.json");
    if (!existsSync(file)) {
      // First: a state that has secrets and no key was made before models were signed, and stays without.
      writeAtomically(this.signingKeyFile, generateSigningKey());
      const secret = (): string => randomBytes(32).toString("base64url");
      writeAtomically(file, JSON.stringify({ JWT_SECRET: secret(), PSEUDONYM_KEY: secret() }));
      chmodSync(file, 0o600);
    }
    return Secrets.parse(JSON.parse(readFileSync(file, "utf8")));
  }

  /** Signs with this state's development key; null where a state is older than signing. */
  signer(): ManifestSigner | null {
    return existsSync(this.signingKeyFile) ? signerFromEnvironment({}, this.signingKeyFile) : null;
  }
}

/** A file is there whole or not at all, whenever the process is killed. */
export function writeAtomically(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  writeFileSync(temporary, text, { mode: 0o600 });
  renameSync(temporary, file);
}

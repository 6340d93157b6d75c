/** `edgewise dev-secrets`: what `npm run dev` needs before its first start. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { PROJECT_ROOT } from "../local/build-workers.ts";
import { developmentToken } from "../local/development-token.ts";
import { writeAtomically } from "../local/local-state.ts";
import { strictCommand } from "./run-cli.ts";
import { UserError } from "./user-error.ts";

export const devSecrets = strictCommand({
  meta: {
    name: "dev-secrets",
    description: "Make .dev.vars for `npm run dev` if it is missing, and print a token for it",
  },
  args: {},
  run: async () => {
    const file = join(PROJECT_ROOT, ".dev.vars");
    if (!existsSync(file)) {
      const secret = (): string => randomBytes(32).toString("base64url");
      writeAtomically(file, `JWT_SECRET=${secret()}\nPSEUDONYM_KEY=${secret()}\n`);
      console.log("Wrote .dev.vars with new development secrets.");
    }
    const secret = /^JWT_SECRET=(.+)$/m.exec(readFileSync(file, "utf8"))?.[1];
    if (secret === undefined) throw new UserError(".dev.vars has no JWT_SECRET. Delete the file to have it made anew.");
    console.log(`export TOKEN=${await developmentToken(secret, "dev", ["admin"])}`);
  },
});

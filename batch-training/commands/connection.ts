import { join, resolve } from "node:path";
import { type ApiClient, createApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import { connect, connectionOf, localSigningKeyFile } from "../client/connection.ts";
import { PROJECT_ROOT } from "../local/build-workers.ts";
import { type ManifestSigner, signerFromEnvironment } from "../publish/signing.ts";
import { UserError } from "./user-error.ts";

/** Where `npm start` keeps everything of this machine, and where commands find the server it runs. EDGEWISE_HOME names another place; empty is none. */
export const STATE_FOLDER = resolve(process.env["EDGEWISE_HOME"] || join(PROJECT_ROOT, ".edgewise"));

/** The client a command uses. @throws UserError when no Worker is known */
export function connectOrExplain(args: {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
}): ApiClient {
  try {
    return connect({ url: args.url, token: args.token, stateFolder: STATE_FOLDER, environment: process.env });
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), 2);
  }
}

/** Address and token of the Worker that a command hands on to other processes. @throws UserError when no Worker is known */
export function connectionOrExplain(args: {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
}): ReturnType<typeof connectionOf> {
  try {
    const connection = connectionOf({
      url: args.url,
      token: args.token,
      stateFolder: STATE_FOLDER,
      environment: process.env,
    });
    // An address that is none is said here and not by the process that gets it.
    createApiClient({ baseUrl: connection.baseUrl });
    return connection;
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), 2);
  }
}

/** What a command signs with: the environment's key, or that of the local server it talks to. @throws UserError when the key cannot be used */
export function signerOrExplain(args: { readonly url?: string | undefined }): ManifestSigner | null {
  try {
    const local = localSigningKeyFile({ url: args.url, stateFolder: STATE_FOLDER, environment: process.env });
    return signerFromEnvironment(process.env, local);
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), 2);
  }
}

/** For `.catch`: what the Worker refused is the user's to read, not a bug. */
export function asUserError(error: unknown): never {
  if (error instanceof ApiError) throw new UserError(error.message);
  throw error;
}

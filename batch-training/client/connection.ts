import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { type ApiClient, createApiClient } from "./api-client.ts";

/** What a running local server leaves for the commands of this project: where it answers and how to be let in. */
export const LocalServer = z.object({
  url: z.url(),
  token: z.string(),
  pid: z.int(),
  /** The private key whose manifests this server believes; none: it believes all. */
  signingKeyFile: z.string().nullable().default(null),
});
export type LocalServer = z.infer<typeof LocalServer>;

export const LOCAL_SERVER_FILE = "server.json";

export interface ConnectionArguments {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
  /** Folder of the local state. */
  readonly stateFolder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Arguments that every command which talks to a Worker takes. */
export const connectionArgs = {
  url: { type: "string", description: "the Worker; default: EDGEWISE_URL, else the local server", valueHint: "URL" },
  token: {
    type: "string",
    description: "token or API key; default: EDGEWISE_TOKEN, else the local server's",
    valueHint: "TOKEN",
  },
} as const;

/**
 * The Worker to talk to: the arguments, else EDGEWISE_URL and EDGEWISE_TOKEN, else the server that `npm start` runs here.
 * @throws {Error} that says what to give when there is none
 */
export function connect(args: ConnectionArguments): ApiClient {
  const { baseUrl, token } = connectionOf(args);
  return createApiClient({ baseUrl, ...(token !== undefined && { token }) });
}

/** Address and token of the Worker that `connect` talks to. @throws {Error} that says what to give when there is none */
export function connectionOf(args: ConnectionArguments): {
  readonly baseUrl: string;
  readonly token: string | undefined;
} {
  const local = readLocalServer(args.stateFolder);
  const baseUrl = args.url ?? args.environment["EDGEWISE_URL"] ?? local?.url;
  const token = args.token ?? args.environment["EDGEWISE_TOKEN"] ?? (baseUrl === local?.url ? local?.token : undefined);
  if (baseUrl === undefined) {
    throw new Error(
      'No Worker is known. Run "npm start", or give --url and --token (or EDGEWISE_URL and EDGEWISE_TOKEN).',
    );
  }
  return { baseUrl, token };
}

/** The signing key of the local server, if that is the Worker which the arguments name. */
export function localSigningKeyFile(args: Omit<ConnectionArguments, "token">): string | null {
  const local = readLocalServer(args.stateFolder);
  const baseUrl = args.url ?? args.environment["EDGEWISE_URL"] ?? local?.url;
  return local !== null && baseUrl === local.url ? local.signingKeyFile : null;
}

export function readLocalServer(stateFolder: string): LocalServer | null {
  try {
    return LocalServer.parse(JSON.parse(readFileSync(join(stateFolder, LOCAL_SERVER_FILE), "utf8")));
  } catch {
    return null;
  }
}

import { promoteModel, type RoutingRecord } from "../../models/contract/api/models.ts";
import { cleanUpVectors, type VersionVectors, writeVectors } from "../../models/contract/api/vectors.ts";
import { awaitVisible } from "../../models/engine/vector-search.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import { type HeldLease, leaseQuery } from "./held-lease.ts";

/** Calls that write or remove a part of the vectors: two million at ten thousand and four thousand a call. */
const MAX_PARTS = 500;
/** A part that fails is asked for again so often, because what it wrote until then is noted. */
const MAX_FAILURES = 10;
const RETRY_MS = 5_000;
/** Looks whether written vectors are visible: up to half an hour, where the service's documents speak of minutes. */
const WAIT = { firstPollMs: 1_000, longestPollMs: 15_000, polls: 120 };

/** One part takes the Worker up to half a minute. */
const PART_TIMEOUT_MS = 120_000;

const after = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

export interface PromoteOptions {
  readonly lease?: HeldLease | null;
  readonly after?: (milliseconds: number) => Promise<unknown>;
  /** Is told how far the vectors are, and what was left undone. */
  readonly notice?: (line: string) => void;
}

/**
 * Makes a version serve. Where the deployment searches a vector index and the version's vectors are not in it, they are written first, and those of versions that
 * no longer serve are removed afterwards; an interrupted promotion is simply repeated.
 * @throws {ApiError} with the Worker's reason when it refuses @throws {Error} where written vectors do not become visible; what serves stays as it is
 */
export async function promoteVersion(
  client: Pick<ApiClient, "call">,
  name: string,
  version: string,
  { lease = null, ...options }: PromoteOptions = {},
): Promise<RoutingRecord> {
  const promote = async (): Promise<RoutingRecord> =>
    (await client.call(promoteModel, { params: { name }, ...leaseQuery(lease), body: { version } })).body;
  try {
    return await promote();
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "vectors-not-ready") throw error;
  }
  await indexVersion(client, name, version, options);
  const record = await promote();
  await cleanUp(client, name, options);
  return record;
}

/** Has a version's vectors written and waits until queries see them. */
export async function indexVersion(
  client: Pick<ApiClient, "call">,
  name: string,
  version: string,
  { after: wait = after, notice = () => {} }: PromoteOptions = {},
): Promise<void> {
  const part = async (failures = 0): Promise<VersionVectors> => {
    try {
      return (await client.call(writeVectors, { params: { name, version }, timeoutMs: PART_TIMEOUT_MS })).body;
    } catch (error) {
      if (!(error instanceof ApiError) || !error.retryable || failures === MAX_FAILURES) throw error;
      await wait(error.retryAfterMs ?? RETRY_MS);
      return await part(failures + 1);
    }
  };
  const isSettled = ({ state, vectors, done }: VersionVectors): boolean =>
    state !== "removing" && (state !== "writing" || done >= vectors);
  for (let call = 0; call < MAX_PARTS; call++) {
    const now = await part();
    notice(`vectors of ${version.slice(0, 12)}: ${now.state}, ${now.done} of ${now.vectors}`);
    if (isSettled(now)) break;
    // What is being removed must be gone before it is written anew.
    if (now.state === "removing" && now.done >= now.vectors) await wait(WAIT.longestPollMs);
  }
  await awaitVisible({ visible: async () => (await part()).state !== "writing" }, "", {
    ...WAIT,
    after: async (milliseconds) => void (await wait(milliseconds)),
  });
}

/** What no longer serves costs money and answers nobody; a failure leaves it for the next promotion. */
async function cleanUp(client: Pick<ApiClient, "call">, name: string, { notice }: PromoteOptions): Promise<void> {
  try {
    await cleanUpOld(client, name);
  } catch (error) {
    notice?.(`vectors of earlier versions were not all removed: ${String(error)}`);
  }
}

/** Removes the vectors of versions that neither serve nor are gone back to. Returns whether nothing is left to remove now. */
export async function cleanUpOld(client: Pick<ApiClient, "call">, name: string): Promise<boolean> {
  let before = "";
  for (let call = 0; call < MAX_PARTS; call++) {
    const { body } = await client.call(cleanUpVectors, { params: { name }, timeoutMs: PART_TIMEOUT_MS });
    if (body.done) return true;
    // All that can be asked for was; that it is gone shows later.
    const left = JSON.stringify(body.removing);
    if (left === before) return false;
    before = left;
  }
  return false;
}

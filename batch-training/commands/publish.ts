/** `edgewise publish`: a version that was trained before, from its run or from a folder, through the Worker or straight into the bucket. */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { getModel, listRefusals } from "../../models/contract/api/models.ts";
import { Manifest } from "../../models/contract/manifest.ts";
import type { ApiClient } from "../client/api-client.ts";
import { ApiError } from "../client/api-error.ts";
import { connectionArgs } from "../client/connection.ts";
import { retryingClient } from "../client/retrying-client.ts";
import type { Publisher } from "../pipeline/deps.ts";
import { workerPublisher } from "../pipeline/node-deps.ts";
import { StageRefusal } from "../pipeline/pipeline-error.ts";
import { BucketError } from "../publish/bucket-error.ts";
import { bucketPublisher } from "../publish/bucket-publisher.ts";
import { openBucket } from "../publish/open-bucket.ts";
import { publishToBucket, checkFiles, MANIFEST_FILE } from "../publish/publish-to-bucket.ts";
import { type ModelFileContent, versionOfContent } from "../publish/publish-model.ts";
import type { ManifestSigner } from "../publish/signing.ts";
import { connectOrExplain, signerOrExplain } from "./connection.ts";
import { artefactOfRun } from "./run-artefact.ts";
import { strictCommand } from "./run-cli.ts";
import { homeOf, wholeNumber } from "./train.ts";
import { UserError } from "./user-error.ts";

const option = (description: string, valueHint: string) => ({ type: "string", description, valueHint }) as const;
const CALL_ATTEMPTS = 6;
const POLL_MS = 1_000;

export const publish = strictCommand({
  meta: { name: "publish", description: "Publish a version that was trained before" },
  args: {
    run: option("of this run: its id, a part of it, its version, or latest", "RUN"),
    dir: option("from this folder, as `edgewise train --out` writes it", "FOLDER"),
    to: { ...option("through the Worker, or straight into the bucket", "worker|s3"), default: "worker" },
    tenant: { ...option("with --to s3: whose part of the bucket", "TENANT"), default: "default" },
    register: {
      type: "boolean",
      default: true,
      description: "with --to s3: ask the Worker to register it (--no-register: R2's notification does)",
    },
    wait: { ...option("with --no-register: wait so long for the registration", "SECONDS"), default: "0" },
    promote: { type: "boolean", default: false, description: "make it serve" },
    home: option("where runs lie; default: the local state", "FOLDER"),
    ...connectionArgs,
  },
  run: async ({ args }) => {
    if ((args.run === undefined) === (args.dir === undefined))
      throw new UserError("give either --run RUN or --dir FOLDER: what is to be published", 2);
    if (args.to !== "worker" && args.to !== "s3") throw new UserError(`--to takes worker or s3, not "${args.to}"`, 2);
    if (args.promote && !args.register)
      throw new UserError("--promote needs the Worker to know the version; leave out --no-register", 2);
    const waitMs = wholeNumber("wait", args.wait, [0, 3_600]) * 1_000;
    const signer = signerOrExplain(args);
    const artefact =
      args.dir === undefined
        ? await artefactOfRun({ home: homeOf(args.home), run: args.run ?? "", args })
        : readArtefact(resolve(args.dir));
    const client = args.to === "worker" || args.register || waitMs > 0 ? patient(connectOrExplain(args)) : null;
    await explained(() => handOver(artefact, { ...args, to: args.to, client, signer, waitMs }));
  },
});

export interface Artefact {
  readonly manifest: Manifest;
  readonly files: readonly ModelFileContent[];
}

interface HandOver {
  readonly to: string;
  readonly tenant: string;
  readonly register: boolean;
  readonly promote: boolean;
  readonly client: { readonly api: Pick<ApiClient, "call">; readonly url: string } | null;
  readonly signer: ManifestSigner | null;
  readonly waitMs: number;
}

async function handOver({ manifest, files }: Artefact, options: HandOver): Promise<void> {
  const { client, signer, register, promote } = options;
  const { name, version } = manifest;
  if (options.to === "s3" && !register) {
    const bucket = openBucketOrExplain();
    await publishToBucket(bucket, options.tenant, signer?.sign(manifest) ?? manifest, files);
    console.log(`stored ${name} ${version} in ${bucket.address}`);
    if (client && options.waitMs > 0) await untilRegistered(client.api, manifest, options.waitMs);
    return;
  }
  if (client === null) throw new Error("a publication through the Worker has a Worker");
  const publisher = publisherOf(options, client, signer);
  await publisher.publish(manifest, files);
  await publisher.register(manifest, { promote });
  console.log(`${promote ? "promoted" : "published"} ${name} ${version}`);
}

function publisherOf(
  options: HandOver,
  client: NonNullable<HandOver["client"]>,
  signer: ManifestSigner | null,
): Publisher {
  const publisher = workerPublisher(client.api, client.url, signer);
  if (options.to === "worker") return publisher;
  const bucket = openBucketOrExplain();
  return bucketPublisher({
    bucket,
    tenant: options.tenant,
    signer,
    worker: { client: client.api, publisher, lease: null },
  });
}

function openBucketOrExplain(): ReturnType<typeof openBucket> {
  try {
    return openBucket(process.env);
  } catch (error) {
    throw new UserError(error instanceof Error ? error.message : String(error), 2);
  }
}

/** Until the notification of the bucket has led to a registration, or to a reason against it. */
async function untilRegistered(client: Pick<ApiClient, "call">, manifest: Manifest, waitMs: number): Promise<void> {
  const { name, version } = manifest;
  const deadline = performance.now() + waitMs;
  for (;;) {
    const versions = await client.call(getModel, { params: { name } }).then(
      ({ body }) => body.versions,
      (error: unknown) => {
        if (error instanceof ApiError && error.code === "model-not-found") return [];
        throw error;
      },
    );
    if (versions.some((entry) => entry.version === version)) break;
    const { body } = await client.call(listRefusals, { params: { name } });
    const refusal = body.refusals.find((entry) => entry.version === version);
    if (refusal) throw new UserError(`${name} ${version} was refused: ${refusal.detail} (${refusal.code})`);
    if (performance.now() > deadline) {
      throw new UserError(
        `${name} ${version} is stored and was not registered within ${waitMs / 1_000} s. Does the bucket notify the queue? (wrangler r2 bucket notification list)`,
      );
    }
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  console.log(`registered ${name} ${version}`);
}

function patient(client: ApiClient): NonNullable<HandOver["client"]> {
  const sleep = (milliseconds: number): Promise<void> => new Promise((done) => setTimeout(done, milliseconds));
  const onRetry = (error: ApiError): void => console.error(`edgewise: ${error.message} Trying again.`);
  return {
    api: retryingClient(client, { attempts: CALL_ATTEMPTS, sleep, random: Math.random, onRetry }),
    url: client.baseUrl,
  };
}

/** A folder with a manifest and its files. @throws UserError that names what is missing or wrong */
export function readArtefact(folder: string): Artefact {
  const manifest = Manifest.safeParse(jsonOf(join(folder, MANIFEST_FILE)));
  if (!manifest.success) {
    const issue = manifest.error.issues[0];
    throw new UserError(
      `${join(folder, MANIFEST_FILE)} is no manifest: /${issue?.path.map(String).join("/")} ${issue?.message}`,
    );
  }
  const version = versionOfContent(manifest.data);
  if (version !== manifest.data.version) {
    throw new UserError(
      `${join(folder, MANIFEST_FILE)} was changed: it says version ${manifest.data.version}, and its content is ${version}`,
    );
  }
  const names = new Set(readdirSync(folder));
  const files = manifest.data.files.flatMap(({ path }) =>
    names.has(path) ? [{ path, bytes: new Uint8Array(readFileSync(join(folder, path))) }] : [],
  );
  try {
    checkFiles(manifest.data, files);
  } catch (error) {
    throw new UserError(`${folder}: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { manifest: manifest.data, files };
}

function jsonOf(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    throw new UserError(
      `${file} cannot be read. \`edgewise train --out FOLDER\` writes manifest, model and card into one folder.`,
    );
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new UserError(`${file} is not JSON`);
  }
}

/** What the Worker, the bucket or the registry refuses is the user's to read, not a bug. */
async function explained(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const isKnown = error instanceof ApiError || error instanceof BucketError || error instanceof StageRefusal;
    throw isKnown ? new UserError(error.message) : error;
  }
}

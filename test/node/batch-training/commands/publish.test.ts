import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { publish } from "../../../../batch-training/commands/publish.ts";
import { runCli } from "../../../../batch-training/commands/run-cli.ts";
import { generateSigningKey, openSigner } from "../../../../batch-training/publish/signing.ts";
import { canonicalJson } from "../../../../models/contract/canonical-json.ts";
import { Manifest } from "../../../../models/contract/manifest.ts";
import { amountModel, MODEL_FILE } from "../../../support/amount-model.ts";
import { S3Server } from "../../../support/s3/s3-server.ts";

const CREDENTIALS = { accessKeyId: "AKIDTEST", secretAccessKey: "secret-of-the-test" };
const model = amountModel();
const { manifest } = model;
const signingKey = generateSigningKey();
const folders: string[] = [];
const out: string[] = [];
const errors: string[] = [];
let s3 = new S3Server("models", CREDENTIALS);
/** What the Worker knows of the model, and what it was asked. */
const worker = {
  versions: [] as object[],
  refusals: [] as object[],
  asked: [] as string[],
  server: null as Server | null,
};

/** A folder as `edgewise train --out` writes it, with changes. */
function artefact(change: { manifest?: unknown; model?: Uint8Array | null } = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "edgewise-artefact-"));
  folders.push(folder);
  writeFileSync(join(folder, "manifest.json"), JSON.stringify(change.manifest ?? manifest, null, 2));
  if (change.model !== null) writeFileSync(join(folder, MODEL_FILE), change.model ?? model.bytes);
  return folder;
}

const run = (...words: string[]): Promise<0 | 1 | 2> => runCli(publish, words);
const direct = (folder: string, ...words: string[]): Promise<0 | 1 | 2> =>
  run("--dir", folder, "--to", "s3", "--no-register", ...words);

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation((line: string) => void out.push(line));
  vi.spyOn(console, "error").mockImplementation((line: string) => void errors.push(line));
  const server = createServer((request, response) => {
    worker.asked.push(`${request.method} ${request.url}`);
    const body = request.url?.endsWith("/refusals")
      ? { refusals: worker.refusals }
      : { name: manifest.name, kind: "fraud", routing: null, versions: worker.versions };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  vi.stubEnv("EDGEWISE_URL", `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`);
  vi.stubEnv("EDGEWISE_TOKEN", "token");
  worker.server = server;
});

beforeEach(async () => {
  s3 = new S3Server("models", CREDENTIALS);
  vi.stubEnv("EDGEWISE_S3_ENDPOINT", await s3.start());
  vi.stubEnv("EDGEWISE_S3_BUCKET", "models");
  vi.stubEnv("AWS_ACCESS_KEY_ID", CREDENTIALS.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", CREDENTIALS.secretAccessKey);
  vi.stubEnv("EDGEWISE_SIGNING_KEY", signingKey);
  out.length = errors.length = worker.versions.length = worker.refusals.length = worker.asked.length = 0;
});

afterEach(() => s3.stop());
afterAll(() => {
  worker.server?.close();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe("edgewise publish --dir --to s3", () => {
  it("stores files and signed manifest under the tenant, and says so", async () => {
    expect(await direct(artefact(), "--tenant", "acme")).toBe(0);
    const folder = `acme/models/${manifest.name}/${manifest.version}`;
    expect([...s3.objects.keys()]).toEqual([`${folder}/${MODEL_FILE}`, `${folder}/manifest.json`]);
    const stored = Manifest.parse(JSON.parse(new TextDecoder().decode(s3.objects.get(`${folder}/manifest.json`))));
    expect(canonicalJson(stored)).toBe(canonicalJson(openSigner(signingKey).sign(manifest)));
    expect(out).toEqual([expect.stringContaining(`stored ${manifest.name} ${manifest.version} in`)]);
    expect(worker.asked).toEqual([]);
  });

  it("waits for the registration by the notification, and tells of a refusal", async () => {
    const summary = {
      version: manifest.version,
      status: "registered",
      kind: "fraud",
      engine: "compact",
      registeredAt: 1,
      metrics: [],
    };
    worker.versions.push(summary);
    expect(await direct(artefact(), "--wait", "5")).toBe(0);
    expect(out.at(-1)).toBe(`registered ${manifest.name} ${manifest.version}`);
    worker.versions.length = 0;
    worker.refusals.push({
      version: manifest.version,
      code: "signature-refused",
      detail: "the manifest is not signed",
      refusedAt: 1,
    });
    expect(await direct(artefact(), "--wait", "5")).toBe(1);
    expect(errors.at(-1)).toContain("was refused: the manifest is not signed (signature-refused)");
  });

  it.each<[string, () => string, string]>([
    ["no manifest", () => tmpdir(), "manifest.json cannot be read. `edgewise train --out FOLDER` writes"],
    ["a manifest that is none", () => artefact({ manifest: { v: 1 } }), "is no manifest: /name"],
    [
      "a manifest that was changed",
      () => artefact({ manifest: { ...manifest, policy: { reviewAt: 0.1, declineAt: 0.2 } } }),
      `was changed: it says version ${manifest.version}, and its content is`,
    ],
    ["a file that is missing", () => artefact({ model: null }), `${MODEL_FILE} is missing: the manifest lists it`],
    [
      "a file that is another",
      () => artefact({ model: Uint8Array.of(1) }),
      `${MODEL_FILE} is not the file that the manifest`,
    ],
  ])("1: %s, and nothing is sent", async (_what, folder, message) => {
    expect(await direct(folder())).toBe(1);
    expect(errors.join("\n")).toContain(message);
    expect(s3.received).toEqual([]);
  });

  it("1: a server that refuses, in its words and with what to do", async () => {
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "another");
    expect(await direct(artefact())).toBe(1);
    expect(errors.join("\n")).toMatch(/SignatureDoesNotMatch.*The secret access key is not the access key's/);
  });

  it.each<[string, string[], string]>([
    ["neither run nor folder", ["--to", "worker"], "give either --run RUN or --dir FOLDER"],
    ["both", ["--run", "latest", "--dir", "x"], "give either --run RUN or --dir FOLDER"],
    ["another place", ["--dir", "x", "--to", "ftp"], '--to takes worker or s3, not "ftp"'],
    [
      "promotion of what nobody registers",
      ["--dir", "x", "--to", "s3", "--no-register", "--promote"],
      "--promote needs",
    ],
  ])("2: %s", async (_what, words, message) => {
    expect(await run(...words)).toBe(2);
    expect(errors.join("\n")).toContain(message);
  });

  it("2: names every variable that is missing", async () => {
    vi.stubEnv("EDGEWISE_S3_BUCKET", "");
    vi.stubEnv("AWS_ACCESS_KEY_ID", "");
    expect(await direct(artefact())).toBe(2);
    expect(errors.join("\n")).toContain("needs EDGEWISE_S3_BUCKET, AWS_ACCESS_KEY_ID:");
  });

  it("1: a run that is not there", async () => {
    expect(await run("--run", "none", "--home", artefact())).toBe(1);
    expect(errors.join("\n")).toContain("no run is called none");
  });
});

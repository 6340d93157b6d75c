import { AwsClient } from "aws4fetch";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Bucket, type BucketOptions } from "../../../../batch-training/publish/bucket.ts";
import { publishToBucket } from "../../../../batch-training/publish/publish-to-bucket.ts";
import { generateSigningKey, openSigner } from "../../../../batch-training/publish/signing.ts";
import { canonicalJson } from "../../../../models/contract/canonical-json.ts";
import { manifestContent } from "../../../../models/contract/manifest.ts";
import { amountModel } from "../../../support/amount-model.ts";
import { manifestOf } from "../../../support/test-manifest.ts";
import { S3Server } from "../../../support/s3/s3-server.ts";
import { readAuthorization, sha256, signatureOf } from "../../../support/s3/signature-v4.ts";

/** Of Amazon's examples; their secret is published with them. */
const EXAMPLE = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** Amazon S3 API reference, "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk". */
const PUBLISHED = [
  {
    name: "GET Object",
    method: "GET",
    path: "/test.txt",
    headers: { range: "bytes=0-9", "x-amz-content-sha256": EMPTY },
    signedHeaders: "host;range;x-amz-content-sha256;x-amz-date",
    signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  },
  {
    name: "PUT Object",
    method: "PUT",
    path: "/test$file.text",
    headers: {
      date: "Fri, 24 May 2013 00:00:00 GMT",
      "x-amz-content-sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
    },
    signedHeaders: "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
    signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  },
  {
    name: "GET Bucket Lifecycle",
    method: "GET",
    path: "/?lifecycle",
    headers: { "x-amz-content-sha256": EMPTY },
    signedHeaders: "host;x-amz-content-sha256;x-amz-date",
    signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
  },
  {
    name: "Get Bucket (List Objects)",
    method: "GET",
    path: "/?max-keys=2&prefix=J",
    headers: { "x-amz-content-sha256": EMPTY },
    signedHeaders: "host;x-amz-content-sha256;x-amz-date",
    signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
  },
] as const;

describe("AWS Signature Version 4", () => {
  it.each(PUBLISHED)("$name: client and test server calculate what Amazon published", async (example) => {
    const client = new AwsClient({ ...EXAMPLE, service: "s3", region: "us-east-1" });
    const signed = await client.sign(`https://examplebucket.s3.amazonaws.com${example.path}`, {
      method: example.method,
      headers: example.headers,
      aws: { allHeaders: true, datetime: "20130524T000000Z" },
    });
    const header = signed.headers.get("authorization") ?? "";
    const authorization = readAuthorization(header);
    expect(authorization).toMatchObject({
      signature: example.signature,
      signedHeaders: example.signedHeaders.split(";"),
    });
    const headers = {
      ...example.headers,
      host: "examplebucket.s3.amazonaws.com",
      "x-amz-date": "20130524T000000Z",
    };
    const request = { method: example.method, target: example.path, headers };
    const checked = authorization && signatureOf(request, authorization, EXAMPLE.secretAccessKey);
    expect(checked).toBe(example.signature);
  });
});

const server = { s3: new S3Server("models", EXAMPLE), url: "" };
const waits: number[] = [];
beforeEach(async () => {
  server.s3 = new S3Server("models", EXAMPLE);
  server.url = await server.s3.start();
  waits.length = 0;
});
afterEach(() => server.s3.stop());

function bucket(options: Partial<BucketOptions> = {}): Bucket {
  return new Bucket({
    endpoint: server.url,
    bucket: "models",
    ...EXAMPLE,
    sleep: async (milliseconds) => void waits.push(milliseconds),
    random: () => 1,
    ...options,
  });
}

const model = amountModel();
const signer = openSigner(generateSigningKey());
const manifest = signer.sign(model.manifest);
const files = [{ path: "model.onnx", bytes: model.bytes }];
const folder = `default/models/${manifest.name}/${manifest.version}`;
const publish = (to = bucket()) => publishToBucket(to, "default", manifest, files);
const puts = () => server.s3.received.filter(({ method }) => method === "PUT");

describe("publishing into a bucket", () => {
  it("stores the files, then the manifest, byte for byte; again, it sends nothing", async () => {
    expect((await publish()).outcomes.map(({ outcome }) => outcome)).toEqual(["created", "created"]);
    expect(puts().map(({ key }) => key)).toEqual([`${folder}/model.onnx`, `${folder}/manifest.json`]);
    expect(server.s3.objects.get(`${folder}/model.onnx`)).toEqual(model.bytes);
    const stored = server.s3.objects.get(`${folder}/manifest.json`);
    expect(new TextDecoder().decode(stored)).toBe(canonicalJson(manifest));
    expect((await publish()).outcomes.map(({ outcome }) => outcome)).toEqual(["same", "same"]);
    expect(puts()).toHaveLength(2);
  });

  it("checks by reading back where the server does not tell a checksum", async () => {
    server.s3.tellsChecksum = false;
    await publish();
    expect(server.s3.received.filter(({ method }) => method === "GET").map(({ key }) => key)).toEqual([
      `${folder}/model.onnx`,
      `${folder}/manifest.json`,
    ]);
  });

  it("law: immutable artefacts — other bytes under a name that is taken stay, and no manifest appears", async () => {
    server.s3.objects.set(`${folder}/model.onnx`, Uint8Array.of(1, 2, 3));
    await expect(publish()).rejects.toThrow(
      `${folder}/model.onnx exists with other content (SHA-256 ${sha256(Uint8Array.of(1, 2, 3))}`,
    );
    expect([...server.s3.objects.keys()]).toEqual([`${folder}/model.onnx`]);
  });

  it("an interruption before the manifest leaves no version; repeated, it sends only what is missing", async () => {
    server.s3.fault = (method, key) => (method === "PUT" && key.endsWith("manifest.json") ? "cut" : null);
    await expect(publish()).rejects.toThrow("cannot be reached");
    expect([...server.s3.objects.keys()]).toEqual([`${folder}/model.onnx`]);
    server.s3.fault = () => null;
    server.s3.received.length = 0;
    await publish();
    expect(puts().map(({ key }) => key)).toEqual([`${folder}/manifest.json`]);
  });

  it("finds its own object where the answer to a put was lost", async () => {
    let lost = 0;
    server.s3.fault = (method) => (method === "PUT" && lost++ === 0 ? "lost" : null);
    expect((await publish()).outcomes[0]).toMatchObject({ outcome: "same" });
    expect(server.s3.objects.size).toBe(2);
  });

  it.each([[500], [503], [429], ["cut" as const]])(
    "repeats after %s, waiting twice as long each time",
    async (fault) => {
      let faults = 0;
      server.s3.fault = () => (faults++ < 3 ? fault : null);
      await publish();
      expect(waits).toEqual([500, 1_000, 2_000]);
    },
  );

  it("gives up after six attempts", async () => {
    server.s3.fault = () => 503;
    await expect(publish()).rejects.toMatchObject({ name: "BucketError", status: 503 });
    expect(server.s3.received).toHaveLength(6);
  });

  it("stops at once when it is cancelled", async () => {
    const stop = new AbortController();
    server.s3.fault = () => {
      stop.abort(new Error("cancelled"));
      return 503;
    };
    await expect(publish(bucket({ signal: stop.signal }))).rejects.toThrow("cancelled");
    expect(server.s3.received.length).toBeLessThanOrEqual(1);
  });

  it("one publication at the same time as another is one publication", async () => {
    const outcomes = await Promise.all([publish(), publish(), publish()]);
    expect(server.s3.objects.size).toBe(2);
    expect(outcomes.flatMap((done) => done.outcomes).filter(({ outcome }) => outcome === "created")).toHaveLength(2);
  });

  it("the same version signed by another key stays, and the message says where to replace it", async () => {
    await publish();
    const other = openSigner(generateSigningKey()).sign(model.manifest);
    const again = publishToBucket(bucket(), "default", other, files);
    await expect(again).rejects.toThrow(`is signed with key ${signer.keyId}. Publish it through the Worker`);
  });
});

describe("errors say what to mend", () => {
  it.each<[string, Partial<BucketOptions>, string]>([
    ["a wrong secret", { secretAccessKey: "wrong" }, "The secret access key is not the access key's"],
    ["an unknown key", { accessKeyId: "AKIDOTHER" }, "does not know this access key"],
    ["another bucket", { bucket: "others" }, "There is no such bucket"],
    ["an unexpected session token", { sessionToken: "t" }, "InvalidToken"],
  ])("%s", async (_what, options, message) => {
    await expect(publish(bucket(options))).rejects.toThrow(message);
    expect(waits).toEqual([]);
  });

  it("a wrong clock", async () => {
    server.s3.now = () => Date.now() + 3_600_000;
    await expect(publish()).rejects.toThrow("This machine's clock is wrong");
  });

  it("nobody there", async () => {
    await server.s3.stop();
    await expect(publish()).rejects.toThrow(/127\.0\.0\.1:\d+\/models cannot be reached/);
    server.s3 = new S3Server("models", EXAMPLE);
    server.url = await server.s3.start();
  });

  it("an endpoint with the bucket in it, or none", () => {
    for (const endpoint of ["https://account.example.com/models", "account.example.com", "s3://models"])
      expect(() => bucket({ endpoint })).toThrow("is no S3 endpoint");
  });

  it("files that are not the manifest's: nothing is sent", async () => {
    const send = (given: typeof files) => publishToBucket(bucket(), "default", manifest, given);
    await expect(send([])).rejects.toThrow("model.onnx is missing");
    await expect(send([{ path: "model.onnx", bytes: Uint8Array.of(1) }])).rejects.toThrow("is not the file");
    await expect(send([...files, { path: "extra.bin", bytes: Uint8Array.of(1) }])).rejects.toThrow(
      "extra.bin is not among",
    );
    expect(server.s3.received).toEqual([]);
  });

  it("a stored manifest that is damaged", async () => {
    server.s3.objects.set(`${folder}/manifest.json`, new TextEncoder().encode("{}"));
    await expect(publish()).rejects.toThrow("exists with other content");
    const content = manifestContent(model.manifest);
    const changed = manifestOf({ ...content, engineReason: "another" });
    server.s3.objects.set(`${folder}/manifest.json`, new TextEncoder().encode(canonicalJson(changed)));
    await expect(publish()).rejects.toThrow("exists with other content");
  });
});

describe("the test server", () => {
  it("takes no request that is unsigned, changed on the way, or whose body is another", async () => {
    const client = new AwsClient({ ...EXAMPLE, service: "s3", region: "auto" });
    const url = `${server.url}/models/key`;
    expect((await fetch(url)).status).toBe(400);
    const signed = await client.sign(url, {
      method: "PUT",
      body: "abc",
      headers: { "x-amz-content-sha256": sha256("abc"), "content-type": "text/plain" },
      aws: { allHeaders: true },
    });
    const send = (to: string, body: string) => fetch(to, { method: "PUT", headers: signed.headers, body });
    expect((await send(`${url}2`, "abc")).status).toBe(403);
    expect((await send(url, "abd")).status).toBe(400);
    const headers = new Headers(signed.headers);
    headers.set("if-none-match", "*");
    expect((await fetch(url, { method: "PUT", headers, body: "abc" })).status).toBe(403);
    expect(server.s3.objects.size).toBe(0);
    expect((await send(url, "abc")).status).toBe(200);
  });
});

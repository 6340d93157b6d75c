import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { InboundEvent } from "../../../../models/contract/events.ts";

const MAIN = resolve(import.meta.dirname, "../../../../batch-training/main.ts");

let folder = "";
let server: Server;
let url = "";
/** What the server has applied, by identity. */
let applied = new Map<string, InboundEvent>();
let posted = 0;
/** Ends the connection after so many batches, once. */
let breaksAfter = Number.POSITIVE_INFINITY;
let answersWith = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
      if (answersWith !== 0) {
        const problem = { type: "/", title: "No.", status: answersWith, code: "forbidden", requestId: "r" };
        response.writeHead(answersWith, { "content-type": "application/problem+json" }).end(JSON.stringify(problem));
      } else if (request.url === "/api/v1/events") {
        posted += 1;
        if (posted === breaksAfter) {
          response.destroy();
          return;
        }
        const events = body as InboundEvent[];
        for (const event of events) applied.set(`${event.source} ${event.id}`, event);
        const results = events.map(({ id }, index) => ({ index, id, status: "accepted" }));
        response.writeHead(202).end(JSON.stringify({ accepted: events.length, refused: 0, results }));
      } else {
        const { source, ids } = body as { source: string; ids: string[] };
        response.end(JSON.stringify({ ingested: ids.map((id) => applied.has(`${source} ${id}`)) }));
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "edgewise-send-"));
  applied = new Map();
  posted = 0;
  breaksAfter = Number.POSITIVE_INFINITY;
  answersWith = 0;
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function edgewise(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const all = [MAIN, ...args, "--url", url, "--token", "t", "--state", join(folder, "state")];
  return await new Promise((done) => {
    execFile(process.execPath, all, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      done({ code, stdout, stderr });
    });
  });
}

async function reportOf(name: string): Promise<{ sent: Record<string, number>; import: Record<string, unknown> }> {
  return JSON.parse(await readFile(join(folder, name), "utf8")) as never;
}

describe("edgewise simulate", () => {
  const options = ["--scale", "0.02", "--days", "20", "--seed", "s"];

  it("sends a shop's past, and a second call finds it done", async () => {
    const first = await edgewise("simulate", ...options, "--json", join(folder, "1.json"));
    expect(first).toMatchObject({ code: 0 });
    const { sent } = await reportOf("1.json");
    expect(sent["applied"]).toBe(applied.size);
    expect(applied.size).toBeGreaterThan(300);
    const before = posted;
    expect(await edgewise("simulate", ...options, "--json", join(folder, "2.json"))).toMatchObject({ code: 0 });
    expect(posted).toBe(before);
    expect((await reportOf("2.json")).sent).toMatchObject({ applied: applied.size, resumed: applied.size, read: 0 });
  });

  it("goes on over a broken connection", async () => {
    breaksAfter = 1;
    const run = await edgewise("simulate", ...options, "--json", join(folder, "1.json"));
    expect(run.code).toBe(0);
    expect((await reportOf("1.json")).sent).toMatchObject({ applied: applied.size, unapplied: 0 });
  });

  it("says what is wrong with the token, and exits with 1", async () => {
    answersWith = 403;
    const run = await edgewise("simulate", ...options);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("forbidden");
  });

  it.each([
    [["--scale", "none"], "--scale takes a number"],
    [["--scale", "0"], "scale must be from 0.01"],
    [["--days", "3"], "14 to 365"],
  ])("refuses %o as a wrong command line", async (wrong, message) => {
    const run = await edgewise("simulate", ...wrong);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain(message);
  });
});

describe("edgewise import cards", () => {
  const rows = [
    "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD",
    "1,2018-05-01 00:00:00,1,1,10.00,1",
    "2,2018-05-09 00:00:00,1,1,10.00,0",
    "3,2018-05-10 00:00:00,1,1,much,0",
    "4,2018-05-20 00:00:00,1,1,10.00,0",
  ];

  it("sends payments and chargebacks, and tells what it refused", async () => {
    await writeFile(join(folder, "c.csv"), rows.join("\n"));
    const run = await edgewise("import", "cards", folder, "--json", join(folder, "1.json"));
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("4 rows, 3 accepted, 1 refused (1 bad-amount)");
    expect(run.stdout).toContain("line 4: bad-amount");
    expect([...applied.values()].map((event) => event.id).toSorted()).toEqual(["cb-1", "tx-1", "tx-2", "tx-4"]);
    expect(await reportOf("1.json")).toMatchObject({
      import: { read: { rows: 4, accepted: 3, refused: 1 }, made: { transactions: 3, frauds: 1, chargebacks: 1 } },
      sent: { applied: 4 },
    });
  });

  it("says that days limit it", async () => {
    await writeFile(join(folder, "c.csv"), rows.join("\n"));
    const run = await edgewise("import", "cards", folder, "--days", "12", "--json", join(folder, "1.json"));
    expect(run.stdout).toContain("limited to the last 12 days");
    expect((await reportOf("1.json")).import).toMatchObject({ made: { leftOut: 1, transactions: 2 } });
  });

  it("exits with 1 and the reason when there is nothing to import", async () => {
    const run = await edgewise("import", "cards", join(folder, "absent"));
    expect(run.code).toBe(1);
    expect(run.stderr).toContain("no such file or folder");
  });
});

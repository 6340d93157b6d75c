import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../../../..");
const service = join(root, "batch-training/service");
const folder = mkdtempSync(join(tmpdir(), "edgewise-image-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the container file", () => {
  it("copies everything that the service needs to start", () => {
    const text = readFileSync(join(service, "Containerfile"), "utf8");
    const copied = [...text.matchAll(/^COPY (?!--from)(.+) (\S+)$/gm)].flatMap(([, sources = ""]) =>
      sources.split(" "),
    );
    expect(copied).toContain("batch-training");
    for (const source of copied) cpSync(join(root, source), join(folder, source), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    const entry = /^ENTRYPOINT (\[.+\])$/m.exec(text)?.[1] ?? "[]";
    const [, ...words] = JSON.parse(entry) as string[];
    const environment = { ...process.env, EDGEWISE_HOME: join(folder, "home"), EDGEWISE_URL: "", EDGEWISE_TOKEN: "" };
    const run = (...more: string[]) =>
      spawnSync(process.execPath, [...words.map((word) => word.replace("/var/lib", folder)), ...more], {
        cwd: folder,
        env: environment,
        encoding: "utf8",
      });
    expect(run("--help")).toMatchObject({ status: 0, stderr: "" });
    // Past all its imports: what it lacks is a Worker to talk to.
    expect(run()).toMatchObject({ status: 2, stderr: expect.stringContaining("base URL") as string });
    const job = spawnSync(process.execPath, ["batch-training/service/job-process.ts"], {
      cwd: folder,
      env: environment,
      encoding: "utf8",
    });
    expect(job).toMatchObject({ status: 0, stderr: "" });
  });
});

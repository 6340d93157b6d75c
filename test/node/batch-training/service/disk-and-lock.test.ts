import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { makeRoom } from "../../../../batch-training/service/disk-room.ts";
import { lockHome } from "../../../../batch-training/service/home-lock.ts";

const folder = mkdtempSync(join(tmpdir(), "edgewise-home-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("room on the disk", () => {
  const room = async (minFreeBytes: number): Promise<{ obstacle: string | null; pruned: number[]; free: number[] }> => {
    const pruned: number[] = [];
    const free: number[] = [];
    const obstacle = await makeRoom({
      folder,
      maxStoredBytes: 5e9,
      minFreeBytes,
      prune: async (bytes) => pruned.push(bytes),
      onFree: (bytes) => free.push(bytes),
    });
    return { obstacle, pruned, free };
  };

  it("is there: old outputs are kept within their size", async () => {
    const { obstacle, pruned, free } = await room(1);
    expect([obstacle, pruned]).toEqual([null, [5e9]]);
    expect(free[0]).toBeGreaterThan(1);
  });

  it("is not there even without any old output: the reason names folder and need", async () => {
    const { obstacle, pruned } = await room(1e18);
    expect(pruned).toEqual([5e9, 0]);
    expect(obstacle).toMatch(new RegExp(`^${folder} has [0-9.]+ GB free and a job needs 1000000000\\.0`));
  });
});

describe("a home", () => {
  it("is one service's until it is given back", () => {
    const home = join(folder, "locked");
    const unlock = lockHome(home);
    expect(readFileSync(join(home, "worker.pid"), "utf8").split(" ")[0]).toBe(String(process.pid));
    unlock();
    lockHome(home)();
  });

  it("of a living process is not taken", () => {
    const home = join(folder, "taken");
    const unlock = lockHome(home);
    const file = join(home, "worker.pid");
    writeFileSync(file, readFileSync(file, "utf8").replace(/^\d+/, String(process.ppid)));
    expect(() => lockHome(home)).toThrow(`is in use by process ${process.ppid}`);
    unlock();
  });

  it.each(["2147483646 -", `${process.ppid} another-boot`, "nonsense", ""])(
    "left behind by a killed service (%j) is taken over",
    (content) => {
      const home = join(folder, `left-${content.length}`);
      lockHome(home)();
      writeFileSync(join(home, "worker.pid"), content);
      lockHome(home)();
    },
  );
});

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * Ties workerd to the process that started it. By itself it outlives a parent that is killed, and would hold port and storage against
 * the next start. A launcher writes down which process workerd is before it becomes it, and ends it within a second of its
 * parent's death; the next start does not wait for that, it ends what the record names. POSIX only; elsewhere workerd runs as it is.
 */
export function superviseWorkerd(folder: string): void {
  if (process.platform === "win32") return;
  mkdirSync(folder, { recursive: true });
  const launcher = join(folder, LAUNCHER);
  writeFileSync(launcher, launcherScript(workerdPath(), join(folder, RECORD)), { mode: 0o755 });
  // The only way to hand Miniflare another command.
  process.env["MINIFLARE_WORKERD_PATH"] = launcher;
}

/**
 * Ends the workerd that an earlier, killed process left on this folder, if there is one; resolves when it is gone.
 * @throws {Error} when its parent lives: then the folder is in use
 */
export async function endOrphan(folder: string): Promise<void> {
  const record = readRecord(join(folder, RECORD));
  if (record === null) return;
  const running = await describeProcess(record.pid);
  // Its arguments name ports that no two live processes share, so a process that merely got the same id is told apart.
  if (running !== null && running.command.includes(record.args)) {
    if (running.parent === record.parent)
      throw new Error(`${folder} is in use by process ${record.parent}. Stop it first: kill ${record.parent}`);
    process.kill(record.pid, "SIGKILL");
    await gone(record.pid);
  }
  rmSync(join(folder, RECORD), { force: true });
}

const LAUNCHER = "workerd.sh";
const RECORD = "workerd.pid";
/** A killed process is gone as soon as the system gets to it; one that is not after this long hangs in the kernel. */
const END_TIMEOUT_MS = 10_000;
const END_POLL_MS = 20;

/** The real workerd, found before the environment names the launcher in its place. */
let workerd: string | null = null;

function workerdPath(): string {
  if (workerd !== null) return workerd;
  const fromMiniflare = createRequire(createRequire(import.meta.url).resolve("miniflare"));
  const packaged = fromMiniflare("workerd") as { default: string };
  workerd = process.env["MINIFLARE_WORKERD_PATH"] ?? packaged.default;
  return workerd;
}

function launcherScript(command: string, record: string): string {
  return `#!/bin/sh
parent=$PPID
printf '%s\\n%s\\n%s\\n' "$$" "$parent" "$*" > ${quoted(`${record}.tmp`)} && mv ${quoted(`${record}.tmp`)} ${quoted(record)}
(
  exec </dev/null >/dev/null 2>&1 3>&-
  while kill -0 "$parent" && kill -0 "$$"; do sleep 1; done
  kill -0 "$parent" || kill -9 "$$"
) &
exec ${quoted(command)} "$@"
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

interface WorkerdRecord {
  readonly pid: number;
  readonly parent: number;
  readonly args: string;
}

function readRecord(file: string): WorkerdRecord | null {
  let lines: string[];
  try {
    lines = readFileSync(file, "utf8").split("\n");
  } catch {
    return null;
  }
  const [pid, parent, args = ""] = [Number(lines[0]), Number(lines[1]), lines[2]];
  return Number.isInteger(pid) && pid > 1 && args !== "" ? { pid, parent, args } : null;
}

interface LiveProcess {
  readonly parent: number;
  readonly command: string;
}

/** Parent and command line of a process; null when there is none, or only its entry waits to be collected. */
async function describeProcess(pid: number): Promise<LiveProcess | null> {
  try {
    return existsSync("/proc/self/stat") ? fromProc(pid) : await fromPs(pid);
  } catch {
    return null;
  }
}

function fromProc(pid: number): LiveProcess | null {
  // "pid (name) state parent …", and the name may hold anything.
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trimEnd();
  return state === "Z" ? null : { parent: Number(parent), command };
}

async function fromPs(pid: number): Promise<LiveProcess | null> {
  const { stdout } = await promisify(execFile)("ps", ["-ww", "-o", "stat=,ppid=,args=", "-p", String(pid)]);
  const found = /^\s*(\S+)\s+(\d+)\s+(.*)$/m.exec(stdout);
  return !found || found[1]?.startsWith("Z") === true ? null : { parent: Number(found[2]), command: found[3] ?? "" };
}

async function gone(pid: number): Promise<void> {
  const deadline = performance.now() + END_TIMEOUT_MS;
  while ((await describeProcess(pid)) !== null) {
    if (performance.now() > deadline) throw new Error(`Process ${pid}, left by an earlier start, does not end.`);
    await new Promise((resolve) => setTimeout(resolve, END_POLL_MS));
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

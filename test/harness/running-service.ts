/** `edgewise worker` as a process of its own, as a supervisor runs it. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

const PROGRAM = join(import.meta.dirname, "../../batch-training/main.ts");
const POLL_MS = 100;
/** A bound against hanging: a loaded machine may take minutes for what takes seconds. */
const WAIT_MS = 120_000;

export interface ServiceArguments {
  readonly url: string;
  readonly token: string;
  readonly home: string;
  readonly name: string;
  readonly signingKey: string;
  readonly more?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export class RunningService {
  readonly log: LogLine[] = [];
  readonly errors: string[] = [];
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;

  constructor({ url, token, home, name, signingKey, more = [], ...rest }: ServiceArguments) {
    const words = ["--home", home, "--name", name, "--lease-seconds", "2", "--poll-seconds", "1", "--port", "0"];
    const environment = { EDGEWISE_URL: url, EDGEWISE_TOKEN: token, EDGEWISE_SIGNING_KEY: signingKey };
    this.#child = spawn(process.execPath, [PROGRAM, "worker", "--min-free-gb", "0", ...words, ...more], {
      env: { ...process.env, ...environment, ...rest.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { stdout, stderr } = this.#child;
    if (stdout) createInterface({ input: stdout }).on("line", (line) => this.log.push(JSON.parse(line) as LogLine));
    if (stderr) createInterface({ input: stderr }).on("line", (line) => this.errors.push(line));
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** The first line with the message, once it is written. */
  async said(message: string): Promise<LogLine> {
    return await until(async () => this.log.find((line) => line.message === message) ?? null, `"${message}" is logged`);
  }

  /** An answer of its own HTTP server. */
  async get(path: string): Promise<{ status: number; text: string }> {
    const { port } = await this.said("started");
    const response = await fetch(`http://127.0.0.1:${String(port)}${path}`);
    return { status: response.status, text: await response.text() };
  }
}

/** Polls until there is an answer. */
export async function until<T>(look: () => Promise<T | null>, what: string): Promise<T> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== null) return found;
    if (performance.now() > deadline) throw new Error(`waited ${WAIT_MS / 1_000} s until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Progress of a run: a list with bars on a terminal, plain lines anywhere else. */
import { Listr, type ListrTaskWrapper, type DefaultRenderer, type SimpleRenderer } from "listr2";
import type { PipelineEvent, StageStatus } from "../pipeline/deps.ts";
import { type StageName, STAGES } from "../pipeline/run-record.ts";

export interface ProgressDisplay {
  readonly report: (event: PipelineEvent) => void;
  /** Resolves when nothing is drawn any more. */
  readonly end: () => Promise<void>;
}

export function showProgress(output: { readonly isTTY?: boolean }): ProgressDisplay {
  return output.isTTY === true ? terminalProgress() : plainProgress((line) => console.log(line));
}

/** A line when a stage has ended, and for every tenth of a long one. */
export function plainProgress(print: (line: string) => void): ProgressDisplay {
  let tenth = 0;
  return {
    report: (event) => {
      if (event.type === "warning") print(`warning: ${event.text}`);
      if (event.type === "stage") {
        tenth = 0;
        const detail = event.detail === "" ? "" : ` (${event.detail})`;
        if (event.status !== "begins" || event.detail !== "") print(`${event.stage}: ${event.status}${detail}`);
      }
      if (event.type !== "progress") return;
      const reached = Math.floor((10 * event.done) / Math.max(1, event.total));
      if (reached <= tenth || reached === 10) return;
      tenth = reached;
      print(`${event.stage}: ${reached * 10} %, ${event.note}`);
    },
    end: async () => {},
  };
}

type Task = ListrTaskWrapper<unknown, typeof DefaultRenderer, typeof SimpleRenderer>;

class StageLine {
  readonly stage: StageName;
  readonly ended: Promise<void>;
  task: Task | null = null;
  #status: StageStatus | "waiting" = "waiting";
  #detail = "";
  #end: () => void = () => {};

  constructor(stage: StageName) {
    this.stage = stage;
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  /** listr2 hands the line over when the one above has ended, which may be after this stage has begun. */
  attach(task: Task): Promise<void> {
    this.task = task;
    this.#draw();
    return this.ended;
  }

  change(status: StageStatus, detail: string): void {
    this.#status = status;
    this.#detail = detail;
    this.#draw();
    if (status !== "begins") this.#end();
  }

  /** Whatever it was doing, nothing more comes. */
  close(): void {
    if (this.#status === "waiting") this.change("skipped", "");
    else if (this.#status === "begins") this.#end();
  }

  bar(done: number, total: number, note: string): void {
    const share = Math.min(1, done / Math.max(1, total));
    const full = Math.round(BAR_WIDTH * share);
    const bar = `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)}`;
    if (this.task) this.task.output = `${bar} ${Math.round(100 * share)} %  ${note}`;
  }

  #draw(): void {
    if (!this.task) return;
    const detail = this.#detail === "" ? "" : ` (${this.#detail})`;
    this.task.title = `${this.stage}${detail}`;
    if (this.#status === "skipped") this.task.skip(`${this.stage}${detail}`);
  }
}

const BAR_WIDTH = 30;

function terminalProgress(): ProgressDisplay {
  const lines = new Map(STAGES.map((stage) => [stage, new StageLine(stage)]));
  const list = new Listr(
    [...lines.values()].map((line) => ({ title: line.stage, task: (_: unknown, task: Task) => line.attach(task) })),
    { exitOnError: false, registerSignalListeners: false },
  );
  let running: Promise<unknown> | null = null;
  const warnings: string[] = [];
  return {
    report: (event) => {
      if (event.type === "warning") warnings.push(event.text);
      if (event.type === "progress") lines.get(event.stage)?.bar(event.done, event.total, event.note);
      if (event.type !== "stage") return;
      running ??= list.run();
      for (const [stage, line] of lines) {
        if (stage === event.stage) break;
        line.close();
      }
      lines.get(event.stage)?.change(event.status, event.detail);
    },
    end: async () => {
      for (const line of lines.values()) line.close();
      await running;
      for (const text of warnings) console.error(`warning: ${text}`);
    },
  };
}

/**
 * Fork and join over one shared memory. A phase is a command and a number of tasks; every thread of the team, the
 * coordinator included, takes tasks until none is left. Tasks write disjoint memory or integers whose sum does not
 * depend on order, so who takes which task never shows in the result.
 *
 * The ticket word holds (phase number << 12 | tasks left). A thread takes a task by lowering it with compare-exchange;
 * a thread that wakes late sees nothing left and sleeps. Arguments are written only while nothing is left and all taken
 * tasks are finished. (A thread would have to sleep through exactly 2^20 phases between load and exchange to be fooled.)
 */

const TICKET = 0;
const FINISHED = 1;
const TOTAL = 2;
const COMMAND = 3;
const CANCELLED = 4;
/** First Int32 word that commands may use for arguments. */
export const ARGUMENTS = 16;

const TASK_BITS = 12;
const TASK_MASK = (1 << TASK_BITS) - 1;
export const MAX_TASKS = TASK_MASK;
const EXIT_COMMAND = -1;
/** Polls before a thread goes to sleep: about 30 µs, the gap between two phases of a small node. */
const SPINS = 3000;

export type ExecuteTask = (command: number, task: number) => void;

export class Team {
  readonly words: Int32Array;
  private readonly execute: ExecuteTask;
  private readonly helpers: number;

  constructor(memory: WebAssembly.Memory, controlOffset: number, helpers: number, execute: ExecuteTask) {
    this.words = new Int32Array(memory.buffer, controlOffset, 64);
    this.helpers = helpers;
    this.execute = execute;
  }

  /** Coordinator: runs all tasks of a phase and returns when they are finished. `alone` spares waking the others. */
  run(command: number, tasks: number, alone = false): void {
    if (tasks === 0) return;
    if (alone || this.helpers === 0 || tasks === 1) {
      for (let task = 0; task < tasks; task++) this.execute(command, task);
      return;
    }
    this.open(command, tasks);
    this.takeTasks();
    for (let spins = 0; ; spins++) {
      const finished = Atomics.load(this.words, FINISHED);
      if (finished === tasks) return;
      if (spins > SPINS) Atomics.wait(this.words, FINISHED, finished, 1000);
    }
  }

  private open(command: number, tasks: number): void {
    if (tasks > MAX_TASKS) throw new RangeError(`${tasks} tasks in one phase; at most ${MAX_TASKS}`);
    const phase = Atomics.load(this.words, TICKET) >>> TASK_BITS;
    this.words[COMMAND] = command;
    this.words[TOTAL] = tasks;
    Atomics.store(this.words, FINISHED, 0);
    Atomics.store(this.words, TICKET, ((phase + 1) << TASK_BITS) | tasks);
    Atomics.notify(this.words, TICKET);
  }

  /** @returns false once the team is dismissed. */
  private takeTasks(): boolean {
    for (;;) {
      const ticket = Atomics.load(this.words, TICKET);
      const left = ticket & TASK_MASK;
      if (left === 0) return true;
      if (Atomics.compareExchange(this.words, TICKET, ticket, ticket - 1) !== ticket) continue;
      const command = this.words[COMMAND] ?? 0;
      if (command === EXIT_COMMAND) return false;
      const total = this.words[TOTAL] ?? 0;
      this.execute(command, left - 1);
      if (Atomics.add(this.words, FINISHED, 1) + 1 === total) Atomics.notify(this.words, FINISHED);
    }
  }

  /** Helper: works until dismissed. Blocks its thread. */
  serve(): void {
    for (;;) {
      if (!this.takeTasks()) return;
      const ticket = Atomics.load(this.words, TICKET);
      if ((ticket & TASK_MASK) !== 0) continue;
      let spins = 0;
      while (spins < SPINS && Atomics.load(this.words, TICKET) === ticket) spins++;
      if (spins === SPINS) Atomics.wait(this.words, TICKET, ticket);
    }
  }

  /** Coordinator: every helper leaves `serve`. */
  dismiss(): void {
    if (this.helpers > 0) this.open(EXIT_COMMAND, this.helpers);
  }

  get cancelled(): boolean {
    return Atomics.load(this.words, CANCELLED) === 1;
  }

  static cancel(memory: WebAssembly.Memory, controlOffset: number): void {
    Atomics.store(new Int32Array(memory.buffer, controlOffset, 64), CANCELLED, 1);
  }
}

import type { SeededRandom } from "../seeded-random.ts";
import type { World } from "../world.ts";

/**
 * Tills that copy cards: for two or three weeks a good part of the payments at such a terminal is charged back. The orders are
 * honest customers' own, so this pattern is asked by the store visits instead of making orders.
 */
export class CompromisedTerminals {
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #until = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random("fraud/compromised-terminal");
  }

  live(day: number, terminals: readonly string[]): void {
    const random = this.#random;
    // Scaled with the number of terminals, so that each has the same risk.
    for (const terminal of terminals)
      if (random.chance(0.0026) && (this.#until.get(terminal) ?? 0) <= day)
        this.#until.set(terminal, day + 20 + random.below(14));
  }

  strikes(terminal: string, at: number): boolean {
    const until = this.#until.get(terminal);
    return until !== undefined && at < this.#world.day(until) && this.#random.chance(0.48);
  }
}

import { setTimeout as wait } from "node:timers/promises";
import type { SendDeps } from "../send-events.ts";

/** The sender's clock, sleep and chance of a real run. */
export const LIVE_SEND_DEPS: Omit<SendDeps, "client"> = {
  now: () => Date.now(),
  random: () => Math.random(),
  sleep: async (ms, signal) => {
    try {
      await wait(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};

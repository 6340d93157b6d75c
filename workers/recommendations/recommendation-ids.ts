import { createHmac } from "node:crypto";

/** How long outcomes are attributed to a list. */
export const ATTRIBUTION_MS = 30 * 86_400_000;
/** 60 bits: a guess is accepted once in 10^18, and what it could do is count a click. */
const MAC_LETTERS = 10;

/**
 * Ids of recommendations: `rec-{time}-{random}-{mac}`, time and random in base 36. The MAC (HMAC-SHA-256 over tenant and the rest) tells without a lookup
 * whether this deployment answered such a list, and the time how old it is.
 */
export class RecommendationIds {
  readonly #key: string;

  constructor(key: string) {
    this.#key = key;
  }

  make(tenant: string, now: number, random: string): string {
    const body = `rec-${now.toString(36)}-${random}`;
    return `${body}-${this.#mac(tenant, body)}`;
  }

  /** When the list was answered, epoch milliseconds; null where no list of this tenant has the id, or it is too old for feedback. */
  answeredAt(tenant: string, id: string, now: number): number | null {
    const match = /^(rec-([0-9a-z]{1,12})-[0-9a-z]{1,32})-([A-Za-z0-9]{10})$/.exec(id);
    if (!match) return null;
    const [, body = "", time = "", mac = ""] = match;
    if (this.#mac(tenant, body) !== mac) return null;
    const at = Number.parseInt(time, 36);
    return now - at <= ATTRIBUTION_MS ? at : null;
  }

  #mac(tenant: string, body: string): string {
    const mac = createHmac("sha256", this.#key).update(`recommendation\n${tenant}\n${body}`).digest("base64url");
    return mac.replaceAll(/[^A-Za-z0-9]/g, "0").slice(0, MAC_LETTERS);
  }
}

import { HmacSha256 } from "../../models/contract/hmac.ts";
import { type Arm, ARMS } from "../../models/contract/recommendation-arms.ts";
import { ATTRIBUTION_MS } from "../../models/recommend/outcome.ts";

/** 60 bits: a guess is accepted once in 10^18, and what it could do is count a click. */
const MAC_LETTERS = 10;

/** What the id of a list says of it. */
export interface KnownList {
  /** Epoch milliseconds. */
  readonly answeredAt: number;
  readonly arm: Arm;
  /** Virtual shard of visitors that knows what the list showed. */
  readonly shard: number;
}

/**
 * Ids of recommendations: `rec-{time}-{arm}{shard}-{random}-{mac}`; time, shard and random in base 36, the arm's first letter. The MAC (HMAC-SHA-256 over tenant
 * and the rest) tells without a lookup whether this deployment answered such a list; the rest, when, by which arm, and where outcomes of it are counted.
 */
export class RecommendationIds {
  readonly #hmac: HmacSha256;

  constructor(key: string) {
    this.#hmac = new HmacSha256(key);
  }

  make(tenant: string, { answeredAt, arm, shard }: KnownList, random: string): string {
    const body = `rec-${answeredAt.toString(36)}-${arm.charAt(0)}${shard.toString(36)}-${random}`;
    return `${body}-${this.#mac(tenant, body)}`;
  }

  /** Null where no list of this tenant has the id, or it is too old for feedback. */
  read(tenant: string, id: string, now: number): KnownList | null {
    const match = /^(rec-([0-9a-z]{1,12})-([a-z])([0-9a-z]{1,2})-[0-9a-z]{1,32})-([A-Za-z0-9]{10})$/.exec(id);
    if (!match) return null;
    const [, body = "", time = "", letter = "", shard = "", mac = ""] = match;
    const arm = ARMS.find((one) => one.startsWith(letter));
    if (arm === undefined || this.#mac(tenant, body) !== mac) return null;
    const answeredAt = Number.parseInt(time, 36);
    return now - answeredAt <= ATTRIBUTION_MS ? { answeredAt, arm, shard: Number.parseInt(shard, 36) } : null;
  }

  #mac(tenant: string, body: string): string {
    const mac = this.#hmac.base64url(`recommendation\n${tenant}\n${body}`);
    return mac.replaceAll(/[^A-Za-z0-9]/g, "0").slice(0, MAC_LETTERS);
  }
}

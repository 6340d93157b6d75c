import { createHmac } from "node:crypto";
import type { PersonalKind, Pseudonym } from "../../models/contract/pseudonymise.ts";

/** 132 bits of the MAC in base64url: collisions are beyond reach for any number of people. */
const PSEUDONYM_LENGTH = 22;
/** Pseudonyms remembered by an isolate: about 4 MB. */
const MAX_REMEMBERED = 20_000;

/** Keyed pseudonyms (HMAC-SHA-256 over tenant, kind and identifier), remembered in the isolate because shoppers return. */
export class Pseudonyms {
  readonly #key: string;
  readonly #remembered = new Map<string, string>();

  constructor(key: string) {
    this.#key = key;
  }

  of(tenant: string): Pseudonym {
    return (kind, identifier) => this.#pseudonym(tenant, kind, identifier);
  }

  #pseudonym(tenant: string, kind: PersonalKind, identifier: string): string {
    const input = `${tenant}\n${kind}\n${identifier}`;
    const known = this.#remembered.get(input);
    if (known !== undefined) return known;
    const mac = createHmac("sha256", this.#key).update(input).digest("base64url");
    const pseudonym = `p${mac.slice(0, PSEUDONYM_LENGTH)}`;
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(input, pseudonym);
    return pseudonym;
  }
}

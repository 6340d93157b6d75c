import { HmacSha256 } from "../../models/contract/hmac.ts";
import type { PersonalKind, Pseudonym } from "../../models/contract/pseudonymise.ts";

/** 132 bits of the MAC in base64url: collisions are beyond reach for any number of people. */
const PSEUDONYM_LENGTH = 22;
/** Pseudonyms remembered by an isolate: about 4 MB. */
const MAX_REMEMBERED = 20_000;

type Remembered = Map<string, string>;

/** Keyed pseudonyms (HMAC-SHA-256 over tenant, kind and identifier), remembered in the isolate because shoppers return. */
export class Pseudonyms {
  readonly #hmac: HmacSha256;
  readonly #ofTenant = new Map<string, Pseudonym>();
  #remembered = 0;

  constructor(key: string) {
    this.#hmac = new HmacSha256(key);
  }

  of(tenant: string): Pseudonym {
    const known = this.#ofTenant.get(tenant);
    if (known) return known;
    const byKind = new Map<PersonalKind, Remembered>();
    const pseudonym: Pseudonym = (kind, identifier) => {
      let remembered = byKind.get(kind);
      if (!remembered) byKind.set(kind, (remembered = new Map()));
      return remembered.get(identifier) ?? this.#make(tenant, kind, identifier, remembered);
    };
    this.#ofTenant.set(tenant, pseudonym);
    return pseudonym;
  }

  #make(tenant: string, kind: PersonalKind, identifier: string, remembered: Remembered): string {
    const mac = this.#hmac.base64url(`${tenant}\n${kind}\n${identifier}`);
    const pseudonym = `p${mac.slice(0, PSEUDONYM_LENGTH)}`;
    remembered.set(identifier, pseudonym);
    // Functions that were handed out keep their memory for as long as their request takes; new ones begin with none.
    if (++this.#remembered >= MAX_REMEMBERED) {
      this.#remembered = 0;
      this.#ofTenant.clear();
    }
    return pseudonym;
  }
}

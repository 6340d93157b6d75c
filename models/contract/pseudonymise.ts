/**
 * Personal identifiers become keyed pseudonyms before anything is stored (law 9). Pure: the keyed function is passed in.
 * The kind is part of what is hashed, so the same text as customer and as device gives unrelated pseudonyms.
 */

export type PersonalKind = "customer" | "device" | "card" | "address" | "session" | "ip" | "conversation" | "cart";

/** Fields of event payloads that hold a personal identifier, wherever they occur. */
const PERSONAL_FIELDS: ReadonlyMap<string, PersonalKind> = new Map<string, PersonalKind>(
  Object.entries({
    customerId: "customer",
    authorId: "customer",
    deviceId: "device",
    cardId: "card",
    addressId: "address",
    sessionId: "session",
    ipAddress: "ip",
    conversationId: "conversation",
    cartId: "cart",
  } as const),
);

/** Letters of a postal code that are kept: a region, not a street. */
const POSTAL_CODE_PREFIX = 3;

/** Deepest payload that is walked; the schemas allow four. */
const MAX_DEPTH = 8;

export type Pseudonym = (kind: PersonalKind, identifier: string) => string;

/** An event payload with every personal identifier replaced. What holds none is shared with the payload, which stays as it is. */
export function pseudonymise<T>(data: T, pseudonym: Pseudonym): T {
  return walk(data, pseudonym, 0) as T;
}

function walk(value: unknown, pseudonym: Pseudonym, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) return value.map((item) => walk(item, pseudonym, depth + 1));
  const members = value as Record<string, unknown>;
  let copy: Record<string, unknown> | null = null;
  for (const key in members) {
    const member = members[key];
    const replaced =
      typeof member === "string" ? replacement(key, member, pseudonym) : walk(member, pseudonym, depth + 1);
    if (replaced !== member) {
      copy ??= { ...members };
      copy[key] = replaced;
    }
  }
  return copy ?? value;
}

function replacement(key: string, text: string, pseudonym: Pseudonym): string {
  const kind = PERSONAL_FIELDS.get(key);
  if (kind !== undefined) return pseudonym(kind, text);
  return key === "postalCode" ? text.slice(0, POSTAL_CODE_PREFIX) : text;
}

/**
 * Personal identifiers become keyed pseudonyms before anything is stored (law 9). Pure: the keyed function is passed in.
 * The kind is part of what is hashed, so the same text as customer and as device gives unrelated pseudonyms.
 */

export type PersonalKind = "customer" | "device" | "card" | "address" | "session" | "ip" | "conversation" | "cart";

/** Fields of event payloads that hold a personal identifier, wherever they occur. */
const PERSONAL_FIELDS: Readonly<Record<string, PersonalKind>> = {
  customerId: "customer",
  authorId: "customer",
  deviceId: "device",
  cardId: "card",
  addressId: "address",
  sessionId: "session",
  ipAddress: "ip",
  conversationId: "conversation",
  cartId: "cart",
};

/** Letters of a postal code that are kept: a region, not a street. */
const POSTAL_CODE_PREFIX = 3;

/** Deepest payload that is walked; the schemas allow four. */
const MAX_DEPTH = 8;

export type Pseudonym = (kind: PersonalKind, identifier: string) => string;

/** A copy of an event payload with every personal identifier replaced. */
export function pseudonymise<T>(data: T, pseudonym: Pseudonym): T {
  return walk(data, pseudonym, 0) as T;
}

function walk(value: unknown, pseudonym: Pseudonym, depth: number): unknown {
  if (typeof value !== "object" || value === null || depth > MAX_DEPTH) return value;
  if (Array.isArray(value)) return value.map((item) => walk(item, pseudonym, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    const kind = Object.hasOwn(PERSONAL_FIELDS, key) ? PERSONAL_FIELDS[key] : undefined;
    if (kind !== undefined && typeof member === "string") copy[key] = pseudonym(kind, member);
    else if (key === "postalCode" && typeof member === "string") copy[key] = member.slice(0, POSTAL_CODE_PREFIX);
    else copy[key] = walk(member, pseudonym, depth + 1);
  }
  return copy;
}

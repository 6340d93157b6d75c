/**
 * JSON with object keys sorted by UTF-16 code unit, no white space, `undefined` members left out: RFC 8785 (JCS) for the
 * values we store, since ECMAScript's number formatting is the one RFC 8785 prescribes. Throws on NaN and infinities,
 * which JSON cannot hold.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError(`canonical JSON cannot hold ${value}`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (typeof value === "object") {
    const object = value as Record<string, unknown>;
    let text = "";
    // The default order of sort is by UTF-16 code unit.
    for (const key of Object.keys(object).sort()) {
      const member = object[key];
      if (member !== undefined) text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${canonicalJson(member)}`;
    }
    return `{${text}}`;
  }
  throw new TypeError(`canonical JSON cannot hold a ${typeof value}`);
}

import fc from "fast-check";
import type * as z from "zod";

/** Values that checks get wrong. */
const ODD: readonly unknown[] = [
  null,
  "",
  " ",
  "x",
  "é",
  "x".repeat(129),
  "2026-02-30T00:00:00Z",
  "2026-03-01T12:30:00Z",
  "2026-03-01T12:30:00",
  "1.2.3.4",
  "::1",
  "1.2.3.4\n",
  "p0123456789abcdefghijkl",
  0,
  -0,
  -1,
  1.5,
  2 ** 53,
  1e12 + 1,
  Number.POSITIVE_INFINITY,
  Number.NaN,
  true,
  [],
  {},
  [null],
  { a: 1 },
];

/** Values around a schema: such as fit it, and the same with a few places changed, removed or added. */
export function anyOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  const fitting = valuesOf(schema);
  const changed = fc
    .tuple(
      fitting,
      fc.array(fc.tuple(fc.nat(), fc.constantFrom("replace", "remove", "add"), fc.constantFrom(...ODD)), {
        minLength: 1,
        maxLength: 2,
      }),
    )
    .map(([value, changes]) => {
      let current = value;
      for (const [at, how, odd] of changes) current = change(current, at, how, odd);
      return current;
    });
  return fc.oneof(
    { weight: 3, arbitrary: fitting },
    { weight: 5, arbitrary: changed },
    { weight: 1, arbitrary: fc.constantFrom(...ODD) },
  );
}

function valuesOf(schema: z.core.$ZodType): fc.Arbitrary<unknown> {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  if (def.type === "string") return textsOf(schema);
  if (def.type === "number")
    return fc.oneof(fc.integer({ min: 0, max: 100 }), fc.constantFrom(0, 1, 10_000, 1e12, 0.5));
  if (def.type === "boolean") return fc.boolean();
  if (def.type === "enum") return fc.constantFrom(...Object.values(def.entries));
  if (def.type === "literal") return fc.constantFrom(...def.values);
  if (def.type === "array") return fc.array(valuesOf(def.element), { maxLength: 3 });
  if (def.type === "record") return fc.dictionary(textsOf(def.keyType), valuesOf(def.valueType), { maxKeys: 3 });
  if (def.type === "union") return fc.oneof(...def.options.map(valuesOf));
  if (def.type === "object") return objectsOf(def.shape);
  if ("innerType" in def) return valuesOf(def.innerType);
  return fc.constantFrom(...ODD);
}

function objectsOf(shape: z.core.$ZodShape): fc.Arbitrary<unknown> {
  const entries = Object.entries(shape);
  return fc.record(Object.fromEntries(entries.map(([key, member]) => [key, valuesOf(member)])), {
    requiredKeys: entries.flatMap(([key, member]) => (member._zod.optin === "optional" ? [] : [key])),
    noNullPrototype: true,
  });
}

const KNOWN_TEXTS: Readonly<Record<string, readonly string[]>> = {
  datetime: ["2026-03-01T12:30:00Z", "2026-03-01T12:30:00.123+02:00", "2024-02-29T23:59:59-11:30"],
  ipv4: ["1.2.3.4", "255.255.255.255"],
  ipv6: ["::1", "2001:db8::ff00:42:8329"],
};

function textsOf(schema: z.core.$ZodType): fc.Arbitrary<string> {
  const { def } = schema._zod as { def: { format?: string; checks?: readonly z.core.$ZodCheck[] } };
  const known = def.format === undefined ? undefined : KNOWN_TEXTS[def.format];
  if (known) return fc.constantFrom(...known);
  const patterns = (def.checks ?? []).flatMap((check) => {
    const { pattern } = check._zod.def as { pattern?: unknown };
    return pattern instanceof RegExp ? [pattern] : [];
  });
  return patterns[0] ? fc.stringMatching(patterns[0]) : fc.string({ minLength: 1, maxLength: 16 });
}

/** The value with its `at`-th place changed; places are counted over the whole tree. */
function change(value: unknown, at: number, how: "replace" | "remove" | "add", odd: unknown): unknown {
  const places: (readonly [object, string])[] = [];
  const copy: unknown = structuredClone(value);
  collect(copy, places);
  const place = places[at % Math.max(1, places.length)];
  if (!place) return odd;
  const [holder, key] = place;
  const target = holder as Record<string, unknown>;
  if (how === "remove" && !Array.isArray(holder)) delete target[key];
  else if (how === "add" && !Array.isArray(holder)) target["added"] = odd;
  else target[key] = odd;
  return copy;
}

function collect(value: unknown, places: (readonly [object, string])[]): void {
  if (typeof value !== "object" || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    places.push([value, key]);
    collect(member, places);
  }
}

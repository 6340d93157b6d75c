import type * as z from "zod";

/**
 * True where zod accepts the value and gives it back as it is. False says nothing: zod is asked then, and its answer, with its
 * messages, is the one that counts.
 */
export type Accepts = (value: unknown) => boolean;

/** A check, and whether what zod accepts here always comes out as it went in. */
interface Compiled {
  readonly accepts: Accepts;
  readonly isPure: boolean;
}

type Definition = z.core.$ZodTypes["_zod"]["def"];
type Check = z.core.$ZodChecks["_zod"]["def"];

const compiled = new WeakMap<z.ZodType, Accepts>();

/**
 * Parses as the schema does. Values that need no change, nearly all of them, pass closures compiled from the schema at its first
 * use, at a tenth of zod's cost: zod compiles schemas by `eval`, which Workers forbid, and interprets them there.
 */
export function parseQuickly<S extends z.ZodType>(schema: S, value: unknown): z.ZodSafeParseResult<z.output<S>> {
  return acceptsOf(schema)(value) ? { success: true, data: value as z.output<S> } : schema.safeParse(value);
}

/** The quick check of a schema, compiled once. */
export function acceptsOf(schema: z.ZodType): Accepts {
  const known = compiled.get(schema);
  if (known) return known;
  const { accepts } = compile(schema);
  compiled.set(schema, accepts);
  return accepts;
}

function compile(schema: z.core.$ZodType): Compiled {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  return compileKnown(def) ?? byZod(schema);
}

/** Null for what is not known here. */
function compileKnown(def: Definition): Compiled | null {
  if (def.type === "string") return compileString(def);
  if (def.type === "number") return compileNumber(def);
  if (def.type === "optional" || def.type === "nullable") return compileMaybe(def);
  if (def.type === "array") return compileArray(def);
  if (def.type === "record") return compileRecord(def);
  if (def.type === "object") return compileObject(def);
  if (def.type === "union") return compileUnion(def);
  if (hasChecks(def)) return null;
  if (def.type === "boolean") return def.coerce === true ? null : pure((value) => typeof value === "boolean");
  if (def.type === "null") return pure((value) => value === null);
  if (def.type === "enum") return oneOf(Object.values(def.entries));
  return def.type === "literal" ? oneOf(def.values) : null;
}

function pure(accepts: Accepts): Compiled {
  return { accepts, isPure: true };
}

/** What is not known here is asked of zod, and taken where it comes out the same; objects never do. */
function byZod(schema: z.core.$ZodType): Compiled {
  return {
    accepts: (value) => {
      const parsed = (schema as z.ZodType).safeParse(value);
      return parsed.success && Object.is(parsed.data, value);
    },
    isPure: false,
  };
}

function hasChecks({ checks }: Definition): boolean {
  return checks !== undefined && checks.length > 0;
}

function checksOf({ checks }: Definition): Check[] {
  return (checks ?? []).map((check) => (check as z.core.$ZodChecks)._zod.def);
}

/** Texts that are numbers would be found in a set of texts by no one: entries of numeric enums are left to zod. */
function oneOf(values: readonly unknown[]): Compiled | null {
  if (values.some((value) => typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean"))
    return null;
  if (values.some((value) => typeof value === "number" && !Number.isFinite(value))) return null;
  const known = new Set(values);
  return values.length === 1 ? pure((value) => value === values[0]) : pure((value) => known.has(value));
}

function compileString(def: Definition & { type: "string" }): Compiled | null {
  if (def.coerce === true) return null;
  let shortest = 0;
  let longest = Number.POSITIVE_INFINITY;
  const patterns: RegExp[] = [];
  for (const check of [...("check" in def ? [def as unknown as Check] : []), ...checksOf(def)]) {
    if (check.check === "min_length") shortest = Math.max(shortest, check.minimum);
    else if (check.check === "max_length") longest = Math.min(longest, check.maximum);
    else if (isPattern(check)) patterns.push(check.pattern);
    else return null;
  }
  if (patterns.length > 1) return null;
  const [pattern] = patterns;
  return pattern
    ? pure(
        (value) =>
          typeof value === "string" && value.length >= shortest && value.length <= longest && pattern.test(value),
      )
    : pure((value) => typeof value === "string" && value.length >= shortest && value.length <= longest);
}

/** Formats that are their pattern and nothing else. A pattern with a memory between calls is left to zod. */
const PATTERN_FORMATS = new Set(["regex", "datetime", "ipv4"]);

function isPattern(check: Check): check is Check & { pattern: RegExp } {
  return (
    check.check === "string_format" &&
    PATTERN_FORMATS.has(check.format) &&
    check.when === undefined &&
    check.pattern instanceof RegExp &&
    !check.pattern.global &&
    !check.pattern.sticky
  );
}

function compileNumber(def: Definition & { type: "number" }): Compiled | null {
  if (def.coerce === true) return null;
  let isInteger = false;
  let least = Number.NEGATIVE_INFINITY;
  let most = Number.POSITIVE_INFINITY;
  for (const check of [...("check" in def ? [def as unknown as Check] : []), ...checksOf(def)]) {
    if (check.when !== undefined) return null;
    if (check.check === "number_format" && check.format === "safeint") isInteger = true;
    else if (check.check === "greater_than" && check.inclusive && typeof check.value === "number")
      least = Math.max(least, check.value);
    else if (check.check === "less_than" && check.inclusive && typeof check.value === "number")
      most = Math.min(most, check.value);
    else return null;
  }
  return isInteger
    ? pure((value) => typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most)
    : pure((value) => typeof value === "number" && Number.isFinite(value) && value >= least && value <= most);
}

function compileMaybe(def: Definition & { type: "optional" | "nullable" }): Compiled | null {
  if (hasChecks(def)) return null;
  const inner = compile(def.innerType);
  const nothing = def.type === "optional" ? undefined : null;
  return { accepts: (value) => value === nothing || inner.accepts(value), isPure: inner.isPure };
}

function compileArray(def: Definition & { type: "array" }): Compiled | null {
  let shortest = 0;
  let longest = Number.POSITIVE_INFINITY;
  for (const check of checksOf(def)) {
    if (check.check === "min_length") shortest = Math.max(shortest, check.minimum);
    else if (check.check === "max_length") longest = Math.min(longest, check.maximum);
    else return null;
  }
  const { accepts, isPure } = compile(def.element);
  return {
    accepts: (value) => {
      if (!Array.isArray(value) || value.length < shortest || value.length > longest) return false;
      for (let index = 0; index < value.length; index++) if (!accepts(value[index])) return false;
      return true;
    },
    isPure,
  };
}

/** Unknown fields are never accepted here: a strict schema refuses them, any other changes or checks them. */
function compileObject(def: Definition & { type: "object" }): Compiled | null {
  if (hasChecks(def)) return null;
  const members = new Map<string, Compiled & { readonly isRequired: boolean }>();
  let isPure = def.catchall?._zod.def.type === "never";
  let required = 0;
  for (const [key, member] of Object.entries(def.shape)) {
    const isRequired = member._zod.def.type !== "optional";
    // A member that has a value where there is none would be added by zod.
    if (isRequired && member._zod.optin === "optional") return null;
    const one = compile(member);
    members.set(key, { ...one, isRequired });
    isPure &&= one.isPure;
    if (isRequired) required++;
  }
  // An object whose prototype such a key would set is left to zod.
  if (members.has("__proto__")) return null;
  return {
    accepts: (value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
      let seen = 0;
      for (const key in value) {
        const member = members.get(key);
        if (member === undefined || !member.accepts((value as Record<string, unknown>)[key])) return false;
        if (member.isRequired) seen++;
      }
      return seen === required;
    },
    isPure,
  };
}

function compileRecord(def: Definition & { type: "record" }): Compiled | null {
  const key = compile(def.keyType);
  // Keys of any other kind may be required, or be numbers written as texts.
  if (hasChecks(def) || def.keyType._zod.def.type !== "string" || !key.isPure) return null;
  const member = compile(def.valueType);
  return {
    accepts: (value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
      for (const name in value) {
        if (name === "__proto__" || !key.accepts(name)) return false;
        if (!member.accepts((value as Record<string, unknown>)[name])) return false;
      }
      return true;
    },
    isPure: member.isPure,
  };
}

/** zod takes the first that accepts. One that may change what it accepts hides what comes after it. */
function compileUnion(def: Definition & { type: "union" }): Compiled | null {
  if (hasChecks(def) || ("inclusive" in def && !def.inclusive)) return null;
  const options = def.options.map(compile);
  if (!options.slice(0, -1).every((option) => option.isPure)) return null;
  return {
    accepts: (value) => {
      for (const option of options) if (option.accepts(value)) return true;
      return false;
    },
    isPure: options.every((option) => option.isPure),
  };
}

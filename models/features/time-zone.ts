/**
 * Local time of a zone: `UTC`, a fixed offset such as `+02:00`, or an IANA name, resolved by ECMAScript's Intl. Returns a function from
 * epoch milliseconds to milliseconds of the local clock face. Throws on an unknown zone, when a definition is compiled.
 */
export function localTime(zone: string): (epochMs: number) => number {
  if (zone === "UTC") return (epochMs) => epochMs;
  const fixed = /^([+-])(\d{2}):(\d{2})$/.exec(zone);
  if (fixed) {
    const offset = (Number(fixed[2]) * 60 + Number(fixed[3])) * 60_000 * (fixed[1] === "-" ? -1 : 1);
    return (epochMs) => epochMs + offset;
  }
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  // Offsets change at quarter-hour boundaries only, so the newest quarter's offset serves the events that follow.
  let cachedQuarter = Number.NaN;
  let cachedOffset = 0;
  return (epochMs) => {
    const quarter = Math.floor(epochMs / QUARTER_MS);
    if (quarter !== cachedQuarter) {
      cachedOffset = offsetOf(format, quarter * QUARTER_MS);
      cachedQuarter = quarter;
    }
    return epochMs + cachedOffset;
  };
}

const QUARTER_MS = 15 * 60_000;

function offsetOf(format: Intl.DateTimeFormat, epochMs: number): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(epochMs)) parts[type] = Number(value);
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(epochMs / 1000) * 1000;
}

let lastTimeText = "";
let lastTime = Number.NaN;

/** RFC 3339 text as epoch milliseconds, NaN where it is none. One event names its time several times over, so the last is remembered. */
export function parseTime(text: string): number {
  if (text !== lastTimeText) {
    lastTime = parseUtc(text);
    lastTimeText = text;
  }
  return lastTime;
}

/** A day of UTC and its start: consecutive events are mostly of one day. */
let lastDay = "";
let lastDayStart = Number.NaN;

/** `Date.parse`, with a short way for the form that events have, YYYY-MM-DDThh:mm:ss.sssZ, behind a day that is known. */
function parseUtc(text: string): number {
  if (text.length !== UTC_FORM.length || !hasUtcClock(text)) return Date.parse(text);
  if (lastDay === "" || !text.startsWith(lastDay)) {
    lastDay = text.slice(0, 10);
    lastDayStart = Date.parse(`${lastDay}T00:00:00.000Z`);
  }
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  // Times that no clock shows are left to the language.
  if (hour > 23 || minute > 59 || second > 59) return Date.parse(text);
  return lastDayStart + ((hour * 60 + minute) * 60 + second) * 1_000 + digits(text, 20, 3);
}

const UTC_FORM = "0000-00-00T00:00:00.000Z";
const DIGIT = 0x30;

/** The text ends as the form does from the day on. */
function hasUtcClock(text: string): boolean {
  for (let at = 10; at < UTC_FORM.length; at++) {
    const unit = text.charCodeAt(at);
    const expected = UTC_FORM.charCodeAt(at);
    if (expected === DIGIT ? unit < DIGIT || unit > DIGIT + 9 : unit !== expected) return false;
  }
  return true;
}

function digits(text: string, from: number, count: number): number {
  let value = 0;
  for (let at = from; at < from + count; at++) value = value * 10 + text.charCodeAt(at) - DIGIT;
  return value;
}

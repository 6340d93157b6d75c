/** Damaged files: what a disk, a network or somebody hostile may make of a model. */
import type { Draw } from "./operator-case.ts";

const GENTLE = ["bit", "byte"] as const;
const ROUGH = ["bit", "byte", "ones", "zeros", "cut", "drop", "repeat", "splice", "huge"] as const;

/**
 * One to three wounds, at places and of kinds that the draw decides. Half of the files are wounded gently, in single bytes:
 * most of those still parse and carry their damage into planning.
 */
export function mutate(original: Uint8Array, donor: Uint8Array, draw: Draw): Uint8Array {
  let bytes: Uint8Array = original.slice();
  const gentle = draw.bool();
  for (let wounds = draw.int(1, gentle ? 2 : 3); wounds > 0; wounds--) {
    bytes = wound(bytes, donor, { draw, kind: gentle ? draw.pick(...GENTLE) : draw.pick(...ROUGH) });
  }
  return bytes;
}

interface WoundChoice {
  readonly draw: Draw;
  readonly kind: (typeof ROUGH)[number];
}

function wound(bytes: Uint8Array, donor: Uint8Array, { draw, kind }: WoundChoice): Uint8Array {
  const at = draw.place(bytes.length);
  const length = draw.pick(1, 2, 8, 64, 1024);
  switch (kind) {
    case "bit":
      return replace(bytes, at, [(bytes[at] ?? 0) ^ (1 << draw.int(0, 7))]);
    case "byte":
      return replace(bytes, at, [draw.int(0, 255)]);
    case "ones":
      return replace(
        bytes,
        at,
        Array.from({ length: Math.min(length, 16) }, () => 255),
      );
    case "zeros":
      return replace(
        bytes,
        at,
        Array.from({ length: Math.min(length, 16) }, () => 0),
      );
    // A varint that claims four gigabytes, or 2^63: in the place of a length it is a lie about what follows.
    case "huge":
      return replace(bytes, at, draw.pick([255, 255, 255, 255, 15], [255, 255, 255, 255, 255, 255, 255, 255, 127]));
    case "cut":
      return bytes.slice(0, at);
    case "drop":
      return joined(bytes.subarray(0, at), bytes.subarray(at + length));
    case "repeat":
      return joined(bytes.subarray(0, at + length), bytes.subarray(at));
    case "splice": {
      const from = draw.place(donor.length);
      return joined(bytes.subarray(0, at), donor.subarray(from, from + length), bytes.subarray(at));
    }
  }
}

function replace(bytes: Uint8Array, at: number, values: readonly number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values.slice(0, Math.max(0, bytes.length - at)), Math.min(at, bytes.length));
  return copy;
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

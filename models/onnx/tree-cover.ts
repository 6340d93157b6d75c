/**
 * Node covers (training rows, or hessian sums, that reached a node) in the metadata of an ONNX model: the one thing exact
 * TreeSHAP needs that ONNX does not hold.
 *
 * Key: `edgewise.tree_cover:` + name of the first output of the tree-ensemble node. Value: one letter and base64 of one
 * number per node, in the order of the ensemble's `nodes_*` attributes, followed in `TreeEnsemble` by its leaves in the
 * order of `leaf_*`. `u`: LEB128 integers; `f`: float32, `d`: float64, both little-endian. The writer takes the first
 * that is exact.
 */
import { decodeBase64, encodeBase64 } from "./base64.ts";
import { OnnxError } from "./error.ts";

const KEY_PREFIX = "edgewise.tree_cover:";

export function treeCoverKey(ensembleOutput: string): string {
  return KEY_PREFIX + ensembleOutput;
}

export function encodeTreeCover(covers: Float64Array): string {
  if (covers.every((cover) => Number.isSafeInteger(cover) && cover >= 0)) return `u${encodeBase64(leb128(covers))}`;
  const single = Float32Array.from(covers);
  if (covers.every((cover, index) => cover === single[index])) return `f${encodeBase64(new Uint8Array(single.buffer))}`;
  return `d${encodeBase64(new Uint8Array(covers.slice().buffer))}`;
}

/** @throws OnnxError unless the value holds exactly `count` finite covers, none negative */
export function decodeTreeCover(value: string, count: number): Float64Array {
  const bytes = decodeBase64(value.slice(1));
  const covers = numbersOf(value.charAt(0), bytes, count);
  if (covers.length !== count)
    throw new OnnxError("bad-tensor", `tree covers: ${covers.length} numbers for ${count} nodes`);
  // Integers are covers by how they are written.
  if (!value.startsWith("u"))
    for (const cover of covers)
      if (!(cover >= 0 && cover < Infinity)) throw new OnnxError("bad-tensor", `tree covers: ${cover} is not a cover`);
  return covers;
}

function numbersOf(encoding: string, bytes: Uint8Array, count: number): Float64Array {
  if (encoding === "f" && bytes.length === count * 4) return Float64Array.from(new Float32Array(bytes.buffer));
  if (encoding === "d" && bytes.length === count * 8) return new Float64Array(bytes.buffer);
  // Each integer takes at least a byte, so the text bounds what is allocated.
  if (encoding !== "u" || count > bytes.length)
    throw new OnnxError(
      "bad-tensor",
      `tree covers: ${bytes.length} bytes of encoding "${encoding}" for ${count} nodes`,
    );
  const covers = new Float64Array(count);
  let position = 0;
  for (let index = 0; index < count; index++) {
    let scale = 1;
    let cover = 0;
    for (;;) {
      const byte = bytes[position++];
      if (byte === undefined || scale > 2 ** 49)
        throw new OnnxError("malformed", "tree covers: a number is cut off or too long");
      cover += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) break;
    }
    covers[index] = cover;
  }
  if (position !== bytes.length) throw new OnnxError("bad-tensor", `tree covers: more than ${count} numbers`);
  return covers;
}

function leb128(values: Float64Array): Uint8Array {
  const bytes: number[] = [];
  for (const value of values) {
    let rest = value;
    while (rest > 127) {
      bytes.push((rest % 128) | 128);
      rest = Math.floor(rest / 128);
    }
    bytes.push(rest);
  }
  return Uint8Array.from(bytes);
}

/** The golden exports as plain text, for runtimes that have no file system: the value of a binding. */
import { goldenFixtures } from "./golden-fixtures.ts";
import type { GoldenText } from "./golden-text.ts";

export function goldenAsText(): string {
  const base64 = (array: Uint8Array | Float32Array | Float64Array): string =>
    Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
  const fixtures: GoldenText[] = goldenFixtures.map(({ id, bytes, input, output }) => ({
    id,
    model: base64(bytes),
    input: base64(input.values),
    output: base64(output.data),
    rows: input.rows,
  }));
  return JSON.stringify(fixtures);
}

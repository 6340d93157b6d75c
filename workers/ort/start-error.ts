/** The runtime did not start. Its loader cannot be run twice, so this isolate stays without it. */
export class OrtStartError extends Error {
  override readonly name = "OrtStartError";
}

import { hex, sha256 } from "../../models/contract/sha256.ts";
import { encodeUtf8 } from "../../models/onnx/utf8.ts";

/**
 * Names vectors: SHA-256 over the service's hash, the as-of time and the vector's bytes. The message is put together in the same memory each
 * time. The runtime's own `createHash` makes a stream object for each digest, which costs five times the hashing.
 */
export class VectorIds {
  #message = new Uint8Array(0);
  #serviceHash = "";
  #vector = new Float32Array(0);
  #vectorBytes = new Uint8Array(0);

  of(serviceHash: string, asOf: number, vector: Float32Array): string {
    const time = String(asOf);
    const timeAt = serviceHash.length + 1;
    const vectorAt = timeAt + time.length + 1;
    if (this.#message.length !== vectorAt + vector.byteLength || this.#serviceHash !== serviceHash) {
      this.#message = new Uint8Array(vectorAt + vector.byteLength);
      this.#message.set(encodeUtf8(`${serviceHash}\n`));
      this.#message[vectorAt - 1] = NEW_LINE;
      this.#serviceHash = serviceHash;
      this.#vector = new Float32Array(vector.length);
      this.#vectorBytes = new Uint8Array(this.#vector.buffer);
    }
    for (let index = 0; index < time.length; index++) this.#message[timeAt + index] = time.charCodeAt(index);
    this.#vector.set(vector);
    this.#message.set(this.#vectorBytes, vectorAt);
    return hex(sha256(this.#message));
  }
}

const NEW_LINE = 0x0a;

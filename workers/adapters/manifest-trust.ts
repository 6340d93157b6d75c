import type { Manifest } from "../../models/contract/manifest.ts";
import { fromBase64Url, type PublicKey, SIGNATURE_BYTES, signedBytes } from "../../models/contract/signing-key.ts";

/** A key this runtime can verify with; Node and Workers name its type differently. */
type VerifyingKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

/**
 * Whose manifests are believed: the holders of these Ed25519 keys (RFC 8032), several while one key replaces another. Without any key
 * every manifest is believed, signed or not: development.
 */
export class ManifestTrust {
  readonly #keys: ReadonlyMap<string, PublicKey>;
  readonly #imported = new Map<string, VerifyingKey>();

  constructor(keys: readonly PublicKey[]) {
    this.#keys = new Map(keys.map((key) => [key.id, key]));
  }

  /** Why the manifest is not believed; null when it is. */
  async objection(manifest: Manifest): Promise<string | null> {
    if (this.#keys.size === 0) return null;
    const { signature } = manifest;
    if (signature === null) return "the manifest is not signed";
    if (!this.#keys.has(signature.keyId))
      return `the manifest is signed with key ${signature.keyId}, which is not trusted here`;
    const bytes = fromBase64Url(signature.value);
    if (bytes?.length !== SIGNATURE_BYTES) return "the manifest's signature is malformed";
    return (await this.verifies(signature.keyId, bytes, signedBytes(manifest)))
      ? null
      : `the manifest's signature by key ${signature.keyId} is wrong`;
  }

  /** Whether `signature` is the key's for `message` (RFC 8032 section 5.1.7). */
  async verifies(keyId: string, signature: Uint8Array, message: Uint8Array): Promise<boolean> {
    const key = await this.#key(keyId);
    return key !== null && (await crypto.subtle.verify("Ed25519", key, signature, message));
  }

  async #key(id: string): Promise<VerifyingKey | null> {
    const known = this.#imported.get(id);
    if (known) return known;
    const configured = this.#keys.get(id);
    if (!configured) return null;
    const key = await crypto.subtle.importKey("raw", configured.bytes, "Ed25519", false, ["verify"]);
    this.#imported.set(id, key);
    return key;
  }
}

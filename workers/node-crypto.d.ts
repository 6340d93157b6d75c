/** The part of `node:crypto` (compatibility flag `nodejs_compat`) that the Worker uses: synchronous hashing. */
declare module "node:crypto" {
  interface Hash {
    update(data: string | Uint8Array): this;
    digest(encoding: "hex" | "base64url"): string;
  }
  export function createHash(algorithm: "sha256"): Hash;
  export function createHmac(algorithm: "sha256", key: string): Hash;
}

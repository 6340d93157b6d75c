/** The part of `node:crypto` (compatibility flag `nodejs_compat`) that the Worker uses: synchronous hashing. */
declare module "node:crypto" {
  interface Hash {
    update(data: string | Uint8Array): this;
    digest(encoding: "hex"): string;
  }
  export function createHash(algorithm: "sha256"): Hash;
}

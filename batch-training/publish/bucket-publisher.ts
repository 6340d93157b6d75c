import { publishVersion } from "../../models/contract/api/models.ts";
import type { Manifest } from "../../models/contract/manifest.ts";
import type { ApiClient } from "../client/api-client.ts";
import type { Publisher } from "../pipeline/deps.ts";
import type { Bucket } from "./bucket.ts";
import { type HeldLease, leaseQuery } from "./held-lease.ts";
import { publishToBucket } from "./publish-to-bucket.ts";
import type { ManifestSigner } from "./signing.ts";

export interface BucketPublisherOptions {
  readonly bucket: Bucket;
  readonly tenant: string;
  readonly signer: ManifestSigner | null;
  /**
   * Registers, and promotes where asked. Registration is asked for and not waited for: it is the same that a notification of the bucket
   * triggers, and whichever comes second finds it done.
   */
  readonly worker: {
    readonly client: Pick<ApiClient, "call">;
    readonly publisher: Publisher;
    readonly lease: HeldLease | null;
  };
}

/** Files and manifest straight into the bucket; the Worker is told where it stands. */
export function bucketPublisher({ bucket, tenant, signer, worker }: BucketPublisherOptions): Publisher {
  const signed = (manifest: Manifest): Manifest => signer?.sign(manifest) ?? manifest;
  return {
    target: bucket.address,
    publish: async (manifest, files) => {
      await publishToBucket(bucket, tenant, signed(manifest), files);
    },
    register: async (manifest, options) => {
      await worker.client.call(publishVersion, {
        params: { name: manifest.name },
        ...leaseQuery(worker.lease),
        body: signed(manifest),
      });
      await worker.publisher.register(manifest, options);
    },
  };
}

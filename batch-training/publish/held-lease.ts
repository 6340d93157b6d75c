/** The lease of a training job: named with what is published and promoted for it, so that a machine which lost it changes nothing. */
export interface HeldLease {
  readonly jobId: string;
  readonly fence: number;
}

/** A lease as the publication routes take it. */
export function leaseQuery(lease: HeldLease | null): { query?: { jobId: string; fence: number } } {
  return lease === null ? {} : { query: { jobId: lease.jobId, fence: lease.fence } };
}

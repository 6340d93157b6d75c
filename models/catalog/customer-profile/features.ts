import { aggregateFeature, group, loadedSource, service } from "../../features/definition.ts";

/** Values computed elsewhere, once a day say, and loaded with `edgewise features load --group customer_profile@1`. */
const profile = loadedSource("customer_profile", 1);
const DAY_MS = 86_400_000;

export const customerProfile = group({
  name: "customer_profile",
  version: 1,
  owner: "insight",
  description: "What batch jobs know of a customer",
  sensitivity: "personal",
  entity: "customer",
  source: profile,
  key: (row) => row.text("entity"),
  columns: (row) => ({
    lifetime_value: { value: row.number("values.lifetime_value"), keep: { ends: true } },
    churn_probability: { value: row.number("values.churn_probability"), keep: { ends: true } },
  }),
  // The newest row is what counts; a few older ones answer for times in the past.
  keep: { horizonMs: null, facts: 8, tileMs: 30 * DAY_MS, tiles: 24 },
  ttlMs: 45 * DAY_MS,
  // Read in bulk by jobs and pages that accept a minute, seldom written.
  copies: { ttlSeconds: 86_400 },
});

export const customerProfiles = service({
  name: "customer_profile_v1",
  owner: "insight",
  description: "Batch-loaded values of a customer",
  request: profile,
  entities: (row) => ({ customer: row.text("entity") }),
  features: [
    aggregateFeature(
      "lifetime_value",
      customerProfile,
      { op: "last", column: "lifetime_value" },
      {
        description: "Value of the customer over their lifetime, major units",
        windowMs: null,
        checks: { min: 0, maxNullShare: 0.5, maxAgeSeconds: 3 * 86_400 },
      },
    ),
    aggregateFeature(
      "churn_probability",
      customerProfile,
      { op: "last", column: "churn_probability" },
      {
        description: "Probability that the customer does not come back",
        windowMs: null,
        checks: { min: 0, max: 1, maxNullShare: 0.5, maxAgeSeconds: 3 * 86_400 },
      },
    ),
  ],
});

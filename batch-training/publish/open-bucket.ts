import { Bucket } from "./bucket.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const VARIABLES = {
  endpoint: "EDGEWISE_S3_ENDPOINT",
  bucket: "EDGEWISE_S3_BUCKET",
  accessKeyId: "AWS_ACCESS_KEY_ID",
  secretAccessKey: "AWS_SECRET_ACCESS_KEY",
} as const;

/** The bucket of models that the environment names. @throws {Error} that names the variables which are missing */
export function openBucket(environment: Environment, signal?: AbortSignal): Bucket {
  const values = Object.entries(VARIABLES).map(([name, variable]) => [name, environment[variable] ?? ""] as const);
  const missing = values.flatMap(([name, value]) => (value === "" ? [VARIABLES[name as keyof typeof VARIABLES]] : []));
  if (missing.length > 0) {
    throw new Error(
      `Publishing over the S3 protocol needs ${missing.join(", ")}: the endpoint (https://ACCOUNT.r2.cloudflarestorage.com), the bucket of models, ` +
        "and an R2 API token with Object Read & Write.",
    );
  }
  const given = Object.fromEntries(values) as Record<keyof typeof VARIABLES, string>;
  return new Bucket({
    ...given,
    region: environment["AWS_REGION"] || "auto",
    sessionToken: environment["AWS_SESSION_TOKEN"] || undefined,
    signal,
  });
}

/** The pipeline on this machine. */
import { randomBytes } from "node:crypto";
import { type HeldLease } from "../publish/held-lease.ts";
import { publishModel } from "../publish/publish-model.ts";
import { promoteVersion } from "../publish/promote-version.ts";
import type { ManifestSigner } from "../publish/signing.ts";
import type { ApiClient } from "../client/api-client.ts";
import { describeMachine } from "../evaluate/machine.ts";
import type { PipelineDeps, Publisher } from "./deps.ts";
import { nodeFiles } from "./file-system.ts";
import type { RunEnvironment } from "./run-record.ts";
import { StageRefusal } from "./pipeline-error.ts";
import { workerRegistry } from "./sources.ts";
import { sourceHash } from "./source-hash.ts";

export function nodeDeps(options: {
  readonly home: string;
  readonly codeVersion: string;
  /** Root of the project. */
  readonly root: string;
  readonly publisher: Publisher | null;
  readonly report: PipelineDeps["report"];
  readonly signal?: AbortSignal;
}): PipelineDeps {
  const { home, publisher, report, signal } = options;
  return {
    files: nodeFiles,
    home,
    now: () => Date.now(),
    randomName: () => randomBytes(4).toString("hex"),
    publisher,
    environment: describeEnvironment(options.codeVersion, options.root),
    report,
    ...(signal ? { signal } : {}),
  };
}

export function describeEnvironment(codeVersion: string, root: string): RunEnvironment {
  return { codeVersion, sourceHash: sourceHash(root), ...describeMachine() };
}

/** Through the Worker's API, which checks and registers what it accepts. */
export function workerPublisher(
  client: Pick<ApiClient, "call">,
  target: string,
  signer: ManifestSigner | null = null,
  lease: HeldLease | null = null,
): Publisher {
  return {
    target,
    publish: (manifest, files) => publishModel(client, manifest, files, { signer, lease }),
    register: async ({ name, version, lineage }, { promote }) => {
      if (!promote) return;
      const serving = await workerRegistry(client).serving(name);
      // Judged against a version that no longer serves, it has shown nothing about the one that does.
      if (lineage.parent !== null && serving !== lineage.parent && serving !== version) {
        const now = `${serving?.slice(0, 12) ?? "nothing"} serves now, not ${lineage.parent.slice(0, 12)} that it was compared with`;
        throw new StageRefusal([`version ${version.slice(0, 12)} is published and not promoted: ${now}; train again`]);
      }
      await promoteVersion(client, name, version, { lease });
    },
  };
}

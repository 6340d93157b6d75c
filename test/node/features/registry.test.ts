import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import {
  checkRegistry,
  generateRegistry,
  REGISTRY_FOLDER,
  registryFile,
} from "../../../batch-training/features/registry-files.ts";
import { fraudOrders } from "../../../models/catalog/fraud-orders/features.ts";
import { serviceHash } from "../../../models/features/compile-service.ts";
import type { ServiceDefinition } from "../../../models/features/definition.ts";
import { diffServices, serviceDocument } from "../../../models/features/registry.ts";

const folders: string[] = [];

/** A copy of the registry that a test may spoil. */
function aRegistry(edit: (text: string) => string = (text) => text): string {
  const folder = mkdtempSync(join(tmpdir(), "registry-"));
  folders.push(folder);
  cpSync(REGISTRY_FOLDER, folder, { recursive: true });
  const file = registryFile(fraudOrders.name, folder);
  writeFileSync(file, edit(readFileSync(file, "utf8")));
  return folder;
}

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe("the feature registry", () => {
  it("is what the definitions say: a published version never changes silently", () => {
    expect(
      checkRegistry().map((problem) => [
        problem.text,
        ...problem.changes.map((change) => `${change.change} ${change.name}`),
      ]),
    ).toEqual([]);
  });

  it("names what differs from the published version, and does not overwrite it", () => {
    const published = serviceDocument(fraudOrders).hash;
    const folder = aRegistry((text) =>
      text.replaceAll(published, "0".repeat(64)).replace(/definition: line_count\b/, ""),
    );
    expect(checkRegistry(folder).map((problem) => problem.problem)).toEqual(["changed"]);
    expect(generateRegistry(false, folder)).toMatchObject({ refused: [{ problem: "changed" }] });
    expect(generateRegistry(true, folder).written).toContain(fraudOrders.name);
    expect(checkRegistry(folder)).toEqual([]);
  });

  it("notices a page that was edited by hand and a page without a definition", () => {
    const folder = aRegistry((text) => text.replace("Total of the order", "Total"));
    expect(checkRegistry(folder).map((problem) => problem.problem)).toEqual(["edited"]);
    copyFileSync(registryFile(fraudOrders.name, folder), registryFile("gone_v1", folder));
    expect(checkRegistry(folder).map((problem) => problem.problem)).toEqual(["edited", "orphaned"]);
  });

  it("diffs two versions by feature", () => {
    const [amount, hour, ...rest] = fraudOrders.features;
    if (!amount || !hour) throw new Error("the service has features");
    const next: ServiceDefinition = { ...fraudOrders, features: [hour, { ...amount, fallback: 0 }, ...rest.slice(1)] };
    const changes = diffServices(serviceDocument(fraudOrders), serviceDocument(next));
    expect(changes.map(({ what, name, change }) => `${change} ${what} ${name}`)).toContain("changed feature amount");
    expect(changes.map(({ what, name, change }) => `${change} ${what} ${name}`)).toContain("moved feature hour_of_day");
    expect(changes.map(({ what, name, change }) => `${change} ${what} ${name}`)).toContain(
      `removed feature ${rest[0]?.name ?? ""}`,
    );
  });

  it("hashes what determines values, and nothing else", () => {
    const reworded: ServiceDefinition = {
      ...fraudOrders,
      description: "other words",
      owner: "another team",
      features: fraudOrders.features.map((feature) => ({ ...feature, description: "other words" })),
    };
    expect(serviceHash(reworded)).toBe(serviceHash(fraudOrders));
    const [first, second, ...rest] = fraudOrders.features;
    if (!first || !second) throw new Error("the service has features");
    expect(serviceHash({ ...fraudOrders, features: [second, first, ...rest] })).not.toBe(serviceHash(fraudOrders));
  });
});

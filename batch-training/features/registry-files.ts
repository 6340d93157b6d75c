import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { FEATURE_CATALOG } from "../../models/catalog/feature-catalog.ts";
import {
  diffServices,
  type RegistryChange,
  serviceDocument,
  type ServiceDocument,
} from "../../models/features/registry.ts";
import { PROJECT_ROOT } from "../local/build-workers.ts";

/** Where the registry's pages are checked in, one file per service. */
export const REGISTRY_FOLDER = join(PROJECT_ROOT, "models/catalog/registry");

const HEADER =
  "# Generated from the definitions in models/catalog by `edgewise features generate`; a test compares the two.\n" +
  "# A definition never changes: to change a feature, give its group or service a new version beside the old one.\n";

export function registryFile(service: string, folder = REGISTRY_FOLDER): string {
  return join(folder, `${service}.yaml`);
}

export function renderRegistry(document: ServiceDocument): string {
  return HEADER + stringify(document, { lineWidth: 0 });
}

/** The checked-in page of a service, null where there is none. Throws with the file's name where it is not YAML of a page. */
export function readRegistry(service: string, folder = REGISTRY_FOLDER): ServiceDocument | null {
  const file = registryFile(service, folder);
  if (!existsSync(file)) return null;
  const document: unknown = parse(readFileSync(file, "utf8"));
  if (typeof document !== "object" || document === null || !("hash" in document) || !("features" in document))
    throw new Error(`${file} is not a page of the feature registry; generate it again`);
  return document as ServiceDocument;
}

export interface RegistryProblem {
  readonly service: string;
  readonly problem: "missing" | "changed" | "edited" | "orphaned";
  readonly text: string;
  readonly changes: readonly RegistryChange[];
}

/**
 * Compares the checked-in pages with the definitions. `changed`: a definition is not what its version was published as. `edited`:
 * the values agree but the text does not, so somebody wrote into the file. Empty when all is well.
 */
export function checkRegistry(folder = REGISTRY_FOLDER): RegistryProblem[] {
  const problems: RegistryProblem[] = [];
  for (const definition of FEATURE_CATALOG.services) {
    const document = serviceDocument(definition);
    const { name } = document;
    const known = readRegistry(name, folder);
    const problem = (kind: RegistryProblem["problem"], text: string, changes: readonly RegistryChange[] = []): void => {
      problems.push({ service: name, problem: kind, text, changes });
    };
    if (known === null) problem("missing", `${name} has no page; run "edgewise features generate"`);
    else if (known.hash !== document.hash) {
      const changes = diffServices(known, document);
      problem("changed", `${name} is not what was published under this name; give the change a new version`, changes);
    } else if (readFileSync(registryFile(name, folder), "utf8") !== renderRegistry(document))
      problem(
        "edited",
        `${registryFile(name, folder)} was edited by hand or is out of date; run "edgewise features generate"`,
      );
  }
  const names = new Set(FEATURE_CATALOG.services.map((service) => `${service.name}.yaml`));
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    if (names.has(file) || !file.endsWith(".yaml")) continue;
    const text = `${file} describes a service that no definition has; models pinned to it could not be served`;
    problems.push({ service: file, problem: "orphaned", text, changes: [] });
  }
  return problems;
}

/** Writes the pages. A page of another hash is replaced only with `unpublished`: no model may be pinned to it. */
export function generateRegistry(
  unpublished: boolean,
  folder = REGISTRY_FOLDER,
): { written: string[]; refused: RegistryProblem[] } {
  const refused = unpublished ? [] : checkRegistry(folder).filter((problem) => problem.problem === "changed");
  const blocked = new Set(refused.map((problem) => problem.service));
  const written: string[] = [];
  mkdirSync(folder, { recursive: true });
  for (const definition of FEATURE_CATALOG.services) {
    if (blocked.has(definition.name)) continue;
    writeFileSync(registryFile(definition.name, folder), renderRegistry(serviceDocument(definition)));
    written.push(definition.name);
  }
  return { written, refused };
}

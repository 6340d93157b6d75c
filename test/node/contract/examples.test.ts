import { describe, expect, it } from "vitest";
import type { Examples } from "../../../models/contract/api/define.ts";
import { ROUTES } from "../../../models/contract/routes.ts";

const named = (examples: Examples | undefined): [string, unknown][] =>
  Object.entries(examples ?? {}).map(([name, { value }]) => [name, value]);

const bodies = ROUTES.flatMap(({ operationId, body }) =>
  body?.kind === "json"
    ? named(body.examples).map(([name, value]) => ({ of: `${operationId} ${name}`, schema: body.schema, value }))
    : [],
);
const answers = ROUTES.flatMap(({ operationId, responses }) =>
  Object.entries(responses).flatMap(([status, { examples, schema }]) =>
    named(examples).map(([name, value]) => ({ of: `${operationId} ${status} ${name}`, schema, value })),
  ),
);

describe("examples in the API's document", () => {
  it.each([...bodies, ...answers])("fits its schema: $of", ({ schema, value }) => {
    expect(schema?.safeParse(value).error).toBeUndefined();
  });

  it("are there for every body of the recommendation routes", () => {
    const wanting = ROUTES.filter(
      ({ tag, body }) => tag === "Recommendations" && body?.kind === "json" && named(body.examples).length === 0,
    );
    expect(wanting.map(({ operationId }) => operationId)).toEqual([]);
  });
});

import { expect, it } from "vitest";
import { MODELS } from "../../../batch-training/pipeline/models.ts";
import { TRAINABLE_MODELS } from "../../../models/catalog/trainable-models.ts";

it("trains every model that a job may be asked for, and no other", () => {
  expect(Object.keys(MODELS).toSorted()).toEqual(TRAINABLE_MODELS.toSorted());
});

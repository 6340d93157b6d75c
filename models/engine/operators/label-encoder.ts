/** `LabelEncoder` of ai.onnx.ml between numbers; strings are left to ONNX Runtime. */
import type { NodeContext, Planner } from "../operator.ts";
import { type NumericType, sizeOf } from "../value.ts";

export const labelEncoder: Planner = (context) => {
  const input = context.input(0);
  const keys = numbersOf(context, "keys");
  const values = numbersOf(context, "values");
  if (keys.length !== values.length) throw context.bad(`${keys.length} keys and ${values.length} values`);
  const integers = context.ints("values_int64s") !== null;
  const otherwise = integers ? context.int("default_int64", -1) : context.float("default_float", -0);
  const type: NumericType = integers ? "int64" : "float32";
  // The first of two equal keys counts; NaN is a key like any other.
  const table = new Map<number, number>();
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index] ?? 0;
    if (!table.has(key)) table.set(key, values[index] ?? 0);
  }
  const output = context.output(0, type, input.dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const size = sizeOf(input.dims, rows);
        for (let index = 0; index < size; index++) output.data[index] = table.get(input.data[index] ?? 0) ?? otherwise;
      },
    },
  };
};

function numbersOf(context: NodeContext, what: "keys" | "values"): ArrayLike<number> {
  const found = context.ints(`${what}_int64s`) ?? context.floats(`${what}_floats`);
  if (!found) throw context.unsupported(`${what} that are not lists of integers or floats`);
  return found;
}

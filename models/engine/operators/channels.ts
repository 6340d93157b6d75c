/** Operators that treat each channel (dimension 1) on its own. */
import type { NodeContext, Planner } from "../operator.ts";
import { productOf, sizeOf } from "../value.ts";

/** `BatchNormalization` of a trained network: per channel one factor and one summand, worked out at load. */
export const batchNormalization: Planner = (context) => {
  const input = context.input(0);
  const channels = input.dims[1] ?? 1;
  const inner = productOf(input.dims.slice(2));
  if (context.int("training_mode", 0) === 1) throw context.unsupported("training mode");
  if (input.dims.length < 2 || channels < 0 || inner === null || inner < 0)
    throw context.unsupported(`an input of shape [${input.dims.join(", ")}]`);
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((index) => perChannel(context, index, channels));
  const epsilon = context.float("epsilon", 1e-5);
  const factor = Float64Array.from({ length: channels }, (_, channel) => {
    const spread = Math.sqrt((variance?.[channel] ?? 0) + epsilon);
    return (scale?.[channel] ?? 0) / spread;
  });
  const summand = factor.map((value, channel) => (bias?.[channel] ?? 0) - (mean?.[channel] ?? 0) * value);
  const output = context.output(0, input.type, input.dims);
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const size = sizeOf(input.dims, rows);
        const [source, target] = [input.data, output.data];
        for (let start = 0, channel = 0; start < size; start += inner, channel = (channel + 1) % channels) {
          const [times, plus] = [factor[channel] ?? 0, summand[channel] ?? 0];
          for (let at = start; at < start + inner; at++) target[at] = (source[at] ?? 0) * times + plus;
        }
      },
    },
  };
};

function perChannel(context: NodeContext, index: number, channels: number): ArrayLike<number> {
  const value = context.input(index);
  if (!value.constant) throw context.unsupported(`input ${index} must be a constant`);
  if (value.data.length !== channels) throw context.bad(`${value.data.length} parameters for ${channels} channels`);
  return value.data;
}

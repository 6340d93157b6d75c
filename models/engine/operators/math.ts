/** The functions behind element-wise operators, computed in doubles and rounded by the array that they are stored in. */
import type { NodeContext, Planner } from "../operator.ts";
import { isMarked, type NumericType, numericType, sizeOf } from "../value.ts";
import { ELEMENT_TYPES, type ElementType } from "../../onnx/model.ts";
import { binary, broadcast, divide, unary, unaryOf, variadic, where } from "./elementwise.ts";

export function sigmoid(x: number): number {
  // exp of a negative number only: no overflow, and the small side keeps its digits.
  const tail = Math.exp(-Math.abs(x));
  return x >= 0 ? 1 / (1 + tail) : tail / (1 + tail);
}

/** Abramowitz and Stegun 7.1.26 is too coarse; this is W. J. Cody's form by series and continued fraction, to 1e-12. */
export function erf(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude > 6) return Math.sign(x);
  if (magnitude < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 100; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (magnitude + fraction);
  return Math.sign(x) * (1 - Math.exp(-x * x) / ((magnitude + fraction) * Math.sqrt(Math.PI)));
}

/** Half to even, as IEEE 754 rounds. */
function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1;
}

function softplus(x: number): number {
  return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x));
}

function gelu(context: NodeContext): (x: number) => number {
  return context.string("approximate", "none") === "tanh"
    ? (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)))
    : (x) => 0.5 * x * (1 + erf(x / Math.SQRT2));
}

const LARGEST_FLOAT32 = 3.4028234663852886e38;

/** Bounds as inputs from version 11, as attributes before. */
const clip: Planner = (context) => {
  const bound = (index: number, name: string, otherwise: number): number => {
    if (context.opset < 11) return context.float(name, otherwise);
    const value = context.optional(index);
    if (value === null) return otherwise;
    if (!value.constant) throw context.unsupported("bounds that are computed");
    return value.data[0] ?? otherwise;
  };
  // An omitted bound is the type's largest finite number, so that infinities are clipped as well.
  const most = context.input(0).type === "float32" ? LARGEST_FLOAT32 : Number.MAX_VALUE;
  const low = bound(1, "min", -most);
  const high = bound(2, "max", most);
  return unary((x) => (Number.isNaN(x) ? x : Math.min(high, Math.max(low, x))))(context);
};

/** Modulo with the sign of the divisor, or of the dividend with `fmod`. */
const modulo: Planner = (context) =>
  context.int("fmod", 0) === 1
    ? binary((x, y) => x % y)(context)
    : binary((x, y) => x - Math.floor(x / y) * y)(context);

/** The tensor type that attribute `to` names. */
function castTarget(context: NodeContext): NumericType {
  const code = context.int("to", 0);
  const type = (ELEMENT_TYPES as Readonly<Record<number, ElementType>>)[code];
  const target = type === undefined ? null : numericType(type);
  // Small integers and half precision would need their own rounding.
  if (target === null || type !== target) throw context.unsupported(`a cast to ${type ?? code}`);
  return target;
}

export const cast: Planner = (context) => {
  const input = context.input(0);
  const target = castTarget(context);
  if (input.constant && target !== "int64" && input.data.some(isMarked))
    throw context.unsupported("the batch size is used as a number");
  const output = context.output(0, target, input.dims);
  const convert =
    target === "bool"
      ? (x: number) => (x === 0 ? 0 : 1)
      : target.startsWith("int")
        ? (x: number) => Math.trunc(x)
        : (x: number) => x;
  return {
    outputs: [output],
    step: {
      run: (rows) => {
        const size = sizeOf(input.dims, rows);
        for (let index = 0; index < size; index++) output.data[index] = convert(input.data[index] ?? 0);
      },
    },
  };
};

export const MATH_OPERATORS: Readonly<Record<string, Planner>> = {
  Abs: unary(Math.abs),
  Neg: unary((x) => -x),
  Sign: unary(Math.sign),
  Exp: unary(Math.exp),
  Log: unary(Math.log),
  Sqrt: unary(Math.sqrt),
  Reciprocal: unary((x) => 1 / x),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Round: unary(roundHalfEven),
  Sin: unary(Math.sin),
  Cos: unary(Math.cos),
  Tan: unary(Math.tan),
  Tanh: unary(Math.tanh),
  Atan: unary(Math.atan),
  Asin: unary(Math.asin),
  Acos: unary(Math.acos),
  Sinh: unary(Math.sinh),
  Cosh: unary(Math.cosh),
  Erf: unary(erf),
  Sigmoid: unary(sigmoid),
  Relu: unary((x) => (x < 0 ? 0 : x)),
  Softplus: unary(softplus),
  Softsign: unary((x) => x / (1 + Math.abs(x))),
  Not: unary((x) => (x === 0 ? 1 : 0), "bool"),
  IsNaN: unary((x) => (Number.isNaN(x) ? 1 : 0), "bool"),
  LeakyRelu: unaryOf((context) => {
    const alpha = Math.fround(context.float("alpha", 0.01));
    return (x) => (x < 0 ? alpha * x : x);
  }),
  Elu: unaryOf((context) => {
    const alpha = context.float("alpha", 1);
    return (x) => (x < 0 ? alpha * Math.expm1(x) : x);
  }),
  Celu: unaryOf((context) => {
    const alpha = context.float("alpha", 1);
    return (x) => Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha));
  }),
  Selu: unaryOf((context) => {
    const alpha = context.float("alpha", 1.67326319217681884765625);
    const gamma = context.float("gamma", 1.05070102214813232421875);
    return (x) => gamma * (x <= 0 ? alpha * Math.expm1(x) : x);
  }),
  ThresholdedRelu: unaryOf((context) => {
    const alpha = context.float("alpha", 1);
    return (x) => (x > alpha ? x : 0);
  }),
  HardSigmoid: unaryOf((context) => {
    const [alpha, beta] = [context.float("alpha", 0.2), context.float("beta", 0.5)];
    return (x) => Math.max(0, Math.min(1, alpha * x + beta));
  }),
  HardSwish: unary((x) => x * Math.max(0, Math.min(1, x / 6 + 0.5))),
  Mish: unary((x) => x * Math.tanh(softplus(x))),
  Gelu: unaryOf(gelu),
  Clip: clip,
  Add: binary((x, y) => x + y),
  Sub: binary((x, y) => x - y),
  Mul: binary((x, y) => x * y),
  Div: divide,
  Pow: (context) => {
    const [first, second] = [context.input(0), context.input(1)];
    if (first.type !== second.type && first.type.startsWith("int")) throw context.unsupported("an integer base");
    // The result has the type of the base, whatever the exponent's is.
    return broadcast(context, first, second, { fn: (x, y) => x ** y, type: first.type });
  },
  Mod: modulo,
  PRelu: binary((x, slope) => (x < 0 ? slope * x : x)),
  Equal: binary((x, y) => (x === y ? 1 : 0), "bool"),
  Greater: binary((x, y) => (x > y ? 1 : 0), "bool"),
  GreaterOrEqual: binary((x, y) => (x >= y ? 1 : 0), "bool"),
  Less: binary((x, y) => (x < y ? 1 : 0), "bool"),
  LessOrEqual: binary((x, y) => (x <= y ? 1 : 0), "bool"),
  And: binary((x, y) => (x !== 0 && y !== 0 ? 1 : 0), "bool"),
  Or: binary((x, y) => (x !== 0 || y !== 0 ? 1 : 0), "bool"),
  Xor: binary((x, y) => (x !== y ? 1 : 0), "bool"),
  Max: variadic((x, y) => (Number.isNaN(x) || x > y ? x : y)),
  Min: variadic((x, y) => (Number.isNaN(x) || x < y ? x : y)),
  Sum: variadic((x, y) => x + y),
  Mean: variadic(
    (x, y) => x + y,
    (sum, count) => sum / count,
  ),
  Where: where,
  Cast: cast,
};

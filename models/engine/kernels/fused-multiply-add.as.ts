/** x · y + sum in four lanes, rounded once where the machine can. */
// @ts-ignore: decorator
@inline
export function fma(x: v128, y: v128, sum: v128): v128 {
  return f32x4.relaxed_madd(x, y, sum);
}

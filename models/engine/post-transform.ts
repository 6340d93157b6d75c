/**
 * Post-transforms of ai.onnx.ml operators, computed in float32 steps where rounding shows, so that answers agree with ONNX
 * Runtime's down to its approximation of the probit function.
 */
export type PostTransform = "NONE" | "LOGISTIC" | "SOFTMAX" | "SOFTMAX_ZERO" | "PROBIT";

export const POST_TRANSFORMS: readonly PostTransform[] = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];

const { fround } = Math;

export function logistic(x: number): number {
  const positive = 1 / (1 + Math.exp(-Math.abs(x)));
  return x < 0 ? 1 - positive : positive;
}

// As coarse as in ONNX Runtime's source.
const PI = fround(314_159 / 1e5);
const ROOT_OF_TWO = fround(Math.SQRT2);

/** Inverse error function by Winitzki's approximation with a = 0.147, as ONNX Runtime has it. */
function inverseErf(x: number): number {
  const log = fround(Math.log(fround(fround(1 - x) * fround(1 + x))));
  const half = fround(fround(2 / fround(PI * fround(0.147))) + fround(0.5 * log));
  const root = fround(
    fround(-half) + fround(Math.sqrt(fround(fround(half * half) - fround(fround(1 / fround(0.147)) * log)))),
  );
  return (x < 0 ? -1 : 1) * fround(Math.sqrt(root));
}

export function probit(x: number): number {
  return fround(ROOT_OF_TWO * inverseErf(fround(fround(2 * fround(x)) - 1)));
}

/** Transforms `count` scores from `from` on, in place. */
export function postTransform(scores: Float32Array, from: number, count: number, transform: PostTransform): void {
  if (transform === "NONE") return;
  if (transform === "SOFTMAX" || transform === "SOFTMAX_ZERO")
    softmax(scores, from, count, transform === "SOFTMAX_ZERO");
  else
    for (let at = from; at < from + count; at++) {
      const score = scores[at] ?? 0;
      scores[at] = transform === "LOGISTIC" ? logistic(score) : probit(score);
    }
}

/** With `skipZeros`, scores of (nearly) zero stay nearly zero instead of becoming exp(0). */
function softmax(scores: Float32Array, from: number, count: number, skipZeros: boolean): void {
  let top = -3.4028234663852886e38;
  for (let at = from; at < from + count; at++) top = Math.max(top, scores[at] ?? 0);
  let sum = 0;
  for (let at = from; at < from + count; at++) {
    const score = scores[at] ?? 0;
    if (skipZeros && Math.abs(score) <= 1e-7) scores[at] = score * Math.exp(-top);
    else {
      scores[at] = Math.exp(score - top);
      sum += scores[at] ?? 0;
    }
  }
  for (let at = from; at < from + count; at++) scores[at] = (scores[at] ?? 0) / sum;
}

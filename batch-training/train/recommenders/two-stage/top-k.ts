/**
 * The k best items by score, best first; among equals the lower index, which is the more popular item. NaN is left out.
 * One pass with a short sorted list.
 */
export function topK(scores: Float32Array, k: number, skip: (item: number) => boolean): Int32Array {
  const best = new Int32Array(k);
  const values = new Float64Array(k);
  let count = 0;
  for (let item = 0; item < scores.length; item++) {
    const score = scores[item] ?? Number.NaN;
    if (count === k && !(score > (values[count - 1] ?? 0))) continue;
    if (Number.isNaN(score) || skip(item)) continue;
    let place = count < k ? count++ : count - 1;
    while (place > 0 && (values[place - 1] ?? 0) < score) {
      values[place] = values[place - 1] ?? 0;
      best[place] = best[place - 1] ?? 0;
      place--;
    }
    values[place] = score;
    best[place] = item;
  }
  return best.subarray(0, count);
}

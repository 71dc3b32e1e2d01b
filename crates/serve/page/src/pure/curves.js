// Curves: smoothing, scales, ticks. A point is [step, value].

/** @typedef {[number, number]} Point */

/**
 * Exponential smoothing that does not lean towards zero at the beginning. Values that are no numbers are passed over.
 * @param {Point[]} points
 * @param {number} weight of what was before: 0 to less than 1
 * @returns {Point[]}
 */
export function smooth(points, weight) {
  let [sum, norm] = [0, 0];
  return points.filter(([, y]) => Number.isFinite(y)).map(([x, y]) => {
    sum = sum * weight + y * (1 - weight);
    norm = norm * weight + (1 - weight);
    return [x, sum / norm];
  });
}

/**
 * Round numbers that span a range.
 * @param {number} low
 * @param {number} high
 * @param {number} most
 * @returns {number[]}
 */
export function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const raw = (high - low) / Math.max(most - 1, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  // The coarsest that are no more than asked for, or finer: one mark alone is no scale.
  const sizes = [10, 5, 2, 1, 0.5, 0.2, 0.1].map((m) => m * power);
  const coarsest = sizes.findLastIndex((size) => size >= raw * 0.999);
  for (const size of sizes.slice(Math.max(coarsest, 0))) {
    const found = [];
    for (let at = Math.ceil(low / size - 1e-9); at * size <= high + size * 1e-9; at += 1) found.push(Number((at * size).toPrecision(12)));
    if (found.length > 1) return found;
  }
  return [low];
}

/**
 * The least and greatest of a coordinate, never equal.
 * @param {Point[]} points
 * @param {0 | 1} axis
 * @returns {[number, number]}
 */
export function range(points, axis) {
  let [low, high] = [Infinity, -Infinity];
  for (const point of points) {
    if (!Number.isFinite(point[axis])) continue;
    low = Math.min(low, point[axis]);
    high = Math.max(high, point[axis]);
  }
  if (low > high) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

/**
 * @param {[number, number]} from
 * @param {[number, number]} to
 * @returns {(at: number) => number}
 */
export const scale = ([low, high], [start, end]) => (at) => start + ((at - low) / (high - low)) * (end - start);

/**
 * At most `most` points, each the first of its share, and the last: a screen has no more columns.
 * @param {Point[]} points
 * @param {number} most
 */
export function thinned(points, most) {
  if (points.length <= most) return points;
  const each = points.length / most;
  const found = Array.from({ length: most }, (_, at) => points[Math.floor(at * each)]);
  found[most - 1] = points[points.length - 1];
  return found;
}

/**
 * Which point is nearest to a step; -1 where there is none.
 * @param {Point[]} points in order
 * @param {number} step
 */
export function nearest(points, step) {
  let [low, high] = [0, points.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < step) low = middle + 1;
    else high = middle;
  }
  if (low > 0 && step - points[low - 1][0] < points[low][0] - step) low -= 1;
  return points.length === 0 ? -1 : low;
}

/**
 * Adds new points; a step that comes again, as after a run was resumed, replaces what came from there on.
 * @param {Point[]} points
 * @param {Point[]} more
 * @returns {Point[]}
 */
export function joined(points, more) {
  if (more.length === 0) return points;
  let keep = points.length;
  while (keep > 0 && points[keep - 1][0] >= more[0][0]) keep -= 1;
  return [...points.slice(0, keep), ...more];
}

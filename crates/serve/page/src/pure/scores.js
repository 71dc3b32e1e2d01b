// Scores of two models beside each other.

/**
 * @typedef {{ task: string, metric: string, value: number, stderr: number | null, samples: number | null, published: number | null, verdict: string | null }} Row
 */

/**
 * The rows that both have, with the difference and its error, as if the two were independent.
 * @param {Row[]} first
 * @param {Row[]} second
 */
export function compared(first, second) {
  const key = (/** @type {Row} */ row) => JSON.stringify([row.task, row.metric]);
  const others = new Map(second.map((row) => [key(row), row]));
  return first.flatMap((one) => {
    const other = others.get(key(one));
    if (!other) return [];
    const difference = one.value - other.value;
    const known = typeof one.stderr === "number" && typeof other.stderr === "number";
    const error = known ? Math.hypot(/** @type {number} */ (one.stderr), /** @type {number} */ (other.stderr)) : null;
    const beyond = error === null || error === 0 ? null : Math.abs(difference) > 1.96 * error;
    return [{ task: one.task, metric: one.metric, one, other, difference, error, beyond }];
  });
}

/**
 * @param {{ beyond: boolean | null }} row
 */
export const words = ({ beyond }) => (beyond === null ? "error not known" : beyond ? "beyond chance" : "within chance");

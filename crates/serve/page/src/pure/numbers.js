// Numbers, sizes and times as people read them.

/** @param {number} p */
export function percent(p) {
  const hundred = 100 * p;
  if (hundred > 0 && hundred < 0.1) return "< 0.1 %";
  return `${hundred.toFixed(hundred < 10 ? 1 : 0)} %`;
}

/**
 * 125,000,000 is 125 M.
 * @param {number | null | undefined} n
 */
export function count(n) {
  if (n === null || n === undefined) return "–";
  for (const [size, unit] of /** @type {const} */ ([[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e4, "k"]])) {
    if (n >= size) return `${short(n / (unit === "k" ? 1e3 : size))} ${unit}`;
  }
  return n.toLocaleString("en");
}

/** @param {number | null | undefined} n */
export function bytes(n) {
  if (n === null || n === undefined) return "–";
  for (const [power, unit] of /** @type {const} */ ([[40, "TiB"], [30, "GiB"], [20, "MiB"], [10, "KiB"]])) {
    if (n >= 2 ** power) return `${short(n / 2 ** power)} ${unit}`;
  }
  return `${n} B`;
}

/** @param {number} n */
const short = (n) => (n >= 100 ? n.toFixed(0) : n.toFixed(1).replace(/\.0$/, ""));

/** @param {number | null | undefined} s */
export function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s < 60) return `${s < 10 ? Number(s.toFixed(1)) : Math.round(s)} s`;
  const whole = Math.round(s);
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

/**
 * A measured value, to so many significant digits.
 * @param {number | null | undefined} value
 */
export function value(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return String(value);
  if (value !== 0 && (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-4)) return value.toExponential(2);
  return String(Number(value.toPrecision(digits)));
}

/**
 * A standard error, to two digits.
 * @param {number | null | undefined} error
 */
export function error(error) {
  if (error === null || error === undefined) return "–";
  return `± ${error >= 10 || error < 1e-4 ? value(error) : error.toPrecision(2)}`;
}

/**
 * When something was: seconds since 1970 or a date as text.
 * @param {number | string | null | undefined} time
 */
export function when(time) {
  if (time === null || time === undefined || time === "") return "–";
  const date = new Date(typeof time === "number" ? (time > 1e11 ? time : time * 1000) : time);
  if (Number.isNaN(date.getTime())) return String(time);
  return date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

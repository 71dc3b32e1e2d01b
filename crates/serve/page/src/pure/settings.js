// How a text is generated: what the form holds as text, and what is sent.

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} help
 * @property {number} min
 * @property {number} max
 * @property {boolean} [whole]
 * @property {boolean} [above] more than `min`
 * @property {string} usual what counts where nothing is said
 */

/** @type {Field[]} */
export const FIELDS = [
  { name: "temperature", label: "Temperature", help: "0 always takes the likeliest token; higher is more varied", min: 0, max: 10, usual: "1" },
  { name: "top_p", label: "Top p", help: "only the likeliest tokens that make up this share", min: 0, max: 1, above: true, usual: "1" },
  { name: "top_k", label: "Top k", help: "only so many of the likeliest tokens; 0 is all", min: 0, max: 1e9, whole: true, usual: "0" },
  { name: "min_p", label: "Min p", help: "only tokens at least this share as likely as the likeliest", min: 0, max: 1, usual: "0" },
  { name: "repetition_penalty", label: "Repetition penalty", help: "above 1, what was said is said again less", min: 0.01, max: 100, usual: "1" },
  { name: "max_tokens", label: "Longest answer", help: "in tokens", min: 0, max: 4294967295, whole: true, usual: "the context" },
  { name: "seed", label: "Seed", help: "the same seed gives the same text", min: 0, max: Number.MAX_SAFE_INTEGER, whole: true, usual: "random" },
];

/** @typedef {Record<string, string>} Form the fields above, and `stop`: a string a line, \n for a line end */

/**
 * What a form says.
 * @param {Form} form
 * @returns {{ body: Record<string, number | string[]>, flaws: Record<string, string> }}
 */
export function read(form) {
  /** @type {Record<string, number | string[]>} */
  const body = {};
  /** @type {Record<string, string>} */
  const flaws = {};
  for (const { name, min, max, whole, above } of FIELDS) {
    const text = (form[name] ?? "").trim().replace(",", ".");
    if (text === "") continue;
    const number = Number(text);
    if (!Number.isFinite(number)) flaws[name] = "This is not a number.";
    else if (whole && !Number.isInteger(number)) flaws[name] = "This must be a whole number.";
    else if (number < min || number > max || (above && number === min)) {
      flaws[name] = max >= 1e9 ? `This must be ${min} or more.` : `This must be ${above ? "more than " : ""}${min} to ${max}.`;
    } else body[name] = number;
  }
  const stops = (form.stop ?? "").split("\n").filter((line) => line !== "").map(unescaped);
  if (stops.length > 4) flaws.stop = "There may be at most four.";
  else if (stops.length > 0) body.stop = stops;
  return { body, flaws };
}

/** @param {string} line */
const unescaped = (line) => line.replace(/\\([nt\\])/g, (_, c) => (c === "n" ? "\n" : c === "t" ? "\t" : "\\"));

/** @param {string} stop */
const escaped = (stop) => stop.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll("\t", "\\t");

/**
 * The form that says what a preset's settings say.
 * @param {Record<string, any>} settings
 * @returns {Form}
 */
export function write(settings) {
  /** @type {Form} */
  const form = {};
  for (const { name } of FIELDS) if (settings[name] !== undefined && settings[name] !== null) form[name] = String(settings[name]);
  if (settings.stop?.length > 0) form.stop = [settings.stop].flat().map(escaped).join("\n");
  return form;
}

// A preset's template: text in which {{name}} stands for what a field holds. What is filled in is never read again as a template.

const PLACE = /\{\{\s*([A-Za-z0-9_-]+)\s*\}\}/g;

/**
 * @param {string} template
 * @param {Record<string, string>} values
 * @returns {string} with the names that have no value left as they stand
 */
export const fill = (template, values) =>
  template.replace(PLACE, (place, name) => (Object.hasOwn(values, name) ? values[name] : place));

/**
 * @param {string} template
 * @returns {string[]} the names that stand in it, each once
 */
export const names = (template) => [...new Set([...template.matchAll(PLACE)].map((place) => place[1]))];

/**
 * The command that does the same in a terminal.
 * @param {string} preset
 * @param {Record<string, string>} values
 */
export function command(preset, values) {
  const sets = Object.entries(values).filter(([, value]) => value !== "");
  return ["gptneo run --preset", quote(preset), ...sets.map(([name, value]) => `--set ${quote(`${name}=${value}`)}`)].join(" ");
}

/**
 * A word as a shell takes it.
 * @param {string} word
 */
export const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

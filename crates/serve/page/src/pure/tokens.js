// Tokens with their log-probabilities, as /v1/completions sends them, laid over the text that they make.

/**
 * @typedef {object} Other
 * @property {string} token as the server spells it
 * @property {number} logprob
 * @property {boolean} text whether it is text by itself, and not a part of a character
 *
 * @typedef {object} Token
 * @property {number} from the code point of the text where it begins
 * @property {string} text its part of the text; empty where it is a part of a character
 * @property {string} spelled
 * @property {number | null} logprob
 * @property {Other[]} others likeliest first
 * @property {boolean} chosen put there by the user
 */

/** How the server spells a token that is no text by itself. */
const BYTES = "bytes:";

/**
 * @param {Record<string, number> | null | undefined} top
 * @returns {Other[]}
 */
export const others = (top) =>
  Object.entries(top ?? {})
    .map(([token, logprob]) => ({ token, logprob, text: !token.startsWith(BYTES) }))
    .sort((one, other) => other.logprob - one.logprob);

/** Text and tokens of one answer, as they come. Offsets count code points, as the server does, not JavaScript's halves. */
export class Arriving {
  /** @type {string[]} */
  points = [];
  /** @type {Token[]} */
  tokens = [];

  /**
   * Takes the next part of a choice.
   * @param {string} text
   * @param {any} logprobs
   * @returns {number} the first token that is new or changed
   */
  take(text, logprobs) {
    const old = this.tokens.length;
    const before = this.points.length;
    for (const point of text) this.points.push(point);
    const spelled = logprobs?.tokens ?? [];
    spelled.forEach((/** @type {string} */ token, /** @type {number} */ at) => {
      this.tokens.push({
        from: logprobs.text_offset?.[at] ?? before,
        text: "",
        spelled: token,
        logprob: logprobs.token_logprobs?.[at] ?? null,
        others: others(logprobs.top_logprobs?.[at]),
        chosen: false,
      });
    });
    if (this.tokens.length === 0 && text !== "") {
      this.tokens.push({ from: 0, text: "", spelled: text, logprob: null, others: [], chosen: false });
    }
    // The token before may have got more text, and the new ones theirs.
    const first = Math.max(old - 1, 0);
    for (let at = first; at < this.tokens.length; at += 1) {
      const to = this.tokens[at + 1]?.from ?? this.points.length;
      this.tokens[at].text = this.points.slice(this.tokens[at].from, to).join("");
    }
    return first;
  }
}

/** @param {Token[]} tokens */
export const textOf = (tokens) => tokens.map((token) => token.text).join("");

/**
 * How likely a token was, in five steps: 0 is likely. -1: not known.
 * @param {number | null} logprob
 */
export function step(logprob) {
  if (logprob === null) return -1;
  const p = Math.exp(logprob);
  return [0.8, 0.5, 0.2, 0.05].filter((bound) => p < bound).length;
}

/** What the steps mean. */
export const STEPS = ["80 % and more", "50 to 80 %", "20 to 50 %", "5 to 20 %", "under 5 %"];

/**
 * The tokens before one, and another in its place.
 * @param {Token[]} tokens
 * @param {number} at
 * @param {Other} other
 * @returns {Token[]}
 */
export function replaced(tokens, at, other) {
  const old = tokens[at];
  return [...tokens.slice(0, at), { ...old, text: other.token, spelled: other.token, logprob: other.logprob, chosen: true }];
}

/**
 * A text whose spaces and line ends show.
 * @param {string} text
 */
export const visible = (text) =>
  text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll("\r", "␍") || "(empty)";

/**
 * What the probabilities of a text come to.
 * @param {Token[]} tokens
 */
export function summary(tokens) {
  const known = tokens.flatMap((token) => (token.logprob === null ? [] : [token.logprob]));
  if (known.length === 0) return null;
  const sum = known.reduce((all, one) => all + one, 0);
  return { tokens: known.length, sum, perplexity: Math.exp(-sum / known.length) };
}

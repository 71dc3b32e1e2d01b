// What stands within a line of Markdown: code, emphasis, links. Links lead to https alone.

/**
 * @typedef {{ kind: "text", text: string }
 *   | { kind: "code", text: string }
 *   | { kind: "strong" | "emphasis", spans: Span[] }
 *   | { kind: "link", href: string, spans: Span[] }
 *   | { kind: "break" }} Span
 */

/** A paragraph longer than this is shown as it stands: looking for the ends of marks takes time that grows with the square of it. */
const LONGEST = 8000;
const DEEPEST = 5;
const PUNCTUATION = /[!-/:-@[-`{-~]/;

/**
 * @param {string} text
 * @returns {Span[]}
 */
export const spans = (text) => (text.length > LONGEST ? [{ kind: "text", text }] : inner(text, 0, true));

/**
 * An address that may be followed; null for all others.
 * @param {string} address
 */
export function safe(address) {
  if (!/^https:\/\/[^\s<>"'\\\u0000-\u001f]+$/i.test(address)) return null;
  try {
    const url = new URL(address);
    return url.protocol === "https:" && url.username === "" && url.password === "" ? url.href : null;
  } catch {
    return null;
  }
}

/**
 * @param {string} text
 * @param {number} depth
 * @param {boolean} links whether links may stand here: there are none within links
 * @returns {Span[]}
 */
function inner(text, depth, links) {
  /** @type {Span[]} */
  const found = [];
  let plain = "";
  const flush = () => {
    if (plain !== "") found.push({ kind: "text", text: plain });
    plain = "";
  };
  const put = (/** @type {Span} */ span) => {
    flush();
    found.push(span);
  };
  let at = 0;
  while (at < text.length) {
    const c = text[at];
    if (c === "\\" && at + 1 < text.length && PUNCTUATION.test(text[at + 1])) {
      plain += text[at + 1];
      at += 2;
    } else if (c === "\n") {
      const hard = /( {2,}|\\)$/.test(plain);
      plain = plain.replace(hard ? /( +|\\)$/ : / +$/, "");
      if (hard) put({ kind: "break" });
      else plain += "\n";
      at += 1;
    } else {
      const taken = special(text, at, depth, links);
      if (taken) {
        put(taken.span);
        at = taken.to;
      } else {
        // A run of the same mark that opens nothing is text as a whole.
        let to = at + 1;
        if ("`*_".includes(c)) while (text[to] === c) to += 1;
        plain += text.slice(at, to);
        at = to;
      }
    }
  }
  flush();
  return found;
}

/**
 * What begins at `at`, if it is more than text.
 * @param {string} text
 * @param {number} at
 * @param {number} depth
 * @param {boolean} links
 * @returns {{ span: Span, to: number } | null}
 */
function special(text, at, depth, links) {
  const c = text[at];
  if (c === "`") return code(text, at);
  if ((c === "*" || c === "_") && depth < DEEPEST) return emphasis(text, at, depth, links);
  if (c === "!" && text[at + 1] === "[") return link(text, at + 1, depth, links);
  if (c === "[" && depth < DEEPEST) return link(text, at, depth, links);
  if (c === "<" && links) {
    const end = text.indexOf(">", at);
    const href = end < 0 ? null : safe(text.slice(at + 1, end));
    return href ? { span: { kind: "link", href, spans: [{ kind: "text", text: text.slice(at + 1, end) }] }, to: end + 1 } : null;
  }
  if (c === "h" && links && text.startsWith("https://", at) && !/[\w/]/.test(text[at - 1] ?? " ")) {
    const address = /^https:\/\/[^\s<>"'`|\\]+/.exec(text.slice(at))?.[0].replace(/[.,;:!?)\]*_]+$/, "") ?? "";
    const href = safe(address);
    return href ? { span: { kind: "link", href, spans: [{ kind: "text", text: address }] }, to: at + address.length } : null;
  }
  return null;
}

/** @param {string} text @param {number} at @returns {{ span: Span, to: number } | null} */
function code(text, at) {
  const ticks = /^`+/.exec(text.slice(at))?.[0] ?? "`";
  let end = at + ticks.length;
  while ((end = text.indexOf(ticks, end)) >= 0) {
    if (text[end + ticks.length] !== "`" && text[end - 1] !== "`") {
      const within = text.slice(at + ticks.length, end).replaceAll("\n", " ");
      const bare = /^ .*[^ ].* $/.test(within) ? within.slice(1, -1) : within;
      return { span: { kind: "code", text: bare }, to: end + ticks.length };
    }
    end += 1;
  }
  return null;
}

/** @param {string} text @param {number} at @param {number} depth @param {boolean} links @returns {{ span: Span, to: number } | null} */
function emphasis(text, at, depth, links) {
  const c = text[at];
  const size = text[at + 1] === c ? 2 : 1;
  const mark = c.repeat(size);
  const from = at + size;
  // An underscore within a word is a letter: `pad_token_id`.
  if (/\s/.test(text[from] ?? " ") || (c === "_" && /\w/.test(text[at - 1] ?? " "))) return null;
  let end = from;
  while ((end = text.indexOf(mark, end)) >= 0) {
    const whole = text[end + size] !== c && text[end - 1] !== c;
    const closes = end > from && !/\s/.test(text[end - 1]) && text[end - 1] !== "\\" && !(c === "_" && /\w/.test(text[end + size] ?? " "));
    if (closes && (whole || (size === 1 && text[end + 1] !== c && text[end - 1] === c))) {
      const kind = size === 2 ? "strong" : "emphasis";
      return { span: { kind, spans: inner(text.slice(from, end), depth + 1, links) }, to: end + size };
    }
    if (closes && size === 2 && text[end + 2] === c) {
      return { span: { kind: "strong", spans: inner(text.slice(from, end + 1), depth + 1, links) }, to: end + 3 };
    }
    end += whole ? size : Math.max(1, size);
  }
  return null;
}

/** `[words](address)`; an address that may not be followed leaves the words. @param {string} text @param {number} at @param {number} depth @param {boolean} links @returns {{ span: Span, to: number } | null} */
function link(text, at, depth, links) {
  let [open, end] = [1, at + 1];
  for (; end < text.length && open > 0; end += 1) {
    if (text[end] === "\\") end += 1;
    else if (text[end] === "[") open += 1;
    else if (text[end] === "]") open -= 1;
  }
  if (open > 0 || text[end] !== "(") return null;
  const address = /^\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)/.exec(text.slice(end, end + 2000));
  if (!address) return null;
  const words = inner(text.slice(at + 1, end - 1), depth + 1, false);
  const href = links ? safe(address[1]) : null;
  const to = end + address[0].length;
  if (href) return { span: { kind: "link", href, spans: words.length > 0 ? words : [{ kind: "text", text: href }] }, to };
  return { span: words.length === 1 ? words[0] : { kind: "emphasis", spans: words }, to };
}

// Markdown of model cards as a tree of blocks, which components draw. There is no HTML in it: what looks like HTML is text.

import { spans } from "./spans.js";

/**
 * @typedef {import("./spans.js").Span} Span
 * @typedef {{ kind: "heading", level: number, spans: Span[] }
 *   | { kind: "paragraph", spans: Span[] }
 *   | { kind: "code", language: string, text: string }
 *   | { kind: "quote", blocks: Block[] }
 *   | { kind: "list", start: number | null, items: Block[][] }
 *   | { kind: "table", align: ("left" | "center" | "right")[], head: Span[][], rows: Span[][][] }
 *   | { kind: "rule" }} Block
 */

// What has been taken for the fence is not tried again as its words: hostile lines would take the square of their length.
const FENCE = /^ {0,3}(?=(`{3,}|~{3,}))\1([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:([ \t]+)(.*))?$/;
const QUOTE = /^ {0,3}> ?(.*)$/;
const DIVIDER = /^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
/** A line longer than this is text, whatever it looks like. */
const LONGEST_LINE = 4000;
/** Blocks within blocks: a stranger's file may nest without end. */
const DEEPEST = 8;

/**
 * @param {string} text
 * @returns {Block[]}
 */
export function markdown(text) {
  const lines = text.replace(/\r\n?/g, "\n").replaceAll("\0", "\ufffd").replace(/\t/g, "    ").split("\n");
  return blocks(withoutFrontMatter(lines), 0);
}

/** The settings that a model card begins with are for machines. @param {string[]} lines */
function withoutFrontMatter(lines) {
  if (lines[0]?.trim() !== "---") return lines;
  const end = lines.findIndex((line, at) => at > 0 && /^(---|\.\.\.)\s*$/.test(line));
  return end < 0 ? lines : lines.slice(end + 1);
}

/**
 * @param {string[]} lines
 * @param {number} depth
 * @returns {Block[]}
 */
function blocks(lines, depth) {
  /** @type {Block[]} */
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    /** @type {RegExpMatchArray | null} */
    let match;
    if (line.trim() === "") {
      at += 1;
    } else if (line.length > LONGEST_LINE) {
      found.push({ kind: "paragraph", spans: [{ kind: "text", text: line }] });
      at += 1;
    } else if ((match = line.match(FENCE))) {
      const [, fence, words] = match;
      const language = words.trim().split(/\s/)[0];
      const close = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}\\s*$`);
      let end = at + 1;
      while (end < lines.length && !close.test(lines[end])) end += 1;
      found.push({ kind: "code", language, text: lines.slice(at + 1, end).join("\n") });
      at = end + 1;
    } else if ((match = line.match(HEADING))) {
      found.push({ kind: "heading", level: match[1].length, spans: spans((match[2] ?? "").replace(/[ \t]+#+[ \t]*$/, "").trim()) });
      at += 1;
    } else if (RULE.test(line)) {
      found.push({ kind: "rule" });
      at += 1;
    } else if (depth < DEEPEST && QUOTE.test(line)) {
      const inner = [];
      for (; at < lines.length && (match = lines[at].match(QUOTE)); at += 1) inner.push(match[1]);
      found.push({ kind: "quote", blocks: blocks(inner, depth + 1) });
    } else if (depth < DEEPEST && ITEM.test(line)) {
      at = list(lines, at, depth, found);
    } else if (/^ {4}/.test(line)) {
      const from = at;
      while (at < lines.length && (/^ {4}/.test(lines[at]) || lines[at].trim() === "")) at += 1;
      found.push({ kind: "code", language: "", text: lines.slice(from, at).map((one) => one.slice(4)).join("\n").trimEnd() });
    } else if (line.includes("|") && at + 1 < lines.length && lines[at + 1].length <= LONGEST_LINE && DIVIDER.test(lines[at + 1]) && cells(line).length === cells(lines[at + 1]).length) {
      at = table(lines, at, found);
    } else {
      const from = at;
      at += 1;
      while (at < lines.length && !ends(lines[at])) at += 1;
      found.push({ kind: "paragraph", spans: spans(lines.slice(from, at).map((one) => one.trimStart()).join("\n").trimEnd()) });
    }
  }
  return found;
}

/** Whether a line ends the paragraph before it. @param {string} line */
const ends = (line) =>
  line.trim() === "" || line.length > LONGEST_LINE || FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || /^ {0,3}([-*+]|1[.)])[ \t]+\S/.test(line);

/**
 * @param {string[]} lines
 * @param {number} at where its first item stands
 * @param {number} depth
 * @param {Block[]} found
 * @returns {number} the line after it
 */
function list(lines, at, depth, found) {
  const kind = (/** @type {string} */ mark) => (/\d/.test(mark) ? mark.slice(-1) : mark);
  const first = /** @type {RegExpMatchArray} */ (lines[at].match(ITEM));
  const items = [];
  while (at < lines.length) {
    const match = lines[at].match(ITEM);
    if (!match || RULE.test(lines[at]) || kind(match[2]) !== kind(first[2])) break;
    const indent = match[1].length + match[2].length + Math.min(match[3]?.length ?? 1, 4);
    const inner = [match[4] ?? ""];
    for (at += 1; at < lines.length; at += 1) {
      const line = lines[at];
      const blank = line.trim() === "";
      const within = line.search(/\S/) >= indent;
      const lazy = !blank && !ends(line) && !ITEM.test(line) && inner.at(-1)?.trim() !== "";
      if (!blank && !within && !lazy) break;
      if (blank && !(lines[at + 1]?.search(/\S/) >= indent)) break;
      inner.push(within ? line.slice(indent) : line.trimStart());
    }
    items.push(blocks(inner, depth + 1));
    let next = at;
    while (next < lines.length && lines[next].trim() === "") next += 1;
    if (next < lines.length && ITEM.test(lines[next])) at = next;
  }
  found.push({ kind: "list", start: /\d/.test(first[2]) ? Number.parseInt(first[2], 10) : null, items });
  return at;
}

/**
 * @param {string[]} lines
 * @param {number} at where its head stands
 * @param {Block[]} found
 * @returns {number} the line after it
 */
function table(lines, at, found) {
  const head = cells(lines[at]);
  const align = cells(lines[at + 1]).map((cell) => (/^:-*:$/.test(cell) ? "center" : cell.endsWith(":") ? "right" : "left"));
  const rows = [];
  for (at += 2; at < lines.length && lines[at].includes("|") && lines[at].trim() !== ""; at += 1) {
    const row = cells(lines[at]);
    rows.push(head.map((_, column) => spans(row[column] ?? "")));
  }
  found.push({ kind: "table", align: /** @type {("left" | "center" | "right")[]} */ (align), head: head.map(spans), rows });
  return at;
}

/** @param {string} line */
function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(^|[^\\])\|$/, "$1");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.replaceAll("\\|", "|").trim());
}

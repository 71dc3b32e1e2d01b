// What the page promises, looked for in its sources and in what is built of them.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const ROOT = new URL("..", import.meta.url).pathname;
const files = (folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
const sources = files("src").map((path) => [path.slice(ROOT.length), readFileSync(path, "utf8")]);

/** No source has what this finds. */
function check(pattern, which = /./) {
  for (const [path, text] of sources) {
    if (which.test(path)) assert.equal(pattern.exec(text)?.[0], undefined, path);
  }
}

test("text is never read as HTML", () => check(/\{@html|innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser/));
test("nothing is evaluated", () => check(/\beval\(|new Function|setTimeout\(["'`]/));
test("no element has a style of its own, which the server's policy would refuse", () => check(/\sstyle=/, /\.svelte$/));
test("dialogs are the page's own", () => check(/\b(?:window\.)?(?:alert|confirm|prompt)\(/, /\.(svelte|ts)$/));
test("every file is one concept of a size to read", () => {
  for (const [path, text] of sources) assert.ok(text.split("\n").length <= 300, path);
});
test("what is built has fixed names, and names no other place to fetch from", () => {
  const built = files("dist").map((path) => path.slice(ROOT.length)).sort();
  assert.deepEqual(built, ["dist/assets/app.css", "dist/assets/app.js", "dist/favicon.svg", "dist/index.html"]);
  const css = readFileSync(join(ROOT, "dist/assets/app.css"), "utf8");
  assert.doesNotMatch(css, /@import|url\(/);
  const html = readFileSync(join(ROOT, "dist/index.html"), "utf8");
  assert.deepEqual([...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1]).sort(), ["/assets/app.css", "/assets/app.js", "/favicon.svg"]);
  assert.doesNotMatch(html, /<style|<script(?![^>]*src=)|\sstyle=|\son\w+=/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { markdown } from "../src/pure/markdown.js";
import { safe } from "../src/pure/spans.js";

/** The tree in short: kinds and texts. */
function brief(node) {
  if (Array.isArray(node)) return node.map(brief).join("");
  switch (node.kind) {
    case "text": return node.text;
    case "code": return node.language === undefined ? `<c>${node.text}</c>` : `<pre ${node.language}>${node.text}</pre>`;
    case "strong": return `<b>${brief(node.spans)}</b>`;
    case "emphasis": return `<i>${brief(node.spans)}</i>`;
    case "link": return `<a ${node.href}>${brief(node.spans)}</a>`;
    case "break": return "<br>";
    case "heading": return `<h${node.level}>${brief(node.spans)}</h>`;
    case "paragraph": return `<p>${brief(node.spans)}</p>`;
    case "quote": return `<q>${brief(node.blocks)}</q>`;
    case "list": return `<list ${node.start ?? "-"}>${node.items.map((item) => `<li>${brief(item)}</li>`).join("")}</list>`;
    case "table": return `<table ${node.align}>${[node.head, ...node.rows].map((row) => `<tr>${row.map((cell) => `<td>${brief(cell)}</td>`).join("")}</tr>`).join("")}</table>`;
    default: return `<${node.kind}>`;
  }
}
const check = (text, wanted) => assert.equal(brief(markdown(text)), wanted, JSON.stringify(text));

test("blocks", () => {
  check("# One #\ntext\n\n## Two", "<h1>One</h><p>text</p><h2>Two</h>");
  check("```python\nx = '**'\n```\nafter", "<pre python>x = '**'</pre><p>after</p>");
  check("~~~\nnever closed", "<pre >never closed</pre>");
  check("> one\n> two", "<q><p>one\ntwo</p></q>");
  check("a\n\n---\n\nb", "<p>a</p><rule><p>b</p>");
  check("    code\n\n    more", "<pre >code\n\nmore</pre>");
  check("a  \nb\\\nc", "<p>a<br>b<br>c</p>");
});
test("the settings in front are not shown", () => {
  check("---\nlicense: mit\n---\n# Card", "<h1>Card</h>");
});
test("lists, within each other", () => {
  check("- one\n- two\n  - inner\n- three", "<list -><li><p>one</p></li><li><p>two</p><list -><li><p>inner</p></li></list></li><li><p>three</p></li></list>");
  check("3. three\n4. four", "<list 3><li><p>three</p></li><li><p>four</p></li></list>");
  check("- one\n\n- two\n\nafter", "<list -><li><p>one</p></li><li><p>two</p></li></list><p>after</p>");
  check("- one\ngoes on", "<list -><li><p>one\ngoes on</p></li></list>");
});
test("tables", () => {
  check("| a | b |\n|--:|:-:|\n| 1 | `x \\| y` |\n| 2 |\n\nend", "<table right,center><tr><td>a</td><td>b</td></tr><tr><td>1</td><td><c>x | y</c></td></tr><tr><td>2</td><td></td></tr></table><p>end</p>");
});
test("emphasis and code", () => {
  check("**bold** *it* __b__ _i_ `a*b*` 2 * 3 * 4", "<p><b>bold</b> <i>it</i> <b>b</b> <i>i</i> <c>a*b*</c> 2 * 3 * 4</p>");
  check("pad_token_id and \\*plain\\*", "<p>pad_token_id and *plain*</p>");
  check("**a *b* c**", "<p><b>a <i>b</i> c</b></p>");
  check("***both***", "<p><b><i>both</i></b></p>");
  check("**open *and `open", "<p>**open *and `open</p>");
});
test("links lead to https alone", () => {
  check("[a](https://x.org/p_(q)) <https://y.org> https://z.org/a.", "<p><a https://x.org/p_(q)>a</a> <a https://y.org/>https://y.org</a> <a https://z.org/a>https://z.org/a</a>.</p>");
  for (const bad of ["javascript:alert(1)", "http://x.org", "data:text/html,x", "//x.org", "/local", "JaVaScRiPt:x", "https://me:pw@x.org"]) {
    assert.equal(safe(bad), null, bad);
    check(`[a](${bad})`, "<p>a</p>");
  }
});
test("what looks like HTML is text", () => {
  check('<script>alert(1)</script> <img src="x" onerror="y">', '<p><script>alert(1)</script> <img src="x" onerror="y"></p>');
});
test("hostile texts take no time", () => {
  for (const text of ["*".repeat(1e5), "[".repeat(1e5), "> ".repeat(5e4), "`".repeat(9999) + " ", "- ".repeat(5e4), "**a ".repeat(4900), "|".repeat(1e5) + "\n|-|", "_a".repeat(9000), "[a](".repeat(4900), "<".repeat(19000), "~".repeat(9999) + "`", "#" + " ".repeat(9999) + "x", "|\n" + " ".repeat(9999) + "x", "[".repeat(7999)]) {
    const begun = performance.now();
    markdown(text);
    assert.ok(performance.now() - begun < 1000, `${text.slice(0, 8)} took ${performance.now() - begun} ms`);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { command, fill, names, quote } from "../src/pure/template.js";

test("fields are filled in once", () => {
  assert.equal(fill("{{a}} and {{ b }}", { a: "{{b}}", b: "$&" }), "{{b}} and $&");
});
test("what has no value stays as it is", () => {
  assert.equal(fill("{{a}} {{toString}} {b} {{}}", { a: "1" }), "1 {{toString}} {b} {{}}");
});
test("names are told once", () => {
  assert.deepEqual(names("{{a}} {{b}} {{ a }}"), ["a", "b"]);
});
test("a command survives the shell", () => {
  assert.equal(command("story", { who: "it's $HOME", empty: "" }), "gptneo run --preset story --set 'who=it'\\''s $HOME'");
  assert.equal(quote("two\nlines"), "'two\nlines'");
  assert.equal(quote(""), "''");
});

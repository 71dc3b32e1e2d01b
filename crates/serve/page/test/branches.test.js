import assert from "node:assert/strict";
import { test } from "node:test";
import { ROOT, add, empty, place, remove, shown, turn, upTo, whole } from "../src/pure/branches.js";

/** A tree of messages `id<parent`. */
function tree(...messages) {
  const made = empty();
  for (const message of messages) {
    const [id, parent] = message.split("<");
    add(made, { id, parent: parent || ROOT, role: "user", text: id });
  }
  return made;
}
const ids = (messages) => messages.map((message) => message.id).join("");

test("what was added last is shown", () => {
  assert.equal(ids(shown(tree("a", "b<a", "c<b", "d<b"))), "abd");
});
test("a branch brings back all that followed it", () => {
  const made = tree("a", "b<a", "c<b", "x<a", "y<x");
  assert.equal(turn(made, "x", -1), "b");
  assert.equal(ids(shown(made)), "abc");
  assert.equal(turn(made, "b", 1), "x");
  assert.equal(ids(shown(made)), "axy");
});
test("turning ends at the first and the last", () => {
  const made = tree("a", "b", "c");
  assert.deepEqual([turn(made, "c", 1), turn(made, "c", -9)], ["c", "a"]);
  assert.deepEqual(place(made, "b"), { at: 1, of: 3 });
});
test("the way to a message does not follow what is shown", () => {
  const made = tree("a", "b<a", "x<a");
  assert.equal(ids(upTo(made, "b")), "ab");
});
test("a message goes with what follows it", () => {
  const made = tree("a", "b<a", "c<b", "x<a");
  turn(made, "x", -1);
  remove(made, "b");
  assert.equal(ids(shown(made)), "ax");
  remove(made, "a");
  assert.deepEqual(made, empty());
});
test("what storage gives back is looked at", () => {
  assert.equal(whole(tree("a", "b<a", "c<b", "d<b")), true);
  assert.equal(whole(empty()), true);
  const broken = [null, [], {}, { messages: {}, children: { root: ["a"] }, chosen: { root: "a" } }];
  const ring = tree("a", "b<a");
  ring.messages.a.parent = "b";
  ring.children = { b: ["a"], a: ["b"] };
  ring.chosen = { a: "b", b: "a" };
  const lost = tree("a", "b<a");
  delete lost.messages.b;
  for (const one of [...broken, ring, lost]) assert.equal(whole(one), false);
});
test("a message without its parent is a fault", () => {
  assert.throws(() => tree("b<a"), /no message a/);
});

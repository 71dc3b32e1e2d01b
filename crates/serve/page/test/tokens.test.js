import assert from "node:assert/strict";
import { test } from "node:test";
import { Arriving, others, replaced, step, summary, textOf } from "../src/pure/tokens.js";

const logprobs = (tokens, offsets) => ({
  tokens,
  token_logprobs: tokens.map(() => -0.1),
  top_logprobs: tokens.map((token) => ({ [token]: -0.1, other: -3 })),
  text_offset: offsets,
});
const texts = (arriving) => arriving.tokens.map((token) => token.text);

test("each token has its part of the text", () => {
  const arriving = new Arriving();
  assert.equal(arriving.take("One two", logprobs(["One", " two"], [0, 3])), 0);
  assert.equal(arriving.take(".", logprobs(["."], [7])), 1);
  assert.deepEqual(texts(arriving), ["One", " two", "."]);
});
test("offsets count code points", () => {
  const arriving = new Arriving();
  arriving.take("😀 é!", logprobs(["😀", " é", "!"], [0, 1, 3]));
  assert.deepEqual(texts(arriving), ["😀", " é", "!"]);
});
test("parts of a character have no text until it is whole", () => {
  const arriving = new Arriving();
  arriving.take("a😀b", logprobs(["a", "bytes:\\xf0\\x9f", "bytes:\\x98\\x80", "b"], [0, 1, 1, 2]));
  assert.deepEqual(texts(arriving), ["a", "", "😀", "b"]);
});
test("text that comes without tokens belongs to the last", () => {
  const arriving = new Arriving();
  arriving.take("a", logprobs(["a"], [0]));
  arriving.take("b", null);
  assert.deepEqual(texts(arriving), ["ab"]);
  const plain = new Arriving();
  plain.take("plain", null);
  assert.deepEqual(texts(plain), ["plain"]);
});
test("alternatives are ordered, and bytes are no text", () => {
  assert.deepEqual(others({ low: -4, "bytes:\\xff": -1 }).map((one) => [one.token, one.text]), [["bytes:\\xff", false], ["low", true]]);
  assert.deepEqual(others(null), []);
});
test("another token takes the place of one and of all after it", () => {
  const arriving = new Arriving();
  arriving.take("abc", logprobs(["a", "b", "c"], [0, 1, 2]));
  const changed = replaced(arriving.tokens, 1, { token: "X", logprob: -2, text: true });
  assert.equal(textOf(changed), "aX");
  assert.deepEqual([changed[1].chosen, changed[1].logprob], [true, -2]);
});
test("steps of probability", () => {
  assert.deepEqual([0, Math.log(0.81), Math.log(0.79), Math.log(0.3), Math.log(0.1), -9, null].map(step), [0, 0, 1, 2, 3, 4, -1]);
});
test("perplexity is that of the tokens whose probability is known", () => {
  const tokens = [null, Math.log(0.5), Math.log(0.125)].map((logprob) => ({ from: 0, text: "", spelled: "", logprob, others: [], chosen: false }));
  assert.ok(Math.abs(summary(tokens).perplexity - 4) < 1e-12);
  assert.equal(summary(tokens.slice(0, 1)), null);
});

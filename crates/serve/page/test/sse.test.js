import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser } from "../src/pure/sse.js";

/** All events of a stream cut at these places. */
function check(stream, wanted, cuts) {
  const parser = new EventParser();
  const pieces = cuts === "each" ? [...stream] : [stream.slice(0, cuts), stream.slice(cuts)];
  assert.deepEqual(pieces.flatMap((piece) => parser.feed(piece)), wanted, JSON.stringify(pieces));
}

const STREAMS = [
  ["data: one\n\ndata: two\n\n", ["one", "two"]],
  ["data: one\r\n\r\ndata: two\r\n\r\n", ["one", "two"]],
  ["data: one\r\rdata: two\r\r", ["one", "two"]],
  ["data: a\ndata: b\n\n", ["a\nb"]],
  ["\ufeffdata:x\n\n", ["x"]],
  [": a comment\nevent: ping\nid: 4\n\ndata: [DONE]\n\n", ["[DONE]"]],
  ["data\n\n", [""]],
  ["data:  two spaces\n\n", [" two spaces"]],
  ['data: {"text":"é😀\\n"}\n\n', ['{"text":"é😀\\n"}']],
  ["data: never ended\n", []],
  ["\n\n\n", []],
];

test("events are the same wherever the stream is cut", () => {
  for (const [stream, wanted] of STREAMS) {
    for (let cut = 0; cut <= stream.length; cut += 1) check(stream, wanted, cut);
    check(stream, wanted, "each");
  }
});

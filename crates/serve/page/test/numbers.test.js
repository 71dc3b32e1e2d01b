import assert from "node:assert/strict";
import { test } from "node:test";
import { joined, nearest, range, smooth, thinned, ticks } from "../src/pure/curves.js";
import { bytes, count, error, percent, seconds, value, when } from "../src/pure/numbers.js";
import { compared } from "../src/pure/scores.js";
import { read, write } from "../src/pure/settings.js";
import { speakable } from "../src/pure/spoken.js";

test("numbers as people read them", () => {
  assert.deepEqual([percent(0.5), percent(0.034), percent(1e-9), percent(0)], ["50 %", "3.4 %", "< 0.1 %", "0.0 %"]);
  assert.deepEqual([count(124439808), count(2.7e9), count(2048), count(null)], ["124 M", "2.7 B", "2,048", "–"]);
  assert.deepEqual([bytes(512), bytes(3 * 2 ** 29)], ["512 B", "1.5 GiB"]);
  assert.deepEqual([seconds(3.14), seconds(200), seconds(7300), seconds(90000)], ["3.1 s", "3 min 20 s", "2 h 1 min", "1 d 1 h"]);
  assert.deepEqual([value(3.14159), value(0.0000123), value(null), value(NaN)], ["3.142", "1.23e-5", "–", "NaN"]);
  assert.deepEqual([error(0.03), error(1.234), error(345.6), error(null)], ["± 0.030", "± 1.2", "± 345.6", "–"]);
  assert.equal(when("yesterday"), "yesterday");
  assert.equal(when(1.7e9), when(1.7e12));
});
test("settings are sent where they are given, and only if they are good", () => {
  assert.deepEqual(read({ temperature: "0,7", top_k: "", stop: "\\n\\n\n###" }), { body: { temperature: 0.7, stop: ["\n\n", "###"] }, flaws: {} });
  assert.deepEqual(Object.keys(read({ temperature: "11", top_p: "0", top_k: "1.5", seed: "x", stop: "a\nb\nc\nd\ne" }).flaws), ["temperature", "top_p", "top_k", "seed", "stop"]);
});
test("a preset's settings go through the form unchanged", () => {
  const settings = { temperature: 0.7, max_tokens: 60, stop: ["\n", "a\\n"] };
  assert.deepEqual(read(write(settings)).body, settings);
});
test("curves", () => {
  assert.deepEqual(ticks(0, 10, 6), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(2.31, 2.39, 5), [2.32, 2.34, 2.36, 2.38]);
  assert.deepEqual(ticks(3, 3, 5), [3]);
  assert.deepEqual(ticks(1, 926, 2), [200, 400, 600, 800]);
  assert.deepEqual(range([], 1), [0, 1]);
  assert.deepEqual(range([[0, 4], [1, 4]], 1), [3.5, 4.5]);
  assert.deepEqual(smooth([[0, 2], [1, NaN], [2, 2]], 0.9).map(([, y]) => y.toFixed(6)), ["2.000000", "2.000000"]);
  assert.deepEqual([nearest([[0, 0], [10, 0], [20, 0]], 14), nearest([[0, 0], [10, 0]], 99), nearest([], 1)], [1, 1, -1]);
  assert.equal(thinned(Array.from({ length: 9000 }, (_, at) => [at, at]), 100).at(-1)[0], 8999);
});
test("a step that comes again takes the place of what came from there on", () => {
  assert.deepEqual(joined([[1, 1], [2, 2], [3, 3]], [[2, 9]]), [[1, 1], [2, 9]]);
  assert.deepEqual(joined([[1, 1]], []), [[1, 1]]);
});
test("scores are compared where both have them", () => {
  const row = (task, value, stderr) => ({ task, metric: "acc", value, stderr, samples: 1, published: null, verdict: null });
  const [one, two] = compared([row("a", 0.5, 0.03), row("b", 1, null), row("c", 1, 0)], [row("b", 0, 1), row("a", 0.6, 0.04)]);
  assert.deepEqual([one.task, one.difference.toFixed(3), one.error, one.beyond], ["a", "-0.100", 0.05, true]);
  assert.deepEqual([two.task, two.error, two.beyond], ["b", null, null]);
});
test("sentences are read out whole", () => {
  assert.equal(speakable("One. Two", 0, false), 4);
  assert.equal(speakable("One. Two", 4, false), 4);
  assert.equal(speakable("3.14 is", 0, false), 0);
  assert.equal(speakable("One. Two", 4, true), 8);
  assert.ok(speakable("word ".repeat(80), 0, false) > 300);
});

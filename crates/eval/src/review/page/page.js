"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const SIDES = ["a", "b"];
  const PREFERENCES = [["a", "A is better"], ["b", "B is better"], ["tie", "Tie"], ["both_bad", "Both bad"]];
  const PREFERENCE_KEYS = { a: "a", b: "b", t: "tie", x: "both_bad" };

  // What the judge has said: answers in the order in which they were given.
  let judge = null;
  let answers = [];
  // Numbers of items still to be judged, the current one first.
  let open = [];
  let kept = true;
  let clock = { since: null, before: 0 };

  // ---- chance: the same words as in draw.rs

  const MASK = (1n << 64n) - 1n;
  const mix = (z) => {
    z = ((z ^ (z >> 30n)) * 0xBF58476D1CE4E5B9n) & MASK;
    z = ((z ^ (z >> 27n)) * 0x94D049BB133111EBn) & MASK;
    return z ^ (z >> 31n);
  };
  const firstWord = (...labels) => {
    let hash = 0xcbf29ce484222325n;
    for (const byte of new TextEncoder().encode(labels.join("\n"))) {
      hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & MASK;
    }
    return mix((mix(hash) + 0x9E3779B97F4A7C15n) & MASK);
  };
  const swapped = (item) => firstWord(data.sheet, judge, "sides", item) >> 63n === 1n;
  const order = () => {
    const words = data.items.map((_, index) => [firstWord(data.sheet, judge, "order", index + 1), index + 1]);
    words.sort((one, other) => (one[0] < other[0] ? -1 : one[0] > other[0] ? 1 : one[1] - other[1]));
    return words.map(([, item]) => item);
  };

  // ---- what the browser keeps

  const place = (name) => `gptneo-review:${data.sheet}:${name}`;
  const stored = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const store = (key, text) => {
    try {
      localStorage.setItem(key, text);
      return true;
    } catch {
      return false;
    }
  };
  const keep = () => {
    kept = store(place(`judge:${judge}`), lines());
    if (!kept) complain("This browser keeps nothing for this page. Save your answers before you close it.");
  };
  const lines = () => answers.map((answer) => JSON.stringify(answer) + "\n").join("");

  // ---- words

  const complain = (text) => { at("alert").textContent = text; };
  const say = (text) => { at("status").textContent = text; };

  const nameFlaw = (name) => {
    if (name === "") return "Enter a name.";
    if ([...name].length > data.longest_name) return `The name is longer than ${data.longest_name} characters.`;
    if (/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/.test(name)) {
      return "The name has characters that do not show.";
    }
    return /\p{Surrogate}/u.test(name) ? "The name holds half a character." : "";
  };

  // ---- reading answers files

  const isScores = (scores) =>
    scores !== null && typeof scores === "object" && Object.keys(scores).length === data.scales.length &&
    data.scales.every(([scale]) => Number.isInteger(scores[scale]) && scores[scale] >= 1 && scores[scale] <= 5);

  // The answers of a file as they stand at its end, and whose they are. Throws in words.
  const read = (text) => {
    const found = new Map();
    let name = null;
    text.split("\n").forEach((line, index) => {
      if (line.trim() === "") return;
      const wrong = (detail) => new Error(`Line ${index + 1}: ${detail}`);
      let answer;
      try {
        answer = JSON.parse(line);
      } catch {
        throw wrong("it is not JSON.");
      }
      if (answer === null || typeof answer !== "object") throw wrong("it is no answer.");
      if (answer.sheet !== data.sheet) throw wrong("it answers another sheet.");
      if (typeof answer.judge !== "string" || nameFlaw(answer.judge) !== "") throw wrong("its judge has no proper name.");
      if (name !== null && answer.judge !== name) throw wrong("the file holds answers of several judges.");
      name = answer.judge;
      const { item } = answer;
      if (!Number.isInteger(item) || item < 1 || item > data.items.length) throw wrong("the sheet has no such item.");
      found.delete(item);
      if (answer.withdrawn === true) return;
      const note = answer.note ?? "";
      const good = isScores(answer.a) && isScores(answer.b) && PREFERENCES.some(([value]) => value === answer.preference) &&
        ["kept", "swapped"].includes(answer.sides) && typeof note === "string" && [...note].length <= data.longest_note &&
        Number.isFinite(answer.seconds) && answer.seconds >= 0;
      if (!good) throw wrong("a score, the preference, the sides, the note or the seconds are not what they should be.");
      found.set(item, answer);
    });
    if (name === null) throw new Error("The file holds no answers.");
    return { name, found };
  };

  // ---- building the questions

  const element = (tag, properties = {}, children = []) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  const question = (name, legend, choices) => element("fieldset", { id: `question-${name}` }, [
    element("legend", {}, legend),
    element("div", { className: "choices" }, choices.map(([value, label]) => element("label", {}, [
      element("input", { type: "radio", name, value }), element("span", { textContent: label }),
    ]))),
  ]);

  const names = [...SIDES.flatMap((side) => data.scales.map(([scale]) => `${side}-${scale}`)), "preference"];

  const build = () => {
    if (data.title !== "") at("title").textContent = document.title = data.title;
    at("note").maxLength = data.longest_note;
    for (const [scale, words] of data.scales) {
      at("scales").append(element("dt", { textContent: scale }), element("dd", { textContent: words }));
    }
    for (const side of SIDES) {
      const letter = side.toUpperCase();
      at(`side-${side}`).append(
        element("h3", { id: `heading-${side}`, textContent: `Text ${letter}` }),
        element("div", { id: `prompt-${side}`, className: "text", dir: "auto" }),
        element("div", { id: `text-${side}`, className: "text", dir: "auto" }),
        ...data.scales.map(([scale, words]) => question(`${side}-${scale}`, [
          `${letter}: ${scale} `, element("span", { className: "help", textContent: words }),
        ], [1, 2, 3, 4, 5].map((score) => [String(score), String(score)]))),
      );
    }
    at("preference").append(question("preference", ["Which text is better?"], PREFERENCES));
  };

  const chosen = (name) => at("item").elements[name].value;
  const choose = (name, value) => { at("item").elements[name].value = value; };
  const focusOn = (name) => {
    const inputs = [...at("item").elements[name]];
    (inputs.find((input) => input.checked) ?? inputs[0]).focus();
  };
  const marked = () => document.querySelector("fieldset.marked")?.id.slice("question-".length);
  const mark = (name) => {
    for (const fieldset of document.querySelectorAll("fieldset")) {
      fieldset.classList.toggle("marked", fieldset.id === `question-${name}`);
    }
  };

  // ---- the way through the items

  const show = (section) => ["start", "item", "done"].forEach((id) => { at(id).hidden = id !== section; });

  const put = (id, text) => {
    at(id).textContent = text === "" ? "(empty)" : text;
    at(id).classList.toggle("empty", text === "");
  };

  const present = () => {
    const total = data.items.length;
    at("bar").max = total;
    at("bar").value = answers.length;
    at("count").textContent = `${answers.length} of ${total} judged`;
    at("who").textContent = `Judge: ${judge}`;
    at("save").disabled = answers.length === 0;
    at("undo").disabled = answers.length === 0;
    if (open.length === 0) {
      show("done");
      at("done-heading").focus();
      return;
    }
    const { prompts, texts } = data.items[open[0] - 1];
    const shown = swapped(open[0]) ? [1, 0] : [0, 1];
    at("shared").hidden = prompts.length === 2;
    put("prompt", prompts[0]);
    SIDES.forEach((side, index) => {
      at(`prompt-${side}`).hidden = prompts.length === 1;
      put(`prompt-${side}`, prompts[shown[index]] ?? "");
      put(`text-${side}`, texts[shown[index]]);
    });
    at("item-heading").textContent = `Item ${answers.length + 1} of ${total}`;
    at("item").reset();
    at("keys").checked = stored("gptneo-review:keys") !== "off";
    show("item");
    mark(names[0]);
    at("item-heading").focus();
    clock = { since: document.hidden ? null : performance.now(), before: 0 };
  };

  const begin = (name, found) => {
    judge = name;
    answers = [...found.values()];
    open = order().filter((item) => !found.has(item));
    store(place("last"), name);
    present();
  };

  // Only the time in which the page can be seen counts.
  const pause = () => {
    if (clock.since !== null) clock.before += performance.now() - clock.since;
    clock.since = null;
  };

  const give = () => {
    const missing = names.find((name) => chosen(name) === "");
    if (missing !== undefined) {
      complain("Some questions are not answered yet.");
      focusOn(missing);
      return;
    }
    pause();
    const item = open.shift();
    const scores = (side) => Object.fromEntries(data.scales.map(([scale]) => [scale, Number(chosen(`${side}-${scale}`))]));
    const answer = {
      sheet: data.sheet, judge, item, sides: swapped(item) ? "swapped" : "kept",
      a: scores("a"), b: scores("b"), preference: chosen("preference"),
    };
    const note = at("note").value.trim().replace(/\p{Surrogate}/gu, "\ufffd");
    if (note !== "") answer.note = note;
    answer.seconds = Math.round(clock.before / 100) / 10;
    answers.push(answer);
    complain("");
    say("Answer kept.");
    keep();
    present();
  };

  const skip = () => {
    open.push(open.shift());
    complain("");
    say("Skipped. The item comes back at the end.");
    present();
  };

  const undo = () => {
    const last = answers.pop();
    if (last === undefined) return;
    open.unshift(last.item);
    complain("");
    say("The last answer was taken back.");
    keep();
    present();
  };

  const save = () => {
    const url = URL.createObjectURL(new Blob([lines()], { type: "application/jsonl" }));
    const safe = judge.replace(/[^\p{L}\p{N}_-]+/gu, "_");
    element("a", { href: url, download: `answers-${safe}-${data.sheet.slice(0, 8)}.jsonl` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    say(`${answers.length} answers saved.`);
  };

  const load = async (file) => {
    try {
      const { name, found } = read(await file.text());
      if (judge !== null && name !== judge) throw new Error(`The file holds the answers of ${name}, but you are ${judge}.`);
      // Where both have an answer, what is in this browser counts.
      const here = judge === null ? keptOf(name) : new Map(answers.map((answer) => [answer.item, answer]));
      const fresh = [...found].filter(([item]) => !here.has(item));
      begin(name, new Map([...fresh, ...here]));
      complain("");
      say(`${fresh.length} answers taken from the file.`);
      keep();
    } catch (error) {
      complain(`The file cannot be used. ${error.message}`);
    }
  };

  const keptOf = (name) => {
    const text = stored(place(`judge:${name}`));
    if (text === null || text === "") return new Map();
    try {
      return read(text).found;
    } catch {
      complain("What this browser had kept is damaged and was left out.");
      return new Map();
    }
  };

  const key = (event) => {
    const { target } = event;
    if (target === at("note") && event.key === "Escape") {
      focusOn(names.find((name) => chosen(name) === "") ?? "preference");
      return;
    }
    if (at("item").hidden || !at("keys").checked || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (target.matches("textarea, summary, button, input:not([type=radio])")) return;
    const pressed = event.key.toLowerCase();
    if (/^[1-5]$/.test(pressed)) {
      const name = marked() ?? names[0];
      if (name === "preference") return;
      choose(name, pressed);
      focusOn(names[names.indexOf(name) + 1]);
    } else if (Object.hasOwn(PREFERENCE_KEYS, pressed)) {
      choose("preference", PREFERENCE_KEYS[pressed]);
      focusOn("preference");
    } else if (pressed === "enter") {
      if (!event.repeat) give();
    } else if (pressed === "s") {
      skip();
    } else if (pressed === "u") {
      undo();
    } else if (pressed === "n") {
      at("note").focus();
    } else {
      return;
    }
    event.preventDefault();
  };

  build();
  at("name-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = at("name").value.trim();
    const flaw = nameFlaw(name);
    complain(flaw);
    if (flaw === "") begin(name, keptOf(name));
  });
  at("item").addEventListener("submit", (event) => {
    event.preventDefault();
    give();
  });
  at("item").addEventListener("focusin", (event) => {
    const fieldset = event.target.closest("fieldset");
    if (fieldset) mark(fieldset.id.slice("question-".length));
  });
  at("skip").addEventListener("click", skip);
  at("undo").addEventListener("click", undo);
  at("undo-done").addEventListener("click", undo);
  at("save").addEventListener("click", save);
  at("load").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) load(file);
  });
  at("keys").addEventListener("change", () => store("gptneo-review:keys", at("keys").checked ? "on" : "off"));
  document.addEventListener("keydown", key);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) pause();
    else if (clock.since === null) clock.since = performance.now();
  });
  window.addEventListener("storage", (event) => {
    // The same judge in another tab: what was kept last counts.
    if (judge !== null && event.key === place(`judge:${judge}`)) begin(judge, keptOf(judge));
  });
  window.addEventListener("beforeunload", (event) => {
    if (!kept) event.preventDefault();
  });
  at("count").textContent = `${data.items.length} items`;
  at("name").value = stored(place("last")) ?? "";
  show("start");
  at("name").focus();
})();

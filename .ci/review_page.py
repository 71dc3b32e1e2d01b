"""`review_page.py PAGE ANSWERS [SHOTS]`: judges every item of a review page by keyboard in headless Chromium and writes the saved
answers to ANSWERS. Fails when they are not what was typed, when sides or order are not those of the definition (`draw.rs`), when the
page asks for anything but itself, runs what a text holds, loses progress, or lacks labels, contrast or room on a narrow screen.
With SHOTS, a folder, screenshots are put there. Needs `playwright` and Debian's chromium or chromium-headless-shell."""

import json
import pathlib
import re
import sys

from playwright.sync_api import sync_playwright

from chromium import launch

page_path, answers_path = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
shots = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
html = page_path.read_text(encoding="utf-8")
data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.S)[1])
total = len(data["items"])
assert total >= 6, "the page needs six items or more"
JUDGE = "Ann-Lée Ω"
SCALES = [name for name, _ in data["scales"]]
MASK = (1 << 64) - 1


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def first_word(*labels):
    key = 0xCBF29CE484222325
    for byte in "\n".join(map(str, labels)).encode():
        key = ((key ^ byte) * 0x100000001B3) & MASK
    return mix((mix(key) + 0x9E3779B97F4A7C15) & MASK)


def swapped(item):
    return first_word(data["sheet"], JUDGE, "sides", item) >> 63 == 1


ORDER = sorted(range(1, total + 1), key=lambda item: (first_word(data["sheet"], JUDGE, "order", item), item))
PREFERENCES = {"a": "a", "b": "b", "t": "tie", "x": "both_bad"}


def keys_for(item):
    """What is typed for an item: six scores and a preference, different from item to item."""
    return [str(1 + (item * 7 + at * (1 + item % 4)) % 5) for at in range(6)] + ["abtx"[item % 4]]


def typed(item, keys, note=None):
    scores = [dict(zip(SCALES, map(int, keys[at : at + 3]))) for at in (0, 3)]
    answer = {"sheet": data["sheet"], "judge": JUDGE, "item": item, "sides": "swapped" if swapped(item) else "kept"}
    answer |= {"a": scores[0], "b": scores[1], "preference": PREFERENCES[keys[6]]}
    return answer | ({"note": note} if note else {})


def check(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: found {found!r}, wanted {wanted!r}")


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const color = getComputedStyle(node).backgroundColor;
      if (!/, 0\\)$|transparent/.test(color)) return color;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  const worst = [99, ""];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !node.checkVisibility() || node.disabled) continue;
    const [one, other] = [light(rgb(getComputedStyle(node).color)), light(rgb(ground(node)))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < worst[0]) { worst[0] = ratio; worst[1] = node.tagName + "#" + node.id + ": " + node.textContent.slice(0, 30); }
  }
  return worst;
}"""

UNNAMED = """() => [...document.querySelectorAll("input, textarea, button, progress")].filter((node) =>
  !node.labels?.length && !node.getAttribute("aria-labelledby") && !node.textContent.trim()).map((node) => node.outerHTML)"""


class Judge:
    """The page in a browser of its own."""

    def __init__(self, browser, path=page_path, **context):
        self.context = browser.new_context(accept_downloads=True, **context)
        self.requests, self.faults = [], []
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.faults.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.faults.append(dialog.message), dialog.dismiss()))
        self.page.goto(path.as_uri())

    def text(self, id):
        return self.page.evaluate("(id) => document.getElementById(id).textContent", id)

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def begin(self, name=JUDGE):
        self.page.keyboard.insert_text(name)
        self.press("Enter")

    def shows(self, item, what):
        entry = data["items"][item - 1]
        texts = [text or "(empty)" for text in entry["texts"]]
        if swapped(item):
            texts.reverse()
        # A parser of HTML would have changed carriage returns and NUL; the page must not.
        check([self.text("text-a"), self.text("text-b")], texts, f"{what}: texts of item {item}")
        prompts = entry["prompts"]
        if len(prompts) == 1:
            check(self.text("prompt"), prompts[0], f"{what}: prompt of item {item}")
        else:
            found = [self.text("prompt-a"), self.text("prompt-b")]
            check(found, prompts[::-1] if swapped(item) else prompts, f"{what}: prompts of item {item}")
        visible = [self.page.is_visible(f"#{id}") for id in ("prompt", "prompt-a", "prompt-b")]
        check(visible, [len(prompts) == 1] + 2 * [len(prompts) == 2], f"{what}: which prompts show")

    def saved(self):
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Save answers").click()
        return pathlib.Path(download.value.path()).read_text(encoding="utf-8")

    def load(self, name, text):
        self.page.evaluate("for (const id of ['alert', 'status']) document.getElementById(id).textContent = ''")
        self.page.set_input_files("#load", {"name": name, "mimeType": "text/plain", "buffer": text.encode()})
        for _ in range(100):
            if self.text("alert") + self.text("status"):
                return
            self.page.wait_for_timeout(50)
        sys.exit(f"the page said nothing of the file {name}")

    def close(self, what):
        check(self.page.evaluate("window.hacked"), None, f"{what}: a text was run")
        check(self.page.evaluate("document.querySelectorAll('script').length"), 2, f"{what}: scripts")
        check(self.page.evaluate("document.querySelectorAll('img, iframe, link, object, b').length"), 0, f"{what}: foreign elements")
        check([url for url in self.requests if not url.startswith(("file:", "blob:"))], [], f"{what}: requests")
        check(self.faults, [], f"{what}: faults")
        self.context.close()


def shot(judge, name):
    if shots:
        judge.page.screenshot(path=shots / f"{name}.png", full_page=True)


def judge_all(browser):
    judge = Judge(browser)
    judge.press("Enter")
    check(judge.text("alert"), "Enter a name.", "no name")
    judge.begin("x" * 65)
    check("longer than 64" in judge.text("alert"), True, "a long name")
    judge.press("Control+a")
    judge.begin()
    order, expected = list(ORDER), []
    note = 'said "</script>"\n<b>é'
    step = 0
    while order:
        item = order[0]
        judge.shows(item, f"step {step}")
        keys = keys_for(item)
        if step == 1:
            judge.press("s")
            order.append(order.pop(0))
        elif step == 2:
            # Not all questions are answered: nothing is given, and typing goes on at the first that is not.
            judge.press(*keys[:4], "Enter")
            check(judge.text("alert"), "Some questions are not answered yet.", "an early Enter")
            judge.press(*keys[4:], "Enter")
            expected.append(typed(order.pop(0), keys))
            check(judge.text("alert"), "", "a complaint that is over")
            judge.press("u")
            judge.shows(item, "after undo")
            order.insert(0, expected.pop()["item"])
        elif step == 3:
            judge.press(*keys, "n")
            judge.page.keyboard.insert_text(note)
            judge.press("Escape", "Enter")
            expected.append(typed(order.pop(0), keys, note))
        elif step == 4:
            # What was kept outlives the page; skipping does not.
            judge.page.reload()
            judge.press("Enter")
            given = {answer["item"] for answer in expected}
            order = [item for item in ORDER if item not in given]
        else:
            # The preference may come first, and a score may be changed by going back.
            judge.press(keys[6], "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab")
            judge.press("5", "Shift+Tab", *keys[:6], "Enter")
            expected.append(typed(order.pop(0), keys))
        step += 1
    check(judge.page.is_visible("#done-heading"), True, "the end")
    saved = judge.saved()
    found = [json.loads(line) for line in saved.splitlines()]
    for answer in found:
        seconds = answer.pop("seconds")
        check(0 <= seconds < 60, True, "seconds")
    check(found, expected, "answers")
    judge.close("judging")
    return saved


def comes_back(browser, saved):
    judge = Judge(browser)
    judge.load("other.jsonl", saved.replace(data["sheet"], "0" * 64))
    check(judge.text("alert"), "The file cannot be used. Line 1: it answers another sheet.", "another sheet")
    for text, words in [("{", "Line 1: it is not JSON."), ("", "The file holds no answers."), ("[]", "Line 1: it answers another")]:
        judge.load("bad.jsonl", text)
        check(words in judge.text("alert"), True, f"the file {text!r}")
    judge.load("bad.jsonl", re.sub(r'"fluency":\d', '"fluency":9', saved, count=1))
    check("a score, the preference" in judge.text("alert"), True, "a score of 9")
    judge.load("answers.jsonl", "\n".join(saved.splitlines()[: total - 1]))
    check(judge.text("count"), f"{total - 1} of {total} judged", "a file taken up")
    last = json.loads(saved.splitlines()[-1])
    judge.shows(last["item"], "after the file")
    judge.press(*keys_for(last["item"]), "Enter")
    check(judge.saved().count("\n"), total, "answers after a file")
    judge.page.get_by_role("button", name="Undo last answer").click()
    check(judge.text("count"), f"{total - 1} of {total} judged", "undo at the end")
    judge.page.click("summary")
    judge.page.click("#keys")
    judge.page.focus("input[name=a-fluency]")
    judge.press("s", "3")
    judge.shows(last["item"], "with single keys off")
    check(judge.page.locator("input:checked[type=radio]").count(), 0, "single keys off")
    judge.close("coming back")


def looks(browser):
    for scheme in ("light", "dark"):
        for name, width in (("wide", 1200), ("narrow", 320)):
            judge = Judge(browser, color_scheme=scheme, viewport={"width": width, "height": 800})
            shot(judge, f"{scheme}-{name}-start")
            judge.begin()
            judge.page.click("summary")
            for item in ORDER:
                judge.press("Escape")
                judge.page.focus("input[name=a-fluency]")
                judge.press("4", "2")
                ratio, where = judge.page.evaluate(CONTRAST)
                check(ratio >= 4.5, True, f"{scheme}, {name}: contrast {ratio:.2f} of {where}")
                wide = judge.page.evaluate("document.documentElement.scrollWidth")
                check(wide <= width, True, f"{scheme}, {name}: item {item} is {wide} wide")
                shot(judge, f"{scheme}-{name}-{item}")
                judge.press("s")
            check(judge.page.evaluate(UNNAMED), [], "controls without a name")
            judge.close(f"{scheme}, {name}")


with sync_playwright() as playwright:
    browser = launch(playwright)
    saved = judge_all(browser)
    comes_back(browser, saved)
    looks(browser)
    browser.close()
answers_path.write_text(saved, encoding="utf-8")
print(f"{total} items judged by keyboard, saved, read back and looked at")

"""`report_page.py GPTNEO FOLDER [PAGE...]`: has GPTNEO make the page of an evaluation whose every text is hostile, in FOLDER, and opens it, and
any other PAGE, in headless Chromium. Fails when a page asks for anything, runs what a text holds, complains, lacks contrast or is wider
than a narrow screen, or when sorting and the filter do not work, or the page is not whole without them. Screenshots are put beside it.
Needs `playwright` and Debian's chromium or chromium-headless-shell."""

import json
import pathlib
import subprocess
import sys

from playwright.sync_api import sync_playwright

from chromium import launch

gptneo, folder = sys.argv[1], pathlib.Path(sys.argv[2])
HOSTILE = '</script></style></textarea>--><script>window.hacked = 1</script><img src="x" onerror="window.hacked = 2"><b>\u202e&amp;\'"'


def check(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: found {found!r}, wanted {wanted!r}")


def results():
    tasks = {f"task_{n}": {"acc,none": 0.1 * n, "acc_stderr,none": 0.02, "perplexity,none": 3.0**n, "perplexity_stderr,none": 0.2} for n in range(1, 9)}
    tasks[HOSTILE] = {"acc,none": 0.5, "acc_stderr,none": 0.1, HOSTILE + ",none": 0.25, "protocol": HOSTILE, "judged_by": {HOSTILE: HOSTILE}}
    published = {"task": "task_2", "metric": "perplexity", "ours": 9.0, "printed": "9.5", "published": 9.5, "difference": -0.5,
                 "standard_error": 0.2, "words": "differs by 2.5 standard errors", "source": HOSTILE, "measured": HOSTILE}
    return {
        "model_name": HOSTILE, "config": {"model_dtype": "f32", HOSTILE: HOSTILE}, "date": 1.8e9, "results": tasks,
        "configs": {name: {"output_type": "multiple_choice", "doc_to_text": HOSTILE} for name in tasks},
        "dataset": {name: {"split": HOSTILE, "files": [HOSTILE], "sha256": "0" * 64} for name in tasks},
        "notes": {HOSTILE: [HOSTILE]}, "published": {"model": HOSTILE, "scores": [published]},
        "group_subtasks": {HOSTILE + "g": [HOSTILE]},
    }


def samples():
    for n in range(60):
        requests = {f"gen_args_{at}": {"arg_0": HOSTILE * (1 + n % 3), "arg_1": f" {HOSTILE} {at}"} for at in range(3)}
        yield {"doc_id": n, "target": str(n % 3), "arguments": requests, "filter": "none", "metrics": ["acc"], "acc": float(n % 3 == 1),
               "resps": [[[str(-1.0 - abs(at - 1) * (1 + n % 7)), "False"]] for at in range(3)]}


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
    return "white";
  };
  const worst = [99, ""];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !node.checkVisibility() || ["title", "desc", "SCRIPT"].includes(node.tagName)) continue;
    const style = getComputedStyle(node);
    const ink = node.tagName === "text" ? style.fill : style.color;
    const [one, other] = [light(rgb(ink)), light(rgb(ground(node)))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < worst[0]) { worst[0] = ratio; worst[1] = node.tagName + ": " + node.textContent.slice(0, 30); }
  }
  return worst;
}"""


def opened(browser, path, **context):
    context = browser.new_context(**context)
    page = context.new_page()
    page.asked, page.faults = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.goto(path.resolve().as_uri())
    return page


def closed(page, what):
    check(page.evaluate("window.hacked"), None, f"{what}: a text was run")
    foreign = "img, iframe, link, object, b, form, script:not(body > script), body > script ~ script"
    check(page.evaluate("(names) => document.querySelectorAll(names).length", foreign), 0, f"{what}: foreign elements")
    check([url for url in page.asked if not url.startswith("file:")] + page.asked[1:], [], f"{what}: requests")
    check(page.faults, [], f"{what}: faults")
    page.context.close()


def looks(browser, path):
    for scheme in ("light", "dark"):
        for name, width in (("wide", 1200), ("narrow", 400)):
            what = f"{path.stem}-{scheme}-{name}"
            page = opened(browser, path, color_scheme=scheme, viewport={"width": width, "height": 900})
            page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
            ratio, where = page.evaluate(CONTRAST)
            check(ratio >= 4.5, True, f"{what}: contrast {ratio:.2f} of {where}")
            wide = page.evaluate("document.documentElement.scrollWidth")
            check(wide <= width, True, f"{what}: {wide} wide")
            page.evaluate("document.querySelectorAll('details').forEach((part, at) => { part.open = at % 6 === 2; })")
            page.screenshot(path=folder / f"{what}.png", full_page=True)
            closed(page, what)
    page = opened(browser, path)
    page.pdf(path=folder / f"{path.stem}.pdf")
    page.context.close()


def works(browser, path):
    page = opened(browser, path)
    first = lambda: page.evaluate("document.querySelector('#scores tbody tr').textContent")
    whole = page.locator("#scores tbody tr").count()
    before = first()
    page.get_by_role("button", name="Value").click()
    values = page.evaluate("[...document.querySelectorAll('#scores tbody tr')].map((row) => Number.parseFloat(row.cells[4].textContent))")
    check(values, sorted(values), "sorted by value")
    page.get_by_role("button", name="Value").click()
    check(first() != before and page.locator("#scores tbody tr").count() == whole, True, "sorted the other way")
    page.get_by_label("Only tasks whose name has").fill("task_3")
    check([page.locator(".task:visible").count(), page.locator("#matching").text_content()], [1, "1 of 9"], "the filter")
    page.get_by_label("Only tasks whose name has").fill("")
    check(page.locator(".task:visible").count(), 9, "the filter taken back")
    page.get_by_role("button", name="Open all").click()
    check(page.locator("details.samples[open]").count(), 2, "opened")
    closed(page, "at work")
    plain = opened(browser, path, java_script_enabled=False)
    check([plain.locator("#scores tbody tr").count(), plain.locator("#controls:visible").count()], [whole, 0], "without the script")
    plain.context.close()


folder.mkdir(parents=True, exist_ok=True)
(folder / "results_1.json").write_text(json.dumps(results()), encoding="utf-8")
name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in HOSTILE)[:120]
(folder / f"samples_{name}_1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in samples()), encoding="utf-8")
hostile = folder / "hostile.html"
subprocess.run([gptneo, "eval", "report", "--force", folder / "results_1.json", "-o", hostile], check=True)
with sync_playwright() as playwright:
    browser = launch(playwright)
    works(browser, hostile)
    pages = [hostile, *map(pathlib.Path, sys.argv[3:])]
    for path in pages:
        looks(browser, path)
    browser.close()
print(f"{len(pages)} pages looked at, light and dark, wide and narrow")

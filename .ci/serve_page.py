"""`serve_page.py --url URL [--shots DIR]` or `serve_page.py --mock [--shots DIR]`, with `--only PAGE` for one of them: goes through every page of a running `gptneo serve`
in headless Chromium, at the size of a desktop and of a phone, light and dark. Fails when the page complains, asks another origin, runs
what a text holds, is wider than the screen, lacks contrast, or has a serious fault of accessibility (axe-core, from the page's
`node_modules`), or when a feature does not do what it says. With --mock the server is `serve_mock.py`, and everything must be there; a
real server may have no runs, evaluations or reviews, which is then said. Feedback that the test gives it deletes, so the real server
should be one started for it. Needs `playwright` and Debian's chromium or chromium-headless-shell."""

import argparse
import pathlib
import re
import sys

from playwright.sync_api import expect, sync_playwright

import serve_mock
from chromium import launch
from serve_looks import Visit, check, look_for_faults
from serve_writing import button, chat, compare, playground, presets

parser = argparse.ArgumentParser()
parser.add_argument("--url")
parser.add_argument("--mock", action="store_true")
parser.add_argument("--shots", type=pathlib.Path)
parser.add_argument("--only", help="one page alone, as `chat`")
arguments = parser.parse_args()
if arguments.mock == bool(arguments.url):
    parser.error("give one of --url and --mock")
MOCK = arguments.mock
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 375, "height": 740}}


def runs(visit):
    page = visit.page
    visit.go("runs")
    found = visit.get("/local/runs")["runs"]
    if not visit.there(found, "runs"):
        return
    expect(page.locator("tbody tr")).to_have_count(len(found))
    visit.look("runs")
    longest = max(found, key=lambda run: (run["state"] == "running", run["steps"] or 0))
    if not visit.there((longest["steps"] or 0) > 1, "run with a curve"):
        return
    page.get_by_role("link", name=longest["name"], exact=True).first.click()
    expect(page.locator("figure")).to_have_count(1)
    expect(page.locator("figure path.line")).to_have_attribute("d", re.compile("^M.{20}"))
    if longest["state"] == "running":
        before = page.locator("figure path.line").get_attribute("d")
        expect(page.locator("figure path.line")).not_to_have_attribute("d", before)
        check(any("after=" in url for url in visit.asked), True, "only new points are asked for")
    page.locator("figure svg").focus()
    page.keyboard.press("Home")
    expect(page.locator(".read")).to_contain_text(re.compile(r"step \d+: "))
    page.keyboard.press("ArrowRight")
    page.get_by_label(re.compile("^Smoothing")).fill("0.9")
    page.locator(".choices input[type=checkbox]").nth(1).check()
    expect(page.locator("figure")).to_have_count(2)
    if not visit.phone:
        page.locator("figure svg").first.hover(position={"x": 300, "y": 100})
        expect(page.locator(".read").first).to_contain_text("smoothed")
    page.locator("figure summary").first.click()
    check(page.locator("figure").first.locator("tbody tr").count() > 1, True, "values in the table")
    page.locator("figure summary").first.click()
    visit.look("run")


def evaluations(visit):
    page = visit.page
    visit.go("evaluations")
    found = visit.get("/local/evaluations")["evaluations"]
    if not visit.there(found, "evaluations"):
        return
    visit.look("evaluations")
    task = found[0]["rows"][0]["task"]
    page.get_by_label("Only tasks whose name has").fill(task.upper())
    names = page.locator("tbody th:visible").all_text_contents()
    check(names and all(task in name for name in names), True, "the filter")
    page.get_by_label("Only tasks whose name has").fill("")
    if visit.there(len(found) > 1, "second evaluation"):
        page.locator("summary", has_text="Compare two").click()
        page.get_by_label("First", exact=True).select_option("1")
        page.get_by_label("Second", exact=True).select_option("0")
        expect(page.get_by_role("region", name="Comparison")).to_be_visible()
        visit.look("evaluations-compared")


def review(visit):
    page = visit.page
    visit.go("review")
    found = visit.get("/local/reviews")["reviews"]
    if not visit.there(found, "reviews"):
        return
    visit.look("reviews")
    page.get_by_role("link", name=f"Judge {found[0]['title']}").click()
    page.get_by_label("Your name").fill(f"Judge on a {visit.size}")
    visit.look("review-name")
    page.keyboard.press("Enter")
    for at in range(found[0]["items"]):
        expect(page.locator("#item-heading")).to_contain_text(f"Item {at + 1} of")
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        check(page.locator("input:checked[type=radio]").count(), 1, "nothing is given before all is answered")
        for key in "2345" + "3" + "abtx"[at % 4]:
            page.keyboard.press(key)
        if at == 0:
            visit.look("review")
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="All items are judged")).to_be_visible()
    given = visit.sent(re.compile("/answers$"))
    check([given["a"], given["b"]], [{"fluency": 1, "coherence": 2, "relevance": 3}, {"fluency": 4, "coherence": 5, "relevance": 3}], "scores")
    page.get_by_role("link", name="See the report").click()
    expect(page.get_by_role("region", name="Report")).to_be_visible()
    visit.look("review-report")


def models(visit):
    page = visit.page
    visit.go("models")
    found = visit.get("/local/models")["models"]
    expect(page.locator("tbody tr")).to_have_count(len(found))
    visit.look("models")
    page.get_by_role("link", name=found[0]["name"], exact=True).click()
    expect(page.get_by_role("heading", name="Model card", exact=True)).to_be_visible()
    check([link for link in page.evaluate("[...document.querySelectorAll('.card-text a')].map((a) => a.protocol + a.rel)") if link != "https:noopener noreferrer"], [], "links of a card")
    visit.look("model")


def feedback(visit):
    page = visit.page
    for _ in range(2):
        page.request.post(visit.url + "local/feedback", data={"kind": "edit", "model": "m", "prompt": "One <b>", "response": "two", "better": "three"})
    visit.go("feedback")
    count = len(visit.get("/local/feedback?limit=200")["items"])
    expect(page.locator("main article")).to_have_count(count)
    visit.look("feedback")
    with page.expect_download() as download:
        page.get_by_role("link", name="Everything").click()
    check(len(visit.read(download, lines=True)) >= 1, True, "lines of the export")
    button(page, "Delete this entry").first.click()
    visit.look("feedback-confirm")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("main article")).to_have_count(len(visit.get("/local/feedback?limit=200")["items"]))
    if button(page, "Show older ones").count():
        before = page.locator("main article").count()
        button(page, "Show older ones").click()
        expect(page.locator("main article").nth(before)).to_be_visible()
    button(page, "Delete all").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
    expect(page.get_by_text("Nothing is stored.")).to_be_visible()


def around(visit):
    """The way between pages, the colours, and what is said where the server refuses."""
    page = visit.page
    visit.go("about")
    visit.look("about")
    check("policy" in page.request.get(visit.url + "policy").text().lower() or visit.mock, True, "the policy")
    if visit.phone:
        button(page, "Pages").click()
        visit.look("menu")
    page.get_by_label("Colours").select_option("dark")
    check(page.evaluate("getComputedStyle(document.documentElement).colorScheme"), "dark", "the colours")
    page.reload()
    check(page.evaluate("document.documentElement.dataset.theme"), "dark", "the colours that were kept")
    page.evaluate("localStorage.removeItem('gptneo.theme')")
    for status, heading in [(401, "wants a key"), (403, "does not allow"), (429, "Too much"), (503, "not ready")]:
        visit.refused.add((status, "/local/runs"))
        body = {"error": {"message": f"words of {status}", "type": "x", "param": None, "code": None}}
        page.route("**/local/runs", lambda route: route.fulfill(status=status, json=body, headers={"retry-after": "7"}))
        visit.go("runs")
        expect(page.get_by_role("alert")).to_contain_text(f"words of {status}")
        expect(page.get_by_role("alert")).to_contain_text(heading)
        visit.go("about")
        page.unroute("**/local/runs")
    page.reload()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


TOUR = [around, chat, playground, compare, presets, runs, evaluations, review, models, feedback]

server = serve_mock.start() if MOCK else None
url = f"http://127.0.0.1:{server.server_port}/" if server else arguments.url.rstrip("/") + "/"
if arguments.shots:
    arguments.shots.mkdir(parents=True, exist_ok=True)
missing = set()
steps = [step for step in TOUR if arguments.only in (None, step.__name__)]
expect.set_options(timeout=20_000)
with sync_playwright() as playwright:
    browser = launch(playwright)
    for size, viewport in SIZES.items():
        visit = Visit(browser, url, size, viewport, arguments.shots, MOCK)
        for step in steps:
            try:
                step(visit)
            except BaseException:
                print(f"{size}: {step.__name__}, at {visit.page.url}", file=sys.stderr)
                if arguments.shots:
                    visit.page.screenshot(path=arguments.shots / f"{size}-failed.png")
                raise
            print(f"{size}: {step.__name__}", flush=True)
        state = visit.close()
        missing |= visit.missing
        if not arguments.only:
            look_for_faults(browser, url, viewport, state)
            print(f"{size}: axe", flush=True)
    browser.close()
if missing:
    print("not tested, since the server has none: " + ", ".join(sorted(missing)))
print(f"{len(steps)} pages gone through at {len(SIZES)} sizes")

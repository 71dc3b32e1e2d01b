"""`serve_page.py --url URL [--shots DIR]` or `serve_page.py --mock [--shots DIR]`: goes through every page of a running `gptneo serve`
in headless Chromium, at the size of a desktop and of a phone, light and dark. Fails when the page complains, asks another origin, runs
what a text holds, is wider than the screen, lacks contrast, or has a serious fault of accessibility (axe-core, from the page's
`node_modules`), or when a feature does not do what it says. With --mock the server is `serve_mock.py`, and everything must be there; a
real server may have no runs, evaluations or reviews, which is then said. Feedback that the test gives it deletes, so the real server
should be one started for it. Needs `playwright` and Debian's chromium or chromium-headless-shell."""

import argparse
import pathlib
import re
import shutil
import sys

from playwright.sync_api import expect, sync_playwright

import serve_mock
from serve_looks import Visit, check, look_for_faults

parser = argparse.ArgumentParser()
parser.add_argument("--url")
parser.add_argument("--mock", action="store_true")
parser.add_argument("--shots", type=pathlib.Path)
arguments = parser.parse_args()
if arguments.mock == bool(arguments.url):
    parser.error("give one of --url and --mock")
MOCK = arguments.mock
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 375, "height": 740}}
missing = []


def there(found, what):
    """Whether the server has something to test with."""
    if not found and MOCK:
        sys.exit(f"the stand-in has no {what}")
    if not found and what not in missing:
        missing.append(what)
    return bool(found)


def button(page, name, **more):
    return page.get_by_role("button", name=name, **more)


def answered(page, of=1):
    """Waits until so many answers of the chat have ended."""
    expect(page.locator("article.answer .facts")).to_have_count(of)
    expect(button(page, "Send")).to_be_visible()


def conversations(visit):
    if visit.phone:
        button(visit.page, "Conversations").first.click()


def say(page, text):
    page.locator("#composer").focus()
    page.keyboard.insert_text(text)
    page.keyboard.press("Enter")


def chat(visit):
    page = visit.page
    visit.go("chat")
    bare = [one["name"] for one in visit.get("/local/models")["models"] if one["has_template"] is False]
    if there(bare, "model without a chat template"):
        page.get_by_label("Model of this conversation").select_option(bare[0])
        expect(page.get_by_role("heading", name="was not trained to chat")).to_be_visible()
        visit.look("chat-template")
        check(button(page, "Use this template").is_enabled(), False, "a template that nobody picked")
        page.get_by_label(re.compile("^plain")).check()
        button(page, "Use this template").click()
        expect(page.locator("#composer")).to_be_focused()
    visit.look("chat-empty")
    button(page, "Settings").click()
    page.get_by_label("System message").fill("You are brief.")
    page.get_by_label("Longest answer").fill("40")
    page.get_by_label("Temperature").fill("hot")
    expect(page.get_by_text("This is not a number.")).to_be_visible()
    page.get_by_label("Temperature").fill("0.7")
    visit.look("chat-settings")
    button(page, "Done").click()

    say(page, "Tell me of the river")
    answered(page)
    sent = visit.sent("/v1/chat/completions")
    check([one["role"] for one in sent["messages"]], ["system", "user"], "what is sent")
    wanted = {"stream": True, "temperature": 0.7, "max_tokens": 40} | ({"chat_template": "plain"} if bare else {})
    check({name: sent.get(name) for name in wanted}, wanted, "the settings")
    expect(page.locator(".facts").first).to_contain_text("token")
    button(page, "Answer again").click()
    expect(page.get_by_text("2/2")).to_be_visible()
    answered(page)
    button(page, "Branch before").click()
    expect(page.get_by_text("1/2")).to_be_visible()
    button(page, "Edit this message").click()
    check(page.evaluate("document.activeElement.tagName"), "TEXTAREA", "where editing begins")
    page.keyboard.insert_text("And more: ")
    button(page, "Send as a branch").click()
    answered(page)
    expect(page.get_by_text("2/2")).to_have_count(1)
    say(page, "Go on, slowly")
    answered(page, 2)
    if MOCK:
        say(page, "Once more, slowly")
        page.wait_for_timeout(500)
        button(page, "Stop the answer").click()
        expect(page.get_by_text("stopped by you")).to_be_visible()
        say(page, "BREAK")
        expect(page.get_by_role("alert")).to_contain_text("the engine stopped in the middle")
        expect(page.get_by_text("broke off")).to_be_visible()
    visit.look("chat")
    judge_answers(visit)
    keep_conversations(visit)


def judge_answers(visit):
    page = visit.page
    button(page, "A good answer").first.click()
    expect(button(page, "A good answer").first).to_have_attribute("aria-pressed", "true")
    given = visit.sent("/local/feedback")
    check([given["kind"], given["rating"], given["messages"][-1]["role"]], ["thumb", 1, "user"], "a thumb")
    button(page, "Report this answer").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("It is wrong").check()
    page.get_by_label("Note (optional)").fill("rivers do not speak")
    visit.look("report")
    button(page, "Report", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button(page, "Report this answer").first).to_be_focused()
    given = visit.sent("/local/feedback")
    check([given["kind"], given["reason"], given["note"]], ["report", "wrong", "rivers do not speak"], "a report")
    button(page, "Edit this answer").first.click()
    page.get_by_label("The better answer").fill("The river is wide.")
    visit.look("chat-edit")
    button(page, "Save as a branch").click()
    expect(page.get_by_text("edited by you")).to_be_visible()
    given = visit.sent("/local/feedback")
    check([given["kind"], given["better"]], ["edit", "The river is wide."], "an edit")


def keep_conversations(visit):
    page = visit.page
    conversations(visit)
    visit.look("chat-list")
    with page.expect_download() as download:
        button(page, re.compile("^Export")).first.click()
    saved = visit.read(download)
    check(len(saved["tree"]["messages"]) >= 6, True, "the messages that were exported")
    button(page, "New conversation").click()
    expect(page.locator("article")).to_have_count(0)
    page.reload()
    expect(page.locator("article").first).to_be_visible()
    conversations(visit)
    before = page.get_by_role("button", name=re.compile("^Delete")).count()
    button(page, re.compile("^Delete")).first.click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    check(button(page, re.compile("^Delete")).count(), before, "conversations after Escape")


def playground(visit):
    page = visit.page
    visit.go("playground")
    page.get_by_label("Text", exact=True).fill("Once upon a time, by the water")
    page.locator("summary", has_text="Settings").click()
    page.get_by_label("Longest answer").fill("30")
    page.locator("summary", has_text="Settings").click()
    page.get_by_label("Text", exact=True).focus()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("perplexity")).to_be_visible()
    sent = visit.sent("/v1/completions")
    check([sent["stream"], sent["logprobs"], sent["max_tokens"]], [True, 5, 30], "what is sent")
    tokens = page.locator(".token")
    count = tokens.count()
    check(count > 2, True, "tokens")
    visit.look("playground")
    before = "".join(tokens.all_text_contents())
    tokens.nth(0).focus()
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(1)).to_be_focused()
    check(page.locator(".token[tabindex='0']").count(), 1, "tokens in the order of Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".alternatives")).to_be_visible()
    check(page.evaluate("document.activeElement.className").split()[-1] != "token", True, "the focus among alternatives")
    visit.look("playground-token")
    page.keyboard.press("Escape")
    expect(page.locator(".alternatives")).to_have_count(0)
    expect(tokens.nth(1)).to_be_focused()
    if visit.phone:
        tokens.nth(1).click()
    else:
        tokens.nth(1).hover()
    other = page.locator(".alternatives .other:not(:disabled)").first
    name = other.locator(".name").text_content().replace("␣", " ")
    other.click()
    expect(page.get_by_text("perplexity")).to_be_visible()
    if "↵" not in name:
        check(visit.sent("/v1/completions")["prompt"].endswith(name), True, "the token in its new place")
    expect(page.locator(".token.chosen")).to_have_count(1)
    button(page, "Undo").click()
    check("".join(tokens.all_text_contents()), before, "what Undo brings back")
    button(page, "Take into the text").click()
    expect(tokens).to_have_count(0)
    button(page, "Score the text").click()
    expect(page.get_by_role("heading", name="How likely the text is")).to_be_visible()
    expect(page.get_by_text("perplexity")).to_be_visible()
    sent = visit.sent("/v1/completions")
    check([sent["max_tokens"], sent["echo"], sent["logprobs"]], [0, True, 5], "what scoring sends")
    visit.look("playground-score")


def compare(visit):
    page = visit.page
    visit.go("compare")
    page.get_by_label("Prompt", exact=True).fill("The best thing about mountains is")
    button(page, "Add a column").click()
    expect(page.get_by_role("heading", name=re.compile("^Column"))).to_have_count(3)
    button(page, "Run").click()
    expect(button(page, "This is best")).to_have_count(3)
    visit.look("compare")
    button(page, "This is best").nth(1).click()
    expect(button(page, "Best", exact=True)).to_be_visible()
    given = visit.sent("/local/feedback")
    check([given["kind"], given["prompt"], bool(given["better"])], ["choice", "The best thing about mountains is", True], "a choice")
    button(page, "Remove column 3").click()
    expect(page.get_by_role("heading", name=re.compile("^Column"))).to_have_count(2)


def presets(visit):
    page = visit.page
    visit.go("presets")
    found = visit.get("/local/presets")["presets"]
    if not there(found, "presets"):
        return
    visit.look("presets")
    one = found[0]
    page.get_by_role("link", name=re.compile(re.escape(one["title"]))).first.click()
    expect(page.get_by_role("heading", level=1, name=one["title"])).to_be_focused()
    line = next((field for field in one["fields"] if field["kind"] != "choice"), None)
    if line:
        page.get_by_label(line["label"], exact=True).fill("it's {{who}} & co.")
        expect(page.locator("pre").first).to_contain_text("it's {{who}} & co.")
        expect(page.locator("pre").last).to_contain_text("'\\''s {{who}} & co.'")
    template = page.get_by_label("Template", exact=True)
    template.fill(template.input_value() + " {{nobody}}")
    expect(page.get_by_text("No field is named nobody")).to_be_visible()
    button(page, "As it was").click()
    check(template.input_value(), one["template"], "the template as it was")
    button(page, "Run").click()
    expect(page.get_by_role("heading", name="Answer")).to_be_visible()
    expect(button(page, "A good answer")).to_be_visible()
    visit.look("preset")
    prompt = page.locator("pre").first.text_content()
    button(page, "Open in playground").click()
    expect(page.get_by_label("Text", exact=True)).to_have_value(prompt)


def runs(visit):
    page = visit.page
    visit.go("runs")
    found = visit.get("/local/runs")["runs"]
    if not there(found, "runs"):
        return
    expect(page.locator("tbody tr")).to_have_count(len(found))
    visit.look("runs")
    page.get_by_role("link", name=found[0]["name"]).first.click()
    expect(page.locator("figure")).to_have_count(1)
    check(len(page.locator("figure path.line").get_attribute("d")) > 20, True, "a curve")
    if found[0]["state"] == "running":
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
    if not there(found, "evaluations"):
        return
    visit.look("evaluations")
    task = found[0]["rows"][0]["task"]
    page.get_by_label("Only tasks whose name has").fill(task.upper())
    names = page.locator("tbody th:visible").all_text_contents()
    check(names and all(task in name for name in names), True, "the filter")
    page.get_by_label("Only tasks whose name has").fill("")
    if there(len(found) > 1, "second evaluation"):
        page.locator("summary", has_text="Compare two").click()
        page.get_by_label("First", exact=True).select_option("1")
        page.get_by_label("Second", exact=True).select_option("0")
        expect(page.get_by_role("region", name="Comparison")).to_be_visible()
        visit.look("evaluations-compared")


def review(visit):
    page = visit.page
    visit.go("review")
    found = visit.get("/local/reviews")["reviews"]
    if not there(found, "reviews"):
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
        for key in "2345" + "3" + "abt"[at % 3]:
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
    expect(page.get_by_role("heading", name="Model card")).to_be_visible()
    check([link for link in page.evaluate("[...document.querySelectorAll('.card-text a')].map((a) => a.protocol + a.rel)") if link != "https:noopener noreferrer"], [], "links of a card")
    visit.look("model")


def feedback(visit):
    page = visit.page
    visit.go("feedback")
    count = len(visit.get("/local/feedback")["items"])
    expect(page.locator("main article")).to_have_count(count)
    visit.look("feedback")
    with page.expect_download() as download:
        page.get_by_role("link", name="Everything").click()
    check(len(visit.read(download, lines=True)) >= 1, True, "lines of the export")
    button(page, "Delete this entry").first.click()
    visit.look("feedback-confirm")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("main article")).to_have_count(count - 1)
    button(page, "Delete all").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete all").click()
    expect(page.get_by_text("Nothing is stored.")).to_be_visible()


def around(visit):
    """The way between pages, the colours, and what is said where the server refuses."""
    page = visit.page
    visit.go("about")
    visit.look("about")
    check("policy" in page.request.get(visit.url + "policy").text().lower() or MOCK, True, "the policy")
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
with sync_playwright() as playwright:
    chromium = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    for size, viewport in SIZES.items():
        visit = Visit(browser, url, size, viewport, arguments.shots)
        for step in TOUR:
            try:
                step(visit)
            except Exception:
                print(f"{size}: {step.__name__}, at {visit.page.url}", file=sys.stderr)
                if arguments.shots:
                    visit.page.screenshot(path=arguments.shots / f"{size}-failed.png")
                raise
            print(f"{size}: {step.__name__}", flush=True)
        state = visit.close()
        look_for_faults(browser, url, viewport, state)
        print(f"{size}: axe", flush=True)
    browser.close()
if missing:
    print("not tested, since the server has none: " + ", ".join(missing))
print(f"{len(TOUR)} pages gone through at {len(SIZES)} sizes")

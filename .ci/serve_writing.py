"""The pages of `gptneo serve` on which text is written: chat, playground, compare and presets, as `serve_page.py` goes through them."""

import re

from playwright.sync_api import expect

from serve_looks import check


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
    if visit.there(bare, "model without a chat template"):
        page.get_by_label("Model of this conversation").select_option(bare[0])
        expect(page.get_by_role("heading", name="was not trained to chat")).to_be_visible()
        visit.look("chat-template")
        check(button(page, "Use this template").is_enabled(), False, "a template that nobody picked")
        page.get_by_role("radio", name=re.compile("^plain")).check()
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
    say(page, "Go on")
    answered(page, 2)
    if visit.mock:
        say(page, "Once more, slowly")
        page.wait_for_timeout(500)
        button(page, "Stop the answer").click()
        expect(page.get_by_text("stopped by you")).to_be_visible()
        say(page, "BREAK")
        expect(page.get_by_role("alert")).to_contain_text("the engine stopped in the middle")
        expect(page.get_by_text("broke off", exact=True)).to_be_visible()
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
    page.get_by_label("The better answer", exact=True).fill("The river is wide.")
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
    expect(page.get_by_text(re.compile("^perplexity"))).to_be_visible()
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
    expect(page.get_by_text(re.compile("^perplexity"))).to_be_visible()
    if not set(name) & set("↵⇥"):
        first = tokens.nth(0).text_content().replace("↵\n", "\n")
        check(visit.sent("/v1/completions")["prompt"], "Once upon a time, by the water" + first + name, "the token in its new place")
    expect(page.locator(".token.chosen")).to_have_count(1)
    button(page, "Undo").click()
    check("".join(tokens.all_text_contents()), before, "what Undo brings back")
    button(page, "Take into the text").click()
    expect(tokens).to_have_count(0)
    button(page, "Score the text").click()
    expect(page.get_by_role("heading", name="How likely the text is")).to_be_visible()
    expect(page.get_by_text(re.compile("^perplexity"))).to_be_visible()
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
    if not visit.there(found, "presets"):
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

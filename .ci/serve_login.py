"""`serve_login.py BINARY`: the page of a server that wants a key, in headless Chromium. The browser asks for a name and a password; the key is
the password. Without it, or with another, there is nothing to see; with it the page continues a text. Needs `playwright` and Debian's
chromium or chromium-headless-shell."""

import contextlib
import re
import sys

from playwright.sync_api import Error, expect, sync_playwright

from chromium import launch
from serve_clients import KEY, server


def main():
    binary, = sys.argv[1:]
    expect.set_options(timeout=20_000)
    with server(binary) as (url, _), sync_playwright() as playwright:
        browser = launch(playwright)
        for credentials in (None, {"username": "me", "password": KEY + "x"}):
            with contextlib.closing(browser.new_context(http_credentials=credentials)) as context:
                page = context.new_page()
                try:
                    response = page.goto(url)
                except Error as error:
                    # What headless Chromium says of a dialogue that nobody answers.
                    assert "ERR_INVALID_AUTH_CREDENTIALS" in error.message, error.message
                else:
                    assert response.status == 401 and page.locator("nav").count() == 0, response.status
        with contextlib.closing(browser.new_context(http_credentials={"username": "me", "password": KEY})) as context:
            page = context.new_page()
            statuses = []
            page.on("response", lambda response: statuses.append((response.status, response.url)))
            page.goto(f"{url}/#/playground")
            page.get_by_label("Text", exact=True).fill("Once upon a time")
            page.get_by_label("Text", exact=True).press("Control+Enter")
            expect(page.get_by_text(re.compile("^perplexity"))).to_be_visible()
            assert any(status == 200 and address.endswith("/v1/completions") for status, address in statuses), statuses
            kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
            assert KEY not in kept and KEY not in page.content(), "the page keeps the key"
        browser.close()
    print("the page of a server with a key: closed without it, open with it")


if __name__ == "__main__":
    main()

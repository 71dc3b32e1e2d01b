"""The tutorial, command by command.

    python .ci/tutorial.py BINARY [--browser]

Runs every block of docs/tutorial.md in an empty folder, in order, and holds it to what it says: the model knows nothing of the shop before,
answers after, and knows what people said in the end. With --browser (Playwright and Chromium) the page is asked as well, and told what it should have answered.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    text = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh( server)?\n(.*?)^```", text, re.M | re.S)
    said = []
    running = None
    with tempfile.TemporaryDirectory() as folder:
        bin_folder = pathlib.Path(folder, "bin")
        bin_folder.mkdir()
        (bin_folder / "gptneo").symlink_to(binary)
        environment = {
            **os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "FAQ": str(ROOT / "docs/tutorial/faq.jsonl"), "HOME": folder,
        }
        try:
            for server, block in blocks:
                print(f"$ {block}", flush=True)
                if server:
                    running = subprocess.Popen(["sh", "-c", f"exec {block}"], cwd=folder, env=environment)
                    wait("http://localhost:8321/health/ready")
                    if "--browser" in sys.argv:
                        browse()
                    continue
                done = subprocess.run(["sh", "-ec", block], cwd=folder, env=environment, capture_output=True, text=True)
                print(done.stdout[-600:], done.stderr[-600:], flush=True)
                assert done.returncode == 0, done.returncode
                said.append(done.stdout + done.stderr)
        finally:
            if running:
                running.terminate()
                assert running.wait(30) == 0
    before, taught, after, asked, again = said[1], said[2], said[3], said[4], said[-1]
    assert "ten coins" not in before, before
    first, last = (float(figure) for figure in (re.findall(r"bits_per_byte ([0-9.]+)", taught)[0], re.findall(r"bits_per_byte ([0-9.]+)", taught)[-1]))
    assert last < 0.25 * first, (first, last)
    assert "A flat tire costs ten coins to fix." in after, after
    assert "one hour" in asked, asked
    assert "bells" in again.splitlines()[-1] or "bells" in again, again
    print(f"held-out bits per byte {first} before, {last} after")


def wait(url):
    for _ in range(200):
        try:
            return urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the server did not start")


def browse():
    """Asks in the playground, is told something wrong, and writes what would have been right."""
    from playwright.sync_api import expect, sync_playwright

    from chromium import launch

    expect.set_options(timeout=20_000)
    with sync_playwright() as tool:
        browser = launch(tool)
        page = browser.new_page()
        page.goto("http://localhost:8321/#/playground")
        page.get_by_label("Model", exact=True).select_option("faq")
        page.locator("summary", has_text="Settings").click()
        page.get_by_label("Longest answer").fill("30")
        page.get_by_label("Temperature").fill("0")
        for question, wanted in [("Where is the shop?", "Mill Lane"), ("Do you sell bells?", "")]:
            page.get_by_label("Text", exact=True).fill(f"Customer: {question}\nShop:")
            page.get_by_label("Text", exact=True).press("Control+Enter")
            expect(page.get_by_text(re.compile("^perplexity"))).to_be_visible()
            expect(page.get_by_role("button", name="Edit this answer")).to_be_visible()
            answer = "".join(page.locator(".token").all_text_contents())
            assert wanted in answer, answer
            print(f"on the page: {question} {answer!r}", flush=True)
        page.get_by_role("button", name="Edit this answer").click()
        page.get_by_label("What it should have written").fill(" Yes, we have small and big bells.")
        page.get_by_role("button", name="Store", exact=True).click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.goto("http://localhost:8321/#/feedback")
        expect(page.get_by_text("small and big bells").first).to_be_visible()
        browser.close()


if __name__ == "__main__":
    sys.exit(main())

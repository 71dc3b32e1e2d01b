"""The tutorial, command by command.

    python .ci/tutorial.py BINARY [--browser]

Runs every block of docs/tutorial.md in an empty folder, in order, and holds it to what it says: the model knows nothing of the shop before,
answers after, and knows what people said in the end. With --browser (Playwright and Chromium) it also asks on the page.
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
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        options = {"executable_path": path} if (path := os.environ.get("CHROMIUM")) else {}
        browser = tool.chromium.launch(**options)
        page = browser.new_page()
        page.goto("http://localhost:8321")
        page.get_by_role("heading").first.wait_for()
        answer = page.evaluate(
            """async () => (await (await fetch("/v1/completions", {method: "POST", headers: {"Content-Type": "application/json"},
               body: JSON.stringify({model: "faq", prompt: "Customer: Where is the shop?\\nShop:", max_tokens: 30, temperature: 0})})).json())"""
        )
        assert "Mill Lane" in answer["choices"][0]["text"], answer
        browser.close()


if __name__ == "__main__":
    sys.exit(main())

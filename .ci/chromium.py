"""Debian's Chromium, without a window, for the scripts that drive a page by Playwright."""

import shutil


def launch(playwright):
    path = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])

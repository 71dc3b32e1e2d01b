"""What `serve_page.py` needs of a browser: a visit that notes every request and fault, looks at a page in light and dark, and axe-core."""

import json
import pathlib
import re
import sys

AXE = pathlib.Path(__file__).resolve().parent.parent / "crates/serve/page/node_modules/axe-core/axe.min.js"


def check(found, wanted, what):
    if found != wanted:
        sys.exit(f"{what}: found {found!r}, wanted {wanted!r}")


# The least contrast of any text that shows, and where it is. What is disabled needs none.
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); return [...canvas.getImageData(0, 0, 1, 1).data]; };
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
    if (!own || !node.checkVisibility({ opacityProperty: true }) || node.closest(":disabled")) continue;
    const style = getComputedStyle(node);
    const ink = node.tagName === "text" ? style.fill : style.color;
    const [one, other] = [light(rgb(ink)), light(rgb(ground(node)))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < worst[0]) { worst[0] = ratio; worst[1] = node.tagName + "." + node.className + ": " + node.textContent.slice(0, 30); }
  }
  return worst;
}"""


class Visit:
    """A browser of its own at one size of screen."""

    def __init__(self, browser, url, size, viewport, shots, mock):
        self.url, self.size, self.shots, self.mock, self.phone = url, size, shots, mock, size == "phone"
        self.missing = set()
        self.context = browser.new_context(viewport=viewport, color_scheme="light", has_touch=self.phone, accept_downloads=True, reduced_motion="reduce")
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.asked, self.posted, self.faults = [], [], []
        # Statuses that the test brings about: (status, end of the path).
        self.refused = set()
        self.page.on("request", self.note)
        self.page.on("response", self.answer)
        self.page.on("console", self.complaint)
        self.page.on("pageerror", lambda error: self.faults.append(str(error.stack)))
        self.page.on("dialog", lambda dialog: (self.faults.append(f"a dialog of the browser: {dialog.message}"), dialog.dismiss()))
        self.page.goto(url)

    def there(self, found, what):
        """Whether the server has something to test with. The stand-in has everything."""
        if not found and self.mock:
            sys.exit(f"the stand-in has no {what}")
        if not found:
            self.missing.add(what)
        return bool(found)

    def note(self, request):
        self.asked.append(request.url)
        if request.method == "POST":
            self.posted.append((request.url, request.post_data))

    def answer(self, response):
        if response.status >= 400 and not any(response.status == status and response.url.endswith(path) for status, path in self.refused):
            self.faults.append(f"{response.status} from {response.url}: {response.request.post_data}")

    def complaint(self, message):
        # A refused request is told by the response itself.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.faults.append(message.text)

    def sent(self, path):
        """The last body that was posted there."""
        wanted = path if isinstance(path, re.Pattern) else re.compile(re.escape(path) + "$")
        return json.loads(next(body for url, body in reversed(self.posted) if wanted.search(url)))

    def get(self, path):
        return self.page.request.get(self.url + path.lstrip("/")).json()

    def go(self, *parts):
        self.page.goto(self.url + "#/" + "/".join(parts))
        self.page.locator("h1").first.wait_for(state="attached")

    def look(self, name):
        """Width, contrast and a picture, light and dark."""
        for scheme in ("dark", "light"):
            self.page.emulate_media(color_scheme=scheme)
            what = f"{self.size}-{scheme}-{name}"
            if self.shots:
                self.page.screenshot(path=self.shots / f"{what}.png", full_page=True)
            ratio, where = self.page.evaluate(CONTRAST)
            check(ratio >= 4.5, True, f"{what}: contrast {ratio:.2f} of {where}")
            wide, room = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            check(wide <= room, True, f"{what}: {wide} wide")

    def read(self, download, lines=False):
        text = pathlib.Path(download.value.path()).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)

    def close(self):
        """Checks what was noted, and gives what the browser keeps."""
        check(self.page.evaluate("window.hacked"), None, f"{self.size}: a text was run")
        foreign = [url for url in self.asked if not url.startswith((self.url, f"blob:{self.url}", "data:"))]
        check(foreign, [], f"{self.size}: requests to other origins")
        check(self.faults, [], f"{self.size}: faults")
        state = self.context.storage_state()
        self.context.close()
        return state


def look_for_faults(browser, url, viewport, state):
    """axe-core on every page, in a browser that keeps what the visit kept, and lets a script of ours in."""
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport=viewport, storage_state=state, bypass_csp=True, color_scheme=scheme, reduced_motion="reduce")
        page = context.new_page()
        page.goto(url)
        paths = ["chat", "playground", "compare", "presets", "runs", "evaluations", "review", "models", "feedback", "about"]
        for kind, key, name in [("presets", "presets", "name"), ("runs", "runs", "id"), ("models", "models", "name")]:
            found = page.request.get(f"{url}local/{kind}").json()[key]
            paths += [f"{kind}/{found[0][name]}"] if found else []
        for path in paths:
            stored = page.request.post(f"{url}local/feedback", data={"kind": "thumb", "model": "m", "prompt": "p", "response": "r", "rating": 1}) if path == "feedback" else None
            page.goto(f"{url}#/{path}")
            page.reload()
            page.wait_for_load_state("networkidle")
            page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
            if path == "chat":
                page.get_by_role("button", name="Settings").click()
            if path == "playground":
                page.get_by_label("Text", exact=True).fill("Once upon a time")
                page.get_by_role("button", name="Score the text").click()
                page.locator(".token").nth(1).click()
            page.add_script_tag(path=AXE)
            found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
            bad = [f"{one['id']}: {one['help']}: {node['html'][:200]} {node['failureSummary'][:300]}" for one in found if one["impact"] in ("serious", "critical") for node in one["nodes"]]
            if stored:
                page.request.delete(f"{url}local/feedback/{stored.json()['id']}")
            check(bad, [], f"axe on {path}, {scheme}, {viewport['width']} wide")
        context.close()

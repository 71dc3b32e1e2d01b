"""A stand-in for `gptneo serve`, to work on its page: serves `dist/` under the server's policy, and answers as the server does, with
made-up models that write slowly enough to watch. `serve_page.py --mock` starts it; `python .ci/serve_mock.py PORT` alone does too."""

import json
import math
import pathlib
import random
import re
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIST = pathlib.Path(__file__).resolve().parent.parent / "crates/serve/page/dist"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KINDS = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
HOSTILE = '</script><script>window.hacked = 1</script><img src="x" onerror="window.hacked = 2">'
WORDS = (
    "The river rose in the night. By morning the lower fields were under water, and the old bridge stood alone.\n\nNobody spoke of it "
    "at first. They carried the chairs upstairs, and the clock, and a box of letters that had not been opened for years. “It will "
    "pass,” she said, and looked at the sky 🌧 as if it had answered. It did not pass that day."
)
SAMPLING = {"model", "stream", "stream_options", "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "stop", "seed"}
CARD = f"""---
license: mit
---
# Riverside 125M

A small model that **continues text**. It was trained on *public* books; see [the paper](https://example.org/paper) and not
[this](javascript:alert(1)). {HOSTILE}

## Use

1. Give it a beginning.
2. Read what it writes with care:
   - it invents facts,
   - it repeats prejudices.

| task | score |
|:-----|------:|
| `lambada` | 0.46 |
| `piqa` | 0.63 |

```sh
gptneo run -m riverside "Once upon a time"
```

> Nothing here was checked by a person.
"""


def model(name, **more):
    shown = {
        "name": name, "base": None, "loaded": True, "family": "GPT-Neo", "parameters": 125_198_592, "context": 2048, "layers": 12, "width": 768,
        "heads": 12, "weights": "f16", "output": "f16", "cache": "f32", "bytes": 250_397_184, "has_template": False, "rails": [], "card": None,
    }
    return shown | more


MODELS = [
    model("riverside-125m", card=CARD),
    model("riverside-chat", has_template=True, base="riverside-125m", rails=["blocked words", "personal data"], bytes=3_145_728, parameters=786_432),
    model("ridge-2.7b-q4", loaded=False, parameters=2_651_307_520, weights="q4_k", layers=32, width=2560, heads=20, bytes=1_610_612_736),
]
PRESETS = [
    {"name": "story", "title": "Begin a story", "group": "Write", "description": "A first paragraph from a place, a person and a mood.",
     "fields": [{"name": "who", "label": "Who", "kind": "line", "placeholder": "a lighthouse keeper"},
                {"name": "where", "label": "Where", "kind": "text", "placeholder": "an island nobody visits"},
                {"name": "mood", "label": "Mood", "kind": "choice", "choices": ["calm", "uneasy", "merry"]}],
     "template": "A {{mood}} story about {{who}}, who lives at {{where}}.\n\nChapter 1\n\n", "settings": {"temperature": 0.8, "max_tokens": 40, "stop": ["\nChapter"]}},
    {"name": "summary", "title": "Sum up", "group": "Read", "description": "A few sentences on what a text says.",
     "fields": [{"name": "text", "label": "Text", "kind": "text", "placeholder": "Paste a text"}], "template": "{{text}}\n\nTL;DR:", "settings": {"temperature": 0.3, "max_tokens": 40}},
    {"name": "questions", "title": "Ask about a text", "group": "Read", "description": "Answers a question from a passage, by examples.",
     "fields": [{"name": "text", "label": "Passage", "kind": "text"}, {"name": "question", "label": "Question", "kind": "line"}],
     "template": "{{text}}\n\nQ: {{question}}\nA:", "settings": {"temperature": 0, "max_tokens": 30, "stop": ["\n"]}},
]
BEGUN = time.time()
RUNS = [
    {"id": "r-7", "name": "riverside, longer context", "kind": "train", "state": "running", "started": BEGUN - 3700, "seconds": 3700.0, "steps": 900, "loss": 2.91, "tokens_per_second": 18_400.0},
    {"id": "r-6", "name": "chat on riverside", "kind": "finetune", "state": "finished", "started": BEGUN - 90_000, "seconds": 845.5, "steps": 300, "loss": 1.84, "tokens_per_second": 9100.0},
    {"id": "r-5", "name": "first try", "kind": "train", "state": "failed", "started": BEGUN - 180_000, "seconds": 12.3, "steps": 4, "loss": None, "tokens_per_second": None},
]


def row(task, metric, value, stderr=0.01, published=None, verdict=None):
    return {"task": task, "metric": metric, "value": value, "stderr": stderr, "samples": 500, "published": published, "verdict": verdict}


EVALUATIONS = [
    {"run": "e-2", "model": "riverside-125m", "when": BEGUN - 5000, "rows": [
        row("lambada_openai", "acc", 0.463, 0.022, 0.4599, "agrees within its error"), row("lambada_openai", "perplexity", 18.2, 0.7), row("piqa", "acc", 0.631, 0.022, 0.6306, "agrees within its error"),
        row("winogrande", "acc", 0.52, 0.022), row("wikitext", "word_perplexity", 32.4, None)]},
    {"run": "e-1", "model": "ridge-2.7b-q4", "when": BEGUN - 900_000, "rows": [row("lambada_openai", "acc", 0.622, 0.022), row("piqa", "acc", 0.652, 0.021), row("wikitext", "word_perplexity", 11.4, None)]},
]
ITEMS = [{"id": f"i{n}", "prompt": f"Prompt number {n}: the door opened and", "a": f"a first text {n}. " * 6, "b": f"a second text {n}. " * 4 + HOSTILE} for n in range(1, 4)]
FEEDBACK, ANSWERS, LOCK = [], [], threading.Lock()


class Refused(Exception):
    def __init__(self, status, message, code=None, param=None):
        super().__init__(message)
        self.status, self.error = status, {"message": message, "type": "invalid_request_error", "param": param, "code": code}


def tokens_of(text, first=0):
    """Words as tokens, with made-up probabilities."""
    chance = random.Random(text)
    found, at = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}, first
    for token in re.findall(r"\n|[ ]?[^\s]+|[ \t]", text):
        p = chance.choice([0.97, 0.85, 0.6, 0.4, 0.15, 0.03])
        rest = {f" {word}": math.log((1 - p) * share) for word, share in [("water", 0.4), ("then", 0.25), ("and", 0.15)]}
        rest["bytes:\\xe2\\x80"] = math.log((1 - p) * 0.05)
        found["tokens"].append(token)
        found["token_logprobs"].append(math.log(p))
        found["top_logprobs"].append({token: math.log(p), **rest})
        found["text_offset"].append(at)
        at += len(token)
    return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send(self, body, kind="application/json", status=200, more=()):
        body = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        page = kind.startswith("text/html")
        headers = [("content-type", kind), ("content-length", len(body)), ("x-content-type-options", "nosniff"),
                   ("content-security-policy", POLICY if page else "default-src 'none'"), *more]
        for name, value in headers:
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self, answer):
        try:
            answer()
        except Refused as refused:
            self.send({"error": refused.error}, status=refused.status)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def do_GET(self):
        self.handle_one(self.get)

    def do_POST(self):
        self.handle_one(self.post)

    def do_DELETE(self):
        self.handle_one(self.delete)

    def get(self):
        url = urllib.parse.urlsplit(self.path)
        path, asked = urllib.parse.unquote(url.path), dict(urllib.parse.parse_qsl(url.query))
        file = DIST / ("index.html" if path == "/" else path[1:])
        if (path == "/" or path.startswith("/assets/") or path == "/favicon.svg") and file.is_file() and DIST in file.resolve().parents:
            return self.send(file.read_bytes(), KINDS[file.suffix])
        plain = {
            "/version": {"version": "0.0.0-mock"},
            "/openapi.json": {"openapi": "3.1.0"},
            "/v1/models": {"object": "list", "data": [{"id": one["name"], "parent": one["base"], "max_model_len": one["context"]} for one in MODELS]},
            "/local/models": {"models": MODELS, "memory": {"budget": 8 << 30, "used": 3 << 29}},
            "/local/presets": {"presets": PRESETS},
            "/local/runs": {"runs": RUNS},
            "/local/evaluations": {"evaluations": EVALUATIONS},
            "/local/reviews": {"reviews": [{"id": "v1", "title": "Endings of short stories", "items": len(ITEMS), "judges": sorted({one["judge"] for one in ANSWERS})}]},
            "/local/feedback": {"items": FEEDBACK[::-1]},
        }
        if path in plain:
            return self.send(plain[path])
        if path == "/policy":
            return self.send("What may be done with what is generated here, and what may not.\n", "text/plain; charset=utf-8")
        if path == "/local/feedback/export":
            return self.send("".join(json.dumps(one) + "\n" for one in FEEDBACK), "application/jsonl", more=[("content-disposition", "attachment")])
        if found := re.fullmatch(r"/local/runs/([^/]+)(/series)?", path):
            return self.run(found[1], asked if found[2] else None)
        if path == "/local/reviews/v1/next":
            open_items = [one for one in ITEMS if not any(done["item"] == one["id"] and done["judge"] == asked["judge"] for done in ANSWERS)]
            done = len(ITEMS) - len(open_items)
            return self.send({"done": not open_items, "place": done + 1, "of": len(ITEMS), "item": open_items[0] if open_items else None})
        if path == "/local/reviews/v1/report":
            rows = [{"source": name, "fluency": 3.4, "coherence": 3.1, "relevance": 2.9, "won": 0.61, "strength": 0.42, "interval": [0.1, 0.8], "count": 3} for name in ("riverside-125m", "ridge-2.7b-q4")]
            return self.send({"rows": rows if ANSWERS else [], "alpha": 0.71 if ANSWERS else None, "answers": len(ANSWERS)})
        raise Refused(404, f"nothing answers at {path}", "not_found")

    def run(self, id, series):
        run = next((one for one in RUNS if one["id"] == id), None)
        if run is None:
            raise Refused(404, f"there is no run `{id}`", "not_found")
        steps = run["steps"] + (int((time.time() - BEGUN) * 2) if run["state"] == "running" else 0)
        if series is None:
            samples = [{"step": 300, "text": "The the of a river."}, {"step": 600, "text": WORDS[:90] + HOSTILE}] if id != "r-5" else []
            notes = [{"when": run["started"], "text": "begun with seed 7"}, {"when": run["started"] + 60, "text": "gradient norm of 9.2 was cut"}]
            settings = {"batch_tokens": 65536, "learning_rate": 6e-4, "model": {"layers": 12, "width": 768}, "data": "books.shards"}
            metrics = ["loss", "learning_rate", "gradient_norm", "validation.loss"] if id != "r-5" else []
            return self.send({"run": run | {"steps": steps}, "settings": settings, "metrics": metrics, "samples": samples, "notes": notes})
        noise = random.Random(1)
        curves = {
            "loss": lambda n: 2.8 + 7 * math.exp(-n / 90) + noise.gauss(0, 0.12), "learning_rate": lambda n: 6e-4 * min(n / 100, 1),
            "gradient_norm": lambda n: 1 + abs(noise.gauss(0, 0.3)), "validation.loss": lambda n: 2.9 + 6 * math.exp(-n / 90),
        }
        points = [[n, curves[series["metric"]](n)] for n in range(1, steps + 1)]
        self.send({"points": [point for point in points if point[0] > float(series.get("after", 0))]})

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["content-length"])))

    def post(self):
        body = self.body()
        if self.path == "/v1/chat/completions":
            return self.chat(body)
        if self.path == "/v1/completions":
            return self.complete(body)
        if self.path == "/local/feedback":
            with LOCK:
                FEEDBACK.append({"id": f"f{len(FEEDBACK) + 1}-{time.time_ns()}", "when": time.time(), **body})
            return self.send({"id": FEEDBACK[-1]["id"]})
        if self.path == "/local/reviews/v1/answers":
            scales = {"fluency", "coherence", "relevance"}
            if any(set(body[side]) != scales or not all(score in range(1, 6) for score in body[side].values()) for side in "ab"):
                raise Refused(400, "a score is missing")
            ANSWERS.append(body)
            return self.send({"ok": True})
        raise Refused(404, f"nothing answers at {self.path}", "not_found")

    def delete(self):
        with LOCK:
            id = self.path.removeprefix("/local/feedback").strip("/")
            FEEDBACK[:] = [one for one in FEEDBACK if id and one["id"] != id]
        self.send({"ok": True})

    def checked(self, body, more):
        for name in body:
            if name not in SAMPLING | more:
                raise Refused(400, f"`{name}` is not a field of this request", "unknown_field", name)
        found = next((one for one in MODELS if one["name"] == body.get("model", MODELS[0]["name"])), None)
        return found or self.no_model(body["model"])

    def no_model(self, name):
        raise Refused(404, f"the model `{name}` does not exist here", "model_not_found", "model")

    def chat(self, body):
        found = self.checked(body, {"messages", "chat_template"})
        if not found["has_template"] and not body.get("chat_template"):
            raise Refused(400, f"the model `{found['name']}` was not trained to chat, and brings no chat template", "no_chat_template", "messages")
        said = body["messages"][-1]["content"]
        self.events(body, said, lambda text, reason, _: {"delta": {"content": text} if text else {}, "finish_reason": reason})

    def complete(self, body):
        self.checked(body, {"prompt", "logprobs", "echo"})
        if body.get("echo") and body.get("max_tokens") == 0:
            text = body["prompt"]
            logprobs = tokens_of(text)
            logprobs["token_logprobs"][:1], logprobs["top_logprobs"][:1] = [None], [None]
            return self.send({"choices": [{"index": 0, "text": text, "logprobs": logprobs, "finish_reason": "length"}], "usage": {}})
        wants = body.get("logprobs") is not None
        self.events(body, body["prompt"], lambda text, reason, logprobs: {"text": text, "logprobs": logprobs if wants else None, "finish_reason": reason})

    def events(self, body, prompt, choice):
        """Streams, cutting lines and characters in two, with the line ends that some proxies make of ours."""
        spelled = tokens_of(WORDS)
        most = body.get("max_tokens", 60)
        count = min(most, len(spelled["tokens"]))
        self.send_response(200)
        for name, value in [("content-type", "text/event-stream"), ("transfer-encoding", "chunked")]:
            self.send_header(name, value)
        self.end_headers()
        pause = 0.15 if "slowly" in prompt else 0.012
        end = "\r\n" if len(prompt) % 2 else "\n"
        for at in range(count):
            if "BREAK" in prompt and at == 5:
                self.event({"error": {"message": "the engine stopped in the middle", "type": "server_error", "code": "internal_error"}}, end)
                break
            one = {name: [values[at]] for name, values in spelled.items()}
            self.event({"choices": [{"index": 0, **choice(one["tokens"][0], None, one)}]}, end)
            time.sleep(pause)
        else:
            self.event({"choices": [{"index": 0, **choice("", "stop" if count < most else "length", None)}]}, end)
            self.event({"choices": [], "usage": {"prompt_tokens": len(prompt.split()), "completion_tokens": count}}, end)
            self.raw(f"data: [DONE]{end}{end}".encode())
        self.wfile.write(b"0\r\n\r\n")

    def event(self, value, end):
        data = f"data: {json.dumps(value, ensure_ascii=False)}{end}{end}".encode()
        cut = len(data) * 2 // 3
        self.raw(data[:cut])
        self.raw(data[cut:])

    def raw(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


def start(port=0):
    """The server, running on a thread of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


if __name__ == "__main__":
    served = start(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(f"http://127.0.0.1:{served.server_port}/", flush=True)
    threading.Event().wait()

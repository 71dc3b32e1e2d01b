"""Measures `gptneo serve` under load, against llama.cpp's batched decode without any HTTP, and writes BENCHMARKS.md.

    python bench/serving.py --peers DIR --python PYTHON      # half an hour on two cores; --rows batch,crowd,beside,flood,slow: part of it

Both continue sequences of the shape of GPT-Neo 125m in q8_0 from an empty cache. Here so many clients stream over HTTP, each on its own
connection, and tokens a second are those that they received; there so many sequences are decoded by the library in its best setting.
Rounds alternate. Beside it stand percentiles at every load, in a closed loop, from a crowd (Poisson) and in bursts; what short prompts wait beside
long ones; how soon a full server refuses; and what becomes of others while thousands of connections send a byte now and then.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

import machine
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLIENTS = [1, 4, 16, 64]
GENERATED = 64


def main() -> int:
    args = arguments()
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    results["machine"] = machine.describe()
    about = {"date": datetime.date.today().isoformat(), "gptneo": machine.first_line([str(args.gptneo), "--version"])}
    found = results.setdefault("serving", {})
    found.update(about)
    rows = args.rows.split(",")
    with server(args) as url:
        load(args, url, "--concurrency", "4", "-n", "8")
        if "batch" in rows:
            found["batch"] = []
            for number in range(args.rounds):
                theirs = [peer(args, flash) for flash in "01"] if args.peers else []
                for clients in CLIENTS:
                    ours = load(args, url, "--concurrency", str(clients), "-n", str(max(8, 4 * clients)), "--seed", str(number))
                    one = {"clients": clients, "gptneo": ours, "llama.cpp": max((found[clients] for found in theirs), default=None)}
                    found["batch"].append(one)
                    print(number, clients, round(ours["tokens_per_s"], 1), one["llama.cpp"], flush=True)
        if "crowd" in rows:
            rates = (0.5, 1, 2, 4)
            found["crowd"] = [
                {"rate": rate, **load(args, url, "--rate", str(rate), "-n", str(int(max(30, 40 * rate))), prompt="128")} for rate in rates
            ]
            found["burst"] = [load(args, url, "--burst", "64", "--every", "20", "-n", "128", prompt="128")]
        if "beside" in rows:
            found["beside"] = beside(args, url)
        if "flood" in rows:
            found["flood"] = load(args, url, "--rate", "500", "-n", "10000", generated=64)
        if "slow" in rows:
            found["slow"] = slow(args, url)
    args.results.write_text(json.dumps(results, indent=1) + "\n")
    args.output.write_text(report.markdown(results))
    print(f"wrote {args.output}")
    return 0


def arguments() -> argparse.Namespace:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--gptneo", type=pathlib.Path, default=ROOT / "target/release/gptneo")
    args.add_argument("--peers", type=pathlib.Path)
    args.add_argument("--python", default=sys.executable)
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--rows", default="batch,crowd,beside,flood,slow")
    args.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results.json")
    args.add_argument("--output", type=pathlib.Path, default=ROOT / "BENCHMARKS.md")
    return args.parse_args()


@contextlib.contextmanager
def server(args):
    """A server with random weights of the shape: prompts are token ids."""
    words = [args.gptneo, "serve", "-m", "bench=random:gpt-neo-125m", "--quant", "q8_0", "--port", "0", "-c", "2048"]
    running = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    address = None
    for line in running.stderr:
        if match := re.search(r"listening on (http://\S+)", line):
            address = match[1]
        if line.startswith("ready"):
            break
    try:
        yield address
    finally:
        running.terminate()
        running.wait(60)


def load(args, url, *flags, prompt="1", generated=GENERATED) -> dict:
    words = [args.gptneo, "bench", "serve", "--url", url, "--ids", "50257", "--prompt", prompt, "--gen", str(generated), "--ignore-eos"]
    return json.loads(subprocess.run([*words, "--json", *flags], check=True, capture_output=True).stdout)


def short(args, url, seed) -> dict:
    return load(args, url, "--rate", "1", "-n", "60", "--seed", str(seed), prompt="32", generated=8)


def beside(args, url) -> list[dict]:
    """Short prompts from a crowd, alone and while one prompt of 2,000 tokens after the other is read; in turn."""
    found = []
    for number in range(args.rounds):
        alone = short(args, url, number)
        over = threading.Event()

        def others():
            for seed in range(1000, 2000):
                if over.is_set():
                    return
                load(args, url, "--concurrency", "1", "-n", "1", "--seed", str(seed), prompt="2000", generated=1)

        reading = threading.Thread(target=others)
        reading.start()
        found.append({"alone": alone, "beside": short(args, url, number)})
        over.set()
        reading.join()
        print("beside", *(spread["time_to_first_token"] for spread in found[-1].values()), flush=True)
    return found


def is_gone(one: socket.socket) -> bool:
    """Whether the server has answered or closed this connection, of which nothing was expected."""
    try:
        one.recv(1 << 12)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def slow(args, url, connections=5000) -> dict:
    """20 clients before, and while so many connections send a byte every ten seconds."""
    honest = ("--concurrency", "20", "-n", "400")
    before = load(args, url, *honest, generated=16)
    place = urllib.parse.urlsplit(url)
    over = threading.Event()
    dropped = 0

    def dawdle():
        nonlocal dropped
        held = {}
        while not over.is_set():
            # A few at a time: the backlog of a listener is short.
            for _ in range(min(500, connections - len(held))):
                with contextlib.suppress(OSError):
                    one = socket.create_connection((place.hostname, place.port), 5)
                    one.setblocking(False)
                    held[one] = time.monotonic()
                    one.send(b"P")
            for one, since in list(held.items()):
                if is_gone(one):
                    dropped += 1
                    del held[one]
                    one.close()
                elif time.monotonic() - since > 10:
                    with contextlib.suppress(OSError):
                        one.send(b"O")
                        held[one] = time.monotonic()
            over.wait(0.2)
        for one in held:
            one.close()

    dawdling = threading.Thread(target=dawdle)
    dawdling.start()
    time.sleep(5)
    during = load(args, url, *honest, generated=16)
    time.sleep(12)
    over.set()
    dawdling.join()
    print("slow", before["time_to_first_token"], during["time_to_first_token"], dropped, flush=True)
    return {"connections": connections, "dropped": dropped, "before": before, "during": during}


def peer(args, flash) -> dict[int, float]:
    """Tokens a second of so many sequences at once."""
    words = [args.python, str(args.peers / "llama_cpp_speed.py"), "125m", "q8_0", "batch"]
    done = subprocess.run(words, env={**os.environ, "FLASH": flash}, capture_output=True, text=True, check=True)
    return {int(match[1]): float(match[2]) for match in re.finditer(r"(\d+) sequences: ([0-9.]+) tok/s", done.stdout)}


if __name__ == "__main__":
    sys.exit(main())

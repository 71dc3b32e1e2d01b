"""Measures `gptneo serve` under load, against llama.cpp's batched decode without any HTTP, and writes BENCHMARKS.md.

    python bench/serving.py --peers DIR --python PYTHON      # half an hour on two cores; --rows part of it

Both continue sequences of the shape of GPT-Neo 125m in q8_0 from an empty cache. Here so many clients stream over HTTP, each on its own
connection, and tokens a second are those that they received; there so many sequences are decoded by the library in its best setting.
Rounds alternate. Beside it stand percentiles at every load, in a closed loop and from a crowd (Poisson).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

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
    args.add_argument("--rows", default="batch,crowd")
    args.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results.json")
    args.add_argument("--output", type=pathlib.Path, default=ROOT / "BENCHMARKS.md")
    return args.parse_args()


@contextlib.contextmanager
def server(args):
    """A server with random weights of the shape: prompts are token ids."""
    words = [args.gptneo, "serve", "-m", "bench=random:gpt-neo-125m", "--quant", "q8_0", "--port", "0", "-c", "1024"]
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


def load(args, url, *flags, prompt="1") -> dict:
    words = [args.gptneo, "bench", "serve", "--url", url, "--ids", "50257", "--prompt", prompt, "--gen", str(GENERATED), "--ignore-eos"]
    return json.loads(subprocess.run([*words, "--json", *flags], check=True, capture_output=True).stdout)


def peer(args, flash) -> dict[int, float]:
    """Tokens a second of so many sequences at once."""
    words = [args.python, str(args.peers / "llama_cpp_speed.py"), "125m", "q8_0", "batch"]
    done = subprocess.run(words, env={**os.environ, "FLASH": flash}, capture_output=True, text=True, check=True)
    return {int(match[1]): float(match[2]) for match in re.finditer(r"(\d+) sequences: ([0-9.]+) tok/s", done.stdout)}


if __name__ == "__main__":
    sys.exit(main())

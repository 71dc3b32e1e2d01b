"""Measures gptneo against its peers, back to back on one machine, and writes BENCHMARKS.md.

    cargo build --release
    python bench/compare.py --peers DIR --python PYTHON               # everything: an hour on two cores
    python bench/compare.py --peers DIR --rows 125m-q8_0,small        # a part; results.json keeps the others
    python bench/compare.py --rows quality --model MODEL --text FILE  # what each type costs, on real weights and text
    python bench/compare.py --rows report                             # only write BENCHMARKS.md again

DIR holds llama_cpp_speed.py, transformers_speed.py and openvino_speed.py; PYTHON is an interpreter that has what they
import (llama-cpp-python, gguf, torch, transformers). A peer that does not run leaves its row "not measured". The
figures of every round are kept in bench/results.json; BENCHMARKS.md is written from that file alone. Where other work
shares the machine, put a lock before each command with --prefix; `small` takes times itself, so lock it as a whole.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

import machine
import report
import small
from sittings import SITTINGS, Command

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS = [*SITTINGS, "small", "quality", "report"]


def main() -> int:
    args = arguments()
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    rows = [*SITTINGS, "small"] if args.rows is None else args.rows.split(",")
    if unknown := [row for row in rows if row not in ROWS]:
        print(f"no row named {', '.join(unknown)}; there are: {', '.join(ROWS)}", file=sys.stderr)
        return 2
    if "quality" in rows and not (args.model and args.text):
        print("the row `quality` wants --model, with real weights, and --text", file=sys.stderr)
        return 2
    measured = [row for row in rows if row != "report"]
    if measured and not args.gptneo.exists():
        print(f"{args.gptneo} is not there: run `cargo build --release`, or name it with --gptneo", file=sys.stderr)
        return 2
    if measured:
        results["machine"] = machine.describe()
        results["versions"] = {**results.get("versions", {}), **versions(args)}
    for row in measured:
        about = {
            "date": datetime.date.today().isoformat(),
            "gptneo": results["versions"]["gptneo"],
            "threads": args.threads,
        }
        if row == "small":
            results["small"] = about | small.measure(args.gptneo, args.threads)
        elif row == "quality":
            results["quality"] = [about | one for one in small.quality(args.gptneo, args.model, args.text)]
        else:
            rounds = sitting(row, args)
            results.setdefault("sittings", {})[row] = about | {"rounds": rounds}
        write(args.results, results)
    args.output.write_text(report.markdown(results))
    print(f"wrote {args.output}")
    return 0


def arguments() -> argparse.Namespace:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--rows", help=f"comma-separated: {', '.join(ROWS)}")
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args.add_argument("--gptneo", type=pathlib.Path, default=ROOT / "target/release/gptneo")
    args.add_argument("--peers", type=pathlib.Path, help="folder of the peers' scripts")
    args.add_argument("--python", default=sys.executable, help="interpreter for the peers")
    args.add_argument("--openvino-python", help="interpreter for OpenVINO, which wants an older transformers")
    args.add_argument(
        "--prefix", type=shlex.split, default=[], help="put before every command, such as a lock or taskset"
    )
    args.add_argument("--timeout", type=float, default=590, help="seconds for one command")
    args.add_argument("--model", help="real weights, for the row `quality`")
    args.add_argument("--text", type=pathlib.Path, help="UTF-8 text, for the row `quality`")
    args.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results.json")
    args.add_argument("--output", type=pathlib.Path, default=ROOT / "BENCHMARKS.md")
    return args.parse_args()


def sitting(name: str, args) -> list[dict]:
    """The figures of each round by command; a command that fails is left out of its round, and says why on stderr."""
    rounds, broken = [], set()
    for number in range(args.rounds):
        figures = {}
        for command in SITTINGS[name]:
            if command.name in broken:
                continue
            found = run(command, args)
            if found:
                figures[command.name] = found
                shown = ", ".join(f"{k} {v:.4g}" for k, v in found.items() if k.endswith(("_per_s", "_share")))
                print(f"{name}, round {number + 1}, {command.name}: {shown}", flush=True)
            else:
                broken.add(command.name)
        rounds.append(figures)
    return rounds


def run(command: Command, args) -> dict:
    interpreter = interpreter_of(command, args)
    if interpreter is None:
        return {}
    words = [word.format(threads=args.threads) for word in command.arguments]
    if command.program == "gptneo":
        line = [*args.prefix, str(args.gptneo), *words]
    else:
        line = [*args.prefix, interpreter, str(args.peers / words[0]), *words[1:]]
    environment = os.environ | dict(command.environment)
    try:
        done = subprocess.run(
            line, env=environment, capture_output=True, text=True, timeout=args.timeout, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{command.name}: {error}", file=sys.stderr)
        return {}
    if done.returncode != 0:
        print(f"{command.name}: exit {done.returncode}: {done.stderr.strip()[-500:]}", file=sys.stderr)
        return {}
    if command.program != "gptneo":
        found = command.read(done.stdout)
        if not found:
            print(f"{command.name}: no figures in what it printed:\n{done.stdout[-500:]}", file=sys.stderr)
        elif command.program == "llama.cpp":
            found |= llama_cpp_types(args.python, *command.arguments[1:3])
        return found
    return json.loads(done.stdout)


@functools.cache
def llama_cpp_types(python: str, size: str, quant: str) -> dict:
    """Types of llama.cpp's output matrix (in these tied models, the embedding) and of its cache, by default f16."""
    file = pathlib.Path(tempfile.gettempdir()) / f"peers-{size}-{quant}.gguf"
    ask = (
        f"import gguf; r = gguf.GGUFReader({str(file)!r});"
        "print(next(t.tensor_type.name for t in r.tensors if t.name == 'token_embd.weight').lower())"
    )
    output = machine.first_line([python, "-c", ask])
    return {"cache_type_k": "f16", "cache_type_v": "f16"} | ({"output_type": output} if output else {})


def interpreter_of(command: Command, args) -> str | None:
    """What runs this program; empty for gptneo itself, none where this peer was not offered."""
    if command.program == "gptneo":
        return ""
    python = args.openvino_python if command.program == "openvino" else args.python
    if args.peers is None or python is None:
        print(f"{command.name}: not measured: no interpreter or no --peers given", file=sys.stderr)
        return None
    return python


def versions(args) -> dict:
    """Who was measured."""
    found = {"gptneo": machine.first_line([str(args.gptneo), "--version"]).removeprefix("gptneo ")}
    commit = machine.first_line(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    found["gptneo"] += f" ({commit})" if commit else ""
    if args.peers is not None:
        for package in ("llama-cpp-python", "torch", "transformers"):
            ask = f"import importlib.metadata as m; print(m.version({package!r}))"
            if line := machine.first_line([args.python, "-c", ask]):
                found[package] = line
        if args.openvino_python:
            ask = "import importlib.metadata as m; print(m.version('openvino'))"
            found["openvino"] = machine.first_line([args.openvino_python, "-c", ask])
    return found


def write(path: pathlib.Path, results: dict) -> None:
    path.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    sys.exit(main())

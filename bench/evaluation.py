"""Measures `gptneo eval` against the reference evaluation harness on one machine, and writes BENCHMARKS.md.

    PYTHON bench/evaluation.py --data DIR       # an hour on two cores; PYTHON has lm-eval, transformers, torch, pyarrow

Both ask the same documents of the same model: random weights of GPT-Neo 125m, and GPT-2's tokenizer from DIR. The whole LAMBADA
test is asked in parts, and of each part first gptneo in f32, then the harness (transformers, f32, batch 8), then gptneo in q8_0, so
that no figure has the machine's better hour. Of gptneo the time of the whole command counts; of the harness that of its evaluation,
with the model's load but without the start of Python.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import machine
import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "fixtures"))
import harness_parity  # noqa: E402

# Task, its set at the hub, where its documents are, how many of them, in how many parts.
ASKED = [
    ("lambada_openai", ("EleutherAI/lambada_openai", "default"), "lambada", None, 8),
    ("hellaswag", ("Rowan/hellaswag", None), "hellaswag", 500, 2),
]


def main() -> int:
    args = arguments()
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    results["machine"] = machine.describe()
    found = {}
    with tempfile.TemporaryDirectory(prefix="gptneo-evaluation-") as scratch:
        model = pathlib.Path(scratch) / "model"
        make(args, model)
        for task, dataset, place, count, parts in ASKED:
            documents = harness_parity.documents(args.data, place)[:count]
            found[task] = []
            for part in range(parts):
                asked = documents[len(documents) * part // parts : len(documents) * (part + 1) // parts]
                folder = pathlib.Path(scratch) / f"{task}-{part}"
                for split in ("train", "validation", "test"):
                    harness_parity.write(folder, dataset, split, asked)
                times = {"documents": len(asked)}
                times["gptneo f32"] = ours(args, model, folder, task, "f32")
                times["lm-eval f32"] = theirs(model, folder, task)
                times["gptneo q8_0"] = ours(args, model, folder, task, "q8_0")
                found[task].append(times)
                print(f"{task}, part {part + 1} of {parts}: {times}", flush=True)
                about = {"date": datetime.date.today().isoformat(), "gptneo": version(args)}
                results["evaluation"] = about | {"tasks": found}
                args.results.write_text(json.dumps(results, indent=1) + "\n")
    args.output.write_text(report.markdown(results))
    print(f"wrote {args.output}")
    return 0


def arguments() -> argparse.Namespace:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--data", required=True)
    args.add_argument("--gptneo", type=pathlib.Path, default=ROOT / "target/release/gptneo")
    args.add_argument("--results", type=pathlib.Path, default=ROOT / "bench/results.json")
    args.add_argument("--output", type=pathlib.Path, default=ROOT / "BENCHMARKS.md")
    return args.parse_args()


def version(args) -> str:
    return machine.first_line([str(args.gptneo), "--version"]).removeprefix("gptneo ")


def make(args, model: pathlib.Path) -> None:
    """Random weights with GPT-2's tokenizer, in the layout that both read."""
    subprocess.run([args.gptneo, "convert", "-m", "random:gpt-neo-125m", "-o", model, "--type", "f32"], check=True)
    for file in pathlib.Path(args.data, "tokenizer/gpt2").iterdir():
        if not (model / file.name).exists():
            shutil.copy(file, model / file.name)


def ours(args, model: pathlib.Path, folder: pathlib.Path, task: str, quant: str) -> float:
    words = [args.gptneo, "eval", "-m", model, "--tasks", task, "--data", folder, "--quant", quant, "--offline", "--json"]
    begun = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.monotonic() - begun


def theirs(model: pathlib.Path, folder: pathlib.Path, task: str) -> float:
    begun = time.monotonic()
    harness_parity.harness(str(model), folder, [task], 0)
    return time.monotonic() - begun


if __name__ == "__main__":
    sys.exit(main())

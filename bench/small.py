"""Figures that need no peer: memory, the first token, the binary, and what each type costs."""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from sittings import GENERATED, PROMPT, SHAPES

MARGIN_BYTES = 150_000_000
WINDOW = 256


def measure(gptneo: pathlib.Path, threads: int) -> dict:
    """Every figure that could be taken; one that could not is left out and said on stderr."""
    found = {"binary_bytes": gptneo.stat().st_size}
    found["help_ms"] = statistics.median(run([gptneo, "--help"])["wall_s"] * 1e3 for _ in range(21))
    with tempfile.TemporaryDirectory(prefix="gptneo-bench-") as scratch:
        for size, quant in (("125m", "q8_0"), ("125m", "q4_0"), ("1.3b", "q4_0")):
            key = f"{size} {quant}"
            try:
                found[key] = stored(gptneo, threads, size, quant, pathlib.Path(scratch))
            except (RuntimeError, KeyError) as error:
                print(f"{key}: {error}", file=sys.stderr)
    try:
        words = [
            "run",
            "-m",
            "random:gpt-j-6b",
            "--quant",
            "q4_0",
            "--tokens",
            "1,2,3,4",
            "-n",
            "8",
            "--ignore-eos",
            "--json",
        ]
        ran = run([gptneo, *words, "--threads", str(threads)])
        decode = json.loads(ran["stdout"])["timings"]["decode_tokens_per_s"]
        found["gpt-j-6b q4_0"] = {
            "peak_bytes": ran["peak_bytes"],
            "wall_s": ran["wall_s"],
            "decode_tokens_per_s": decode,
        }
    except (RuntimeError, KeyError) as error:
        print(f"gpt-j-6b: {error}", file=sys.stderr)
    return found


def quality(gptneo: pathlib.Path, model: str, text: pathlib.Path) -> list[dict]:
    """What each type costs on real text, by `gptneo quantize` itself."""
    found = []
    with tempfile.TemporaryDirectory(prefix="gptneo-bench-") as scratch:
        for kind in ("f16", "bf16", "q8_0", "q6_k", "q4_k", "q4_0"):
            file = pathlib.Path(scratch) / f"{kind}.gguf"
            told = json.loads(
                run([gptneo, "quantize", "-m", model, "-o", file, "--type", kind, "--text", text, "--json"])["stdout"]
            )
            file.unlink()
            told |= {"model": pathlib.Path(model).name, "text": text.name, "fallbacks": len(told["fallbacks"])}
            del told["output"]
            found.append(told)
            print(f"{kind}: delta NLL {told['delta_nll']:+.5f}, KL {told['kl']:.6f}", flush=True)
    return found


def stored(gptneo, threads, size, quant, scratch: pathlib.Path) -> dict:
    """A model file of random weights: the first token after a start, and the peak of memory over a long run."""
    file = scratch / f"{size}-{quant}.gguf"
    run([gptneo, "quantize", "-m", SHAPES[size]["model"], "-o", file, "--type", quant])
    start = [gptneo, "run", "-m", file, "--threads", str(threads), "--ignore-eos", "--json", "--temp", "0"]
    first = []
    for _ in range(5):
        ran = run([*start, "--tokens", "1,2,3,4,5,6,7,8", "-n", "1"])
        first.append((ran["wall_s"] * 1e3, json.loads(ran["stdout"])["timings"]["first_token_ms"]))
    ids = ",".join(str((i * 7919 + 13) % 50257) for i in range(PROMPT))
    ran = run([*start, "--tokens", ids, "-n", str(GENERATED)])
    bytes_ = {"file_bytes": file.stat().st_size, "cache_bytes": cache_bytes(size)}
    file.unlink()
    return bytes_ | {
        "peak_bytes": ran["peak_bytes"],
        "allowed_bytes": sum(bytes_.values()) + MARGIN_BYTES,
        "first_token_wall_ms": statistics.median(wall for wall, _ in first),
        "first_token_ms": statistics.median(ms for _, ms in first),
    }


def cache_bytes(size: str) -> int:
    """Keys and values in f16: every position in global layers, the window in local ones (half of the layers each)."""
    shape = SHAPES[size]
    positions = shape["layers"] // 2 * (PROMPT + GENERATED) + shape["layers"] // 2 * WINDOW
    return positions * 2 * shape["hidden"] * 2


def run(command: list) -> dict:
    """Runs to the end; its output, wall time and peak resident memory (of the largest process below it)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        child = subprocess.Popen([str(word) for word in command], stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode != 0:
            raise RuntimeError(f"exit {child.returncode}: {err.read().decode(errors='replace').strip()[-500:]}")
        scale = 1 if sys.platform == "darwin" else 1024
        return {"stdout": out.read().decode(), "wall_s": wall, "peak_bytes": usage.ru_maxrss * scale}

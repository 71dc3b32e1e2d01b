"""The held-out score of the built-in model, and ten samples as they come.

    python3 .ci/pocket.py BINARY STORIES.jsonl.zst [--most BITS] [--samples]

The held-out stories are those that `gptneo data tokenize --held-out 1%` holds out: by the first 8 bytes of the SHA-256 of their
text. `gptneo score` takes each by itself; bits per byte is the sum over all of them. With --most it fails above that. Zstandard is
read by the Python module `compression.zstd` or the package `zstandard`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import pathlib
import subprocess
import sys
import tempfile

PPM = 10_000
PROMPTS = ["Once upon a time", "One day, a little dog", "Lily and Tom were", "The old tree", "Mom said"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gptneo")
    parser.add_argument("stories", type=pathlib.Path)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--most", type=float)
    parser.add_argument("--limit", type=int, default=10**9, help="score so many of the held-out stories")
    parser.add_argument("--samples", action="store_true")
    args = parser.parse_args()
    held_out = [text for text in texts(args.stories) if is_held_out(text)][: args.limit]
    nats = size = tokens = 0
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch) / "story.txt"
        for text in held_out:
            file.write_bytes(text.encode())
            scored = json.loads(run(args.gptneo, "score", "-m", args.model, "--file", file, "--json"))
            count = len(scored["logprobs"])
            nats += scored["nll_per_token"] * count
            tokens += count
            size += len(text.encode())
    bits = nats / math.log(2) / size
    print(f"{len(held_out)} held-out stories, {size} bytes, {tokens} tokens: {bits:.4f} bits per byte")
    if args.samples:
        for seed in range(10):
            prompt = PROMPTS[seed % len(PROMPTS)]
            story = run(args.gptneo, "run", "-m", args.model, prompt, "--seed", seed, "-n", "200")
            print(f"\n--- {prompt!r}, --seed {seed}\n{prompt}{story.rstrip()}")
    if args.most is not None and bits > args.most:
        print(f"BREAKS: more than {args.most}")
        return 1
    return 0


def texts(path: pathlib.Path):
    for line in decompressed(path).splitlines():
        yield json.loads(line)["text"]


def decompressed(path: pathlib.Path) -> bytes:
    packed = path.read_bytes()
    try:
        from compression import zstd

        return zstd.decompress(packed)
    except ImportError:
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj().decompress(packed)


def is_held_out(text: str) -> bool:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    return (number * 1_000_000) >> 64 < PPM


def run(*command) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())

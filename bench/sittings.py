"""What is measured, and against what.

A *sitting* is a list of commands that one round runs one after the other; several rounds of a sitting alternate the
programs, so that the machine's moods meet all of them. A *claim* is a line of BENCHMARKS.md: a figure, or a ratio of
two figures of one sitting, with the floor it has to reach. The peers' scripts print the best of three or four prefills and
of three training steps, and the median of decoded tokens: gptneo is compared by its best, of three, and its median.
"""

from __future__ import annotations

import dataclasses
import re

SHAPES = {
    "125m": dict(model="random:gpt-neo-125m", layers=12, hidden=768, heads=12),
    "1.3b": dict(model="random:gpt-neo-1.3b", layers=24, hidden=2048, heads=16),
}
PROMPT, GENERATED, BATCH = 512, 64, 16


@dataclasses.dataclass(frozen=True)
class Command:
    """One program at one setting: how it is started, and how its figures are found in what it prints."""

    name: str  # as it stands in the tables
    program: str  # gptneo, llama.cpp, transformers, openvino
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    figures: tuple[tuple[str, str], ...] = ()  # (figure, pattern with one group); empty: the program prints JSON

    def read(self, output: str) -> dict:
        found = {}
        for figure, pattern in self.figures:
            if match := re.search(pattern, output):
                found[figure] = float(match.group(1))
        return found


@dataclasses.dataclass(frozen=True)
class Claim:
    """A line of the table. `ours` and `theirs` name commands of the sitting; the best of each side counts."""

    what: str
    sitting: str
    figure: str
    floor: float
    ours: tuple[str, ...]
    theirs: tuple[str, ...] = ()
    kind: str = "ratio"  # ratio; share: ours alone, of the machine's limit; bytes: a ratio that may be so large at most
    speed: str = "decode_tokens_per_s"  # told beside a share

    def __post_init__(self):
        assert (self.kind != "share") == bool(self.theirs), self.what


def gptneo(size: str, quant: str, *more: str) -> Command:
    name = f"gptneo {quant}" + (f" x{BATCH}" if "--batch" in more else "")
    arguments = (
        "bench",
        "-m",
        SHAPES[size]["model"],
        "--quant",
        quant,
        "--prompt",
        str(PROMPT),
        "--gen",
        str(GENERATED),
    )
    return Command(name, "gptneo", (*arguments, "--threads", "{threads}", "--json", *more))


def llama_cpp(size: str, quant: str, flash: str, batch: bool = False) -> Command:
    s, q = re.escape(size), re.escape(quant)
    figures = (
        ("prefill_best_tokens_per_s", rf"{s} {q} prefill512 ([\d.]+) tok/s"),
        ("decode_tokens_per_s", rf"{s} {q} decode@512 ([\d.]+) tok/s"),
    )
    if batch:
        figures = (("batch_tokens_per_s", rf"{s} {q} {BATCH} sequences: ([\d.]+) tok/s"),)
    return Command(
        f"llama.cpp {quant} FLASH={flash}" + (f" x{BATCH}" if batch else ""),
        "llama.cpp",
        ("llama_cpp_speed.py", size, quant, *(("batch",) if batch else ())),
        (("FLASH", flash),),
        figures,
    )


TRANSFORMERS_F32 = Command(
    "transformers f32",
    "transformers",
    ("transformers_speed.py", "125m", "infer", "f32"),
    (),
    (("prefill_best_tokens_per_s", r"prefill512 ([\d.]+) tok/s"), ("decode_tokens_per_s", r"decode@512 ([\d.]+) tok/s")),
)

OPENVINO_INT8 = Command(
    "OpenVINO int8",
    "openvino",
    ("openvino_speed.py", "125m", "8"),
    (),
    (("prefill_best_tokens_per_s", r"prefill512 ([\d.]+) tok/s"), ("decode_tokens_per_s", r"decode@512 ([\d.]+) tok/s")),
)


# Sequences of a step, and tokens of each.
TRAINED = ((4, 256), (1, 1024))


def train(batch: int, tokens: int) -> list[Command]:
    """Whole steps of 125m in f32: forward, backward and AdamW."""
    step = ("--train", "--batch", str(batch), "--seq", str(tokens), "--threads", "{threads}", "--json")
    return [
        Command("gptneo train", "gptneo", ("bench", "-m", SHAPES["125m"]["model"], *step)),
        Command(
            "transformers train",
            "transformers",
            ("transformers_speed.py", "125m", "train", "f32", str(batch), str(tokens)),
            (),
            (("train_best_tokens_per_s", r"train B\d+ T\d+: ([\d.]+) tok/s"), ("peak_rss_gb", r"rss ([\d.]+) GB")),
        ),
    ]


def both(size: str, quant: str, batch: bool = False) -> list[Command]:
    """llama.cpp with its fused attention off and on: it is compared at whichever is faster."""
    return [llama_cpp(size, quant, flash, batch) for flash in "01"]


SITTINGS: dict[str, list[Command]] = {
    "125m-q8_0": [gptneo("125m", "q8_0"), *both("125m", "q8_0")],
    "125m-q4_0": [gptneo("125m", "q4_0"), *both("125m", "q4_0")],
    "1.3b-q8_0": [gptneo("1.3b", "q8_0"), *both("1.3b", "q8_0")],
    "1.3b-q4_0": [gptneo("1.3b", "q4_0"), *both("1.3b", "q4_0")],
    "125m-prefill": [
        gptneo("125m", "q8_0"),
        gptneo("125m", "q4_0"),
        *both("125m", "f16"),
        *both("125m", "q8_0"),
        *both("125m", "q4_0"),
    ],
    "1.3b-prefill": [
        gptneo("1.3b", "q8_0"),
        gptneo("1.3b", "q4_0"),
        *both("1.3b", "f16"),
        *both("1.3b", "q8_0"),
        *both("1.3b", "q4_0"),
    ],
    "125m-q8_0-batch": [gptneo("125m", "q8_0", "--batch", str(BATCH)), *both("125m", "q8_0", batch=True)],
    "1.3b-q4_0-batch": [gptneo("1.3b", "q4_0", "--batch", str(BATCH)), *both("1.3b", "q4_0", batch=True)],
    "125m-f32": [gptneo("125m", "f32"), TRANSFORMERS_F32],
    **{f"125m-train-{batch}x{tokens}": train(batch, tokens) for batch, tokens in TRAINED},
    "125m-openvino": [gptneo("125m", "q8_0"), OPENVINO_INT8],
}


def _claims() -> list[Claim]:
    claims = []
    decode_floor = {("125m", "q8_0"): 1.25, ("125m", "q4_0"): 1.25, ("1.3b", "q8_0"): 1.25, ("1.3b", "q4_0"): 1.45}
    for (size, quant), floor in decode_floor.items():
        sitting, ours = f"{size}-{quant}", (f"gptneo {quant}",)
        theirs = tuple(c.name for c in both(size, quant))
        share = 0.85 if size == "1.3b" else 0.75
        claims.append(
            Claim(
                f"decode after {PROMPT}, {size} {quant}: share of the read limit",
                sitting,
                "decode_share",
                share,
                ours,
                kind="share",
            )
        )
        claims.append(
            Claim(
                f"decode after {PROMPT}, {size} {quant}, over llama.cpp",
                sitting,
                "decode_tokens_per_s",
                floor,
                ours,
                theirs,
            )
        )
    for size, quant in (("125m", "q8_0"), ("1.3b", "q4_0")):
        theirs = tuple(c.name for c in both(size, quant, batch=True))
        claims.append(
            Claim(
                f"{BATCH} sequences at once, {size} {quant}, over llama.cpp",
                f"{size}-{quant}-batch",
                "batch_tokens_per_s",
                1.5,
                (f"gptneo {quant} x{BATCH}",),
                theirs,
            )
        )
    for size in SHAPES:
        theirs = tuple(c.name for quant in ("f16", "q8_0", "q4_0") for c in both(size, quant))
        claims.append(
            Claim(
                f"prefill {PROMPT}, {size}: best quantised type over llama.cpp's best type",
                f"{size}-prefill",
                "prefill_best_tokens_per_s",
                1.5,
                ("gptneo q8_0", "gptneo q4_0"),
                theirs,
            )
        )
    for batch, tokens in TRAINED:
        what, sitting = f"training 125m, {batch} x {tokens} tokens", f"125m-train-{batch}x{tokens}"
        both_sides = ("gptneo train",), ("transformers train",)
        claims += [
            Claim(f"{what}, over transformers", sitting, "train_best_tokens_per_s", 1.25, *both_sides),
            Claim(
                f"{what}: share of a large product's speed",
                sitting,
                "train_share_of_gemm",
                0.75,
                ("gptneo train",),
                kind="share",
                speed="train_tokens_per_s",
            ),
            Claim(f"{what}: peak memory, of transformers'", sitting, "peak_rss_gb", 0.5, *both_sides, kind="bytes"),
        ]
    f32 = ("gptneo f32",), ("transformers f32",)
    claims += [
        Claim(f"prefill {PROMPT}, 125m f32, over transformers", "125m-f32", "prefill_best_tokens_per_s", 1.8, *f32),
        Claim(f"decode after {PROMPT}, 125m f32, over transformers", "125m-f32", "decode_tokens_per_s", 2.0, *f32),
        Claim(
            f"prefill {PROMPT}, 125m q8_0, over OpenVINO int8",
            "125m-openvino",
            "prefill_best_tokens_per_s",
            1.0,
            ("gptneo q8_0",),
            ("OpenVINO int8",),
        ),
        Claim(
            f"decode after {PROMPT}, 125m q8_0, over OpenVINO int8",
            "125m-openvino",
            "decode_tokens_per_s",
            1.0,
            ("gptneo q8_0",),
            ("OpenVINO int8",),
        ),
    ]
    return claims


CLAIMS = _claims()

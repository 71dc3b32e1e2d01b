"""What training on many machines should cost: the model behind docs/scaling.md, and its tables.

    python bench/scaling.py            # prints the tables of docs/scaling.md
    python bench/scaling.py --check    # fails if docs/scaling.md shows other figures

A step is arithmetic, then what of its communication arithmetic does not hide:

    a = operations of a step / (cards * peak * share)
    c = bytes moved by each card / bandwidth + messages * latency
    t = a + c - what hides behind backward, at most the half of c that sums gradients

Every input below says where it comes from: `measured` here, `published`, or `assumed`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/scaling.md"
BEGIN, END = "<!-- tables: written by bench/scaling.py -->", "<!-- end of tables -->"


@dataclasses.dataclass(frozen=True)
class Shape:
    """A published GPT-Neo: half of the layers global, half local with a window of 256."""

    name: str
    parameters: float
    layers: int
    width: int
    tokens_per_step: int
    tokens_in_all: float
    sequence: int = 2048
    window: int = 256

    def operations_per_token(self) -> float:
        """Forward and backward: 6 for each weight, 12 for each channel of each key in reach, by layer."""
        mean_keys = (self.sequence + 1) / 2
        in_window = self.window - self.window * (self.window - 1) / 2 / self.sequence
        return 6 * self.parameters + 12 * self.width * self.layers / 2 * (mean_keys + in_window)


@dataclasses.dataclass(frozen=True)
class Machine:
    """One kind of accelerator and what connects them."""

    name: str
    peak: float  # operations/s, dense bf16
    share: float  # of the peak, alone
    memory: float  # bytes
    inside: float  # bytes/s in and out of one accelerator, to others in its machine
    between: float  # bytes/s in and out of one machine, to others: a ring crosses it once
    per_machine: int = 8


SHAPES = (
    # 6N + attention; batch and tokens as in the released configurations (published).
    Shape("1.3B", 1.3156e9, 24, 2048, 512 * 2048, 380e9),
    Shape("2.7B", 2.6513e9, 32, 2560, 512 * 2048, 420e9),
)
# Peak, memory and NVLink: published by the vendor. Eight networks of 400 Gbit/s a machine: assumed, as most are built.
# Share: assumed, the floor this project sets itself on one card; it has not been measured on one.
CARD = Machine("H200", peak=989e12, share=0.50, memory=141e9, inside=450e9, between=8 * 50e9)
# Backward takes two thirds of a step, and gradients of the last layers are ready as it begins.
BEFORE_FIRST_GRADIENT = 1 / 3
# What collectives reach of the wire, what a message costs whatever its size, and bytes summed at once: assumed.
WIRE, LATENCY, BUCKET = 0.8, 20e-6, 64e6


def step(shape: Shape, cards: int, machine: Machine = CARD) -> dict:
    """Seconds, bytes and shares of one step on `cards` cards."""
    arithmetic = shape.operations_per_token() * shape.tokens_per_step / (cards * machine.peak * machine.share)
    # Gradients are summed in bf16: a reduce-scatter, then (with sharded optimiser state) a gather of bf16 weights.
    moved = 2 * 2 * shape.parameters * (cards - 1) / cards
    wire = WIRE * (machine.inside if cards <= machine.per_machine else machine.between)
    messages = math.ceil(2 * shape.parameters / BUCKET) * 2 * math.ceil(math.log2(cards))
    communication = moved / wire + messages * LATENCY
    # The gather of weights cannot start before the optimiser has run: half of the bytes hide behind backward.
    hidden = min(communication / 2, arithmetic * (1 - BEFORE_FIRST_GRADIENT))
    seconds = arithmetic + communication - hidden
    state = 16 * shape.parameters  # bf16 weights and gradients, f32 weights and two moments
    sharded = 4 * shape.parameters + 12 * shape.parameters / cards
    return {
        "seconds": seconds,
        "arithmetic": arithmetic,
        "communication": communication,
        "efficiency": arithmetic / seconds,
        "tokens_per_s": shape.tokens_per_step / seconds,
        "hours": shape.tokens_in_all / shape.tokens_per_step * seconds / 3600,
        "sequences": shape.tokens_per_step / shape.sequence / cards,
        "state": state,
        "sharded": sharded,
    }


def tables() -> str:
    lines = []
    for shape in SHAPES:
        tera = shape.operations_per_token() / 1e9
        lines += [
            f"GPT-Neo {shape.name}: {tera:.2f} GFLOP a token, {shape.tokens_per_step:,} tokens a step, "
            f"{shape.tokens_in_all / 1e9:.0f} billion tokens in all.",
            "",
            "| cards | sequences a card | arithmetic, s | communication, s | a step, s | of perfect scaling | "
            "tokens/s | days for all tokens | state a card, GB: whole / sharded |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for cards in (1, 8, 64, 512):
            s = step(shape, cards)
            lines.append(
                f"| {cards} | {s['sequences']:g} | {s['arithmetic']:.3f} | {s['communication']:.3f} | "
                f"{s['seconds']:.3f} | {s['efficiency']:.2f} | {s['tokens_per_s']:,.0f} | {s['hours'] / 24:.1f} | "
                f"{s['state'] / 1e9:.0f} / {s['sharded'] / 1e9:.1f} |"
            )
        lines.append("")
    return "\n".join(lines).rstrip()


def main() -> int:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--check", action="store_true")
    args = args.parse_args()
    made = tables()
    if not args.check:
        print(made)
        return 0
    text = DOCUMENT.read_text()
    shown = text.split(BEGIN)[1].split(END)[0].strip()
    if shown != made:
        print(f"{DOCUMENT} shows other figures than bench/scaling.py computes: paste its output", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

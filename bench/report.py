"""BENCHMARKS.md from results.json: no figure here comes from anywhere else."""

from __future__ import annotations

import statistics

from sittings import CLAIMS, GENERATED, PROMPT, SITTINGS, Claim

NONE = "not measured"


def markdown(results: dict) -> str:
    titled = [
        ("## Against the floors", floors(results)),
        ("## Memory, start and size", small_table(results)),
        ("## What the types cost", quality_table(results)),
        ("## Evaluation", evaluation_table(results)),
        ("## Serving", serving_table(results)),
        ("## Every command", medians(results)),
    ]
    parts = [
        "# Benchmarks",
        "Written by `bench/compare.py` and `bench/evaluation.py` from `bench/results.json`; to measure again, see their "
        "first lines. Weights are random, shapes are the published ones, and each sitting runs the programs in turn, in "
        "several rounds. A figure is the median over rounds; a ratio is the median of the ratios within each round. Within a round "
        "the peers print the best of three or four prefills and of three training steps, so there the best of three of gptneo's stands "
        "against it; decode, and all shares of a limit, are medians.",
        where(results),
        *(f"{title}\n\n{text}" for title, text in titled if text),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def where(results: dict) -> str:
    machine, lines = results.get("machine", {}), []
    if machine:
        lines.append(
            f"- machine: {machine['cpu']}, {machine['cores']} cores ({machine['instructions']}), "
            f"{machine['memory_gib']} GiB, {machine['system']}"
        )
    limits = {}
    for sitting in results.get("sittings", {}).values():
        for figures in (f for one in sitting["rounds"] for f in one.values()):
            for key in ("read_gb_per_s", "f32_gflop_per_s", "int8_gop_per_s"):
                if key in figures:
                    limits.setdefault(key, []).append(figures[key])
    names = {"read_gb_per_s": "GB/s read", "f32_gflop_per_s": "GFLOP/s in f32", "int8_gop_per_s": "GOP/s in int8"}
    for key, values in limits.items():
        lines.append(
            f"- limit measured by `gptneo bench`: {statistics.median(values):.1f} {names[key]} "
            f"(median of {len(values)} runs, {min(values):.1f} to {max(values):.1f})"
        )
    versions = results.get("versions", {})
    if versions:
        lines.append(
            "- versions: " + ", ".join(f"{name} {version}" for name, version in sorted(versions.items()) if version)
        )
    dates = sorted({s["date"] for s in results.get("sittings", {}).values()})
    threads = sorted({s["threads"] for s in results.get("sittings", {}).values()})
    if dates:
        lines.append(f"- measured {' and '.join(dates)}, with {' or '.join(map(str, threads))} threads")
    return "\n".join(lines)


def series(results: dict, sitting: str, command: str, figure: str) -> list[float | None]:
    rounds = results.get("sittings", {}).get(sitting, {}).get("rounds", [])
    return [value(one.get(command, {}), figure) for one in rounds]


def value(figures: dict, figure: str) -> float | None:
    if figure == "peak_rss_gb" and "peak_rss_bytes" in figures:
        return figures["peak_rss_bytes"] / 1e9
    found = figures.get(figure)
    return float(found) if isinstance(found, (int, float)) else None


def best(results: dict, sitting: str, commands: tuple[str, ...], figure: str) -> tuple[str, float] | None:
    """The command with the largest median, and that median."""
    found = []
    for command in commands:
        known = [v for v in series(results, sitting, command, figure) if v is not None]
        if known:
            found.append((statistics.median(known), command))
    return (max(found)[1], max(found)[0]) if found else None


def floors(results: dict) -> str:
    rows = [["what", "at least", "reached", "gptneo", "its types", "delta NLL", "peer", "its types"]]
    for claim in CLAIMS:
        bound = {"ratio": f"{claim.floor:g} x", "share": f"{claim.floor:g}", "bytes": f"at most {claim.floor:g} x"}
        rows.append([claim.what, bound[claim.kind], *reached(results, claim)])
    return table(rows)


def reached(results: dict, claim: Claim) -> list[str]:
    """The cells after the floor: reached, our figure, types and delta NLL, the peer's figure and types."""
    ours = best(results, claim.sitting, claim.ours, claim.figure)
    if ours is None:
        return [NONE, "", "", "", "", ""]
    unit = "GB" if claim.kind == "bytes" else "tok/s"
    told = [types(results, claim.sitting, ours[0]), delta_nll(results, ours[0])]
    if claim.kind == "share":
        speed = best(results, claim.sitting, claim.ours, claim.speed)
        return [f"**{ours[1]:.2f}**", f"{speed[1]:.1f} tok/s" if speed else "", *told, "", ""]
    shown = f"{ours[1]:.1f} {unit} ({ours[0].removeprefix('gptneo ')})"
    theirs = best(results, claim.sitting, claim.theirs, claim.figure)
    if theirs is None:
        return [NONE, shown, *told, "", ""]
    pairs = zip(
        series(results, claim.sitting, ours[0], claim.figure),
        series(results, claim.sitting, theirs[0], claim.figure),
        strict=True,
    )
    ratios = [a / b for a, b in pairs if a is not None and b]
    if not ratios:
        return [NONE, shown, *told, "", ""]
    mark = f"**{statistics.median(ratios):.2f} x** ({min(ratios):.2f} to {max(ratios):.2f})"
    peer = [f"{theirs[1]:.1f} {unit} ({theirs[0]})", types(results, claim.sitting, theirs[0])]
    return [mark, shown, *told, *peer]


def types(results: dict, sitting: str, command: str) -> str:
    """Output matrix and cache, as the program or its file reports them."""
    rounds = results["sittings"][sitting]["rounds"]
    figures = next((one[command] for one in rounds if command in one), {})
    named = [("output", "output_type"), ("keys", "cache_type_k"), ("values", "cache_type_v")]
    return ", ".join(f"{word} {figures[key]}" for word, key in named if figures.get(key))


def delta_nll(results: dict, command: str) -> str:
    kind = command.split()[1]
    if kind == "train":
        return ""
    if kind == "f32":
        return "0"
    found = [q for q in results.get("quality", []) if str(q.get("type", "")).lower() == kind and "delta_nll" in q]
    return "; ".join(f"{q['delta_nll']:+.4f} ({q['model']})" for q in found)


def quality_table(results: dict) -> str:
    quality = results.get("quality", [])
    if not quality:
        return ""
    first = quality[0]
    said = f"{first['model']} on {first['tokens']} tokens of {first['text']}: real weights, real text."
    rows = [["type", "output matrix", "file", "delta NLL per token", "KL divergence to f32", "same likeliest token"]]
    for one in quality:
        fell = f" ({one['fallbacks']} tensors fell back)" if one["fallbacks"] else ""
        rows.append(
            [
                one["type"] + fell,
                one["output_type"],
                f"{one['file_bytes'] / 1e6:.1f} MB",
                f"{one['delta_nll']:+.5f}",
                f"{one['kl']:.6f}",
                f"{100 * one['top1_agreement']:.2f} %",
            ]
        )
    return said + "\n\n" + table(rows)


def evaluation_table(results: dict) -> str:
    evaluation = results.get("evaluation")
    if not evaluation:
        return ""
    floors = {("lambada_openai", "f32"): 2.2, ("lambada_openai", "q8_0"): 3.5, ("hellaswag", "f32"): 3.0}
    rows = [["task", "documents", "in", "at least", "reached", "gptneo, documents/s", "lm-eval in f32, documents/s"]]
    for task, parts in evaluation["tasks"].items():
        documents = sum(part["documents"] for part in parts)
        theirs = sum(part["lm-eval f32"] for part in parts)
        for quant in ("f32", "q8_0"):
            ours = sum(part[f"gptneo {quant}"] for part in parts)
            ratios = [part["lm-eval f32"] / part[f"gptneo {quant}"] for part in parts]
            floor = floors.get((task, quant))
            rows.append(
                [
                    task,
                    str(documents),
                    quant,
                    f"{floor:g} x" if floor else "",
                    f"**{theirs / ours:.2f} x** ({min(ratios):.2f} to {max(ratios):.2f} in {len(parts)} parts)",
                    f"{documents / ours:.2f}",
                    f"{documents / theirs:.2f}",
                ]
            )
    return "`gptneo eval` against the reference evaluation harness, on the same documents.\n\n" + table(rows)


def serving_table(results: dict) -> str:
    serving = results.get("serving", {})
    said = "`gptneo bench serve` against `gptneo serve`, on one machine: 125m in q8_0, 64 tokens each, over HTTP (`bench/serving.py`)."
    rows = [["load", "tokens/s", "llama.cpp without HTTP", "ratio", "first token, p50 / p99", "a token after it, p50 / p99"]]
    for clients in sorted({one["clients"] for one in serving.get("batch", [])}):
        found = [one for one in serving["batch"] if one["clients"] == clients]
        middle = sorted(found, key=lambda one: one["gptneo"]["tokens_per_s"])[len(found) // 2]["gptneo"]
        peers = [one["llama.cpp"] for one in found if one["llama.cpp"]]
        ratios = [one["gptneo"]["tokens_per_s"] / one["llama.cpp"] for one in found if one["llama.cpp"]]
        rows.append(
            [
                f"{clients} clients without pause",
                f"{middle['tokens_per_s']:.0f}",
                f"{statistics.median(peers):.0f}" if peers else NONE,
                f"**{statistics.median(ratios):.2f} x**" if ratios else "",
                *spreads(middle),
            ]
        )
    for one in serving.get("crowd", []):
        rows.append([f"{one['rate']:g} requests/s, Poisson", f"{one['tokens_per_s']:.0f}", "", "", *spreads(one)])
    for one in serving.get("burst", []):
        rows.append(["bursts of 64", f"{one['tokens_per_s']:.0f}", "", "", *spreads(one)])
    for one in serving.get("beside", []):
        for name, figures in (("short prompts, one a second, alone", one["alone"]), ("the same while prompts of 2,000 tokens are read", one["beside"])):
            rows.append([name, f"{figures['tokens_per_s']:.0f}", "", "", *spreads(figures)])
    if one := serving.get("slow"):
        for name, figures in (("20 clients", one["before"]), (f"the same beside {one['connections']} slow connections", one["during"])):
            rows.append([name, f"{figures['tokens_per_s']:.0f}", "", "", *spreads(figures)])
    told = []
    if one := serving.get("flood"):
        told.append(
            f"Of {one['completed'] + one['refused'] + one['failed']} requests, 500 a second, {one['refused']} were refused and {one['failed']} failed; a "
            f"refusal took {one['refusal']['p50']:.1f} ms (p50), {one['refusal']['p99']:.1f} ms (p99), {one['refusal']['max']:.1f} ms at most."
        )
    if one := serving.get("slow"):
        told.append(f"Of the slow connections {one['dropped']} were dropped meanwhile.")
    return "\n\n".join([said, table(rows), *told]) if len(rows) > 1 else ""


def spreads(figures: dict) -> list[str]:
    """Middle and bad, in milliseconds."""
    named = [figures.get("time_to_first_token"), figures.get("time_per_output_token")]
    return [f"{one['p50']:.0f} / {one['p99']:.0f} ms" if one else "" for one in named]


def small_table(results: dict) -> str:
    small = results.get("small")
    if not small:
        return ""
    rows = [["what", "at most", "measured"]]
    if "binary_bytes" in small:
        rows.append(["the binary", "30 MB", f"{small['binary_bytes'] / 1e6:.1f} MB"])
    if "help_ms" in small:
        rows.append(["`--help`", "50 ms", f"{small['help_ms']:.1f} ms"])
    for key, one in small.items():
        if not isinstance(one, dict) or "file_bytes" not in one:
            continue
        if key.startswith("125m"):
            rows.append([f"first token of {key}, whole command", "1500 ms", f"{one['first_token_wall_ms']:.0f} ms"])
        parts = f"file {one['file_bytes'] / 1e6:.0f}, cache {one['cache_bytes'] / 1e6:.0f}, 150"
        allowed = f"{one['allowed_bytes'] / 1e6:.0f} MB ({parts})"
        rows.append(
            [f"peak memory of {key}, {PROMPT} + {GENERATED} tokens", allowed, f"{one['peak_bytes'] / 1e6:.0f} MB"]
        )
    if large := small.get("gpt-j-6b q4_0"):
        rows.append(["peak memory of gpt-j-6b q4_0", "8.00 GiB", f"{large['peak_bytes'] / 2**30:.2f} GiB"])
        rows.append(["decode of gpt-j-6b q4_0", "", f"{large['decode_tokens_per_s']:.2f} tok/s"])
    return table(rows)


def medians(results: dict) -> str:
    rows = [
        ["sitting", "command", "prefill at its best, tok/s", "median of the f32 limit", "decode, tok/s", "of the read limit", "rounds"]
    ]
    for sitting in SITTINGS:
        for command in SITTINGS[sitting]:
            seen = {}
            figures = (
                "prefill_best_tokens_per_s",
                "prefill_share",
                "decode_tokens_per_s",
                "decode_share",
                "batch_tokens_per_s",
            )
            for figure in figures:
                known = [v for v in series(results, sitting, command.name, figure) if v is not None]
                if known:
                    seen[figure] = (statistics.median(known), len(known))
            if not seen:
                continue
            decode = "batch_tokens_per_s" if "batch_tokens_per_s" in seen else "decode_tokens_per_s"

            def cell(figure, digits, seen=seen):
                return f"{seen[figure][0]:.{digits}f}" if figure in seen else ""

            count = str(max(n for _, n in seen.values()))
            share = "" if decode == "batch_tokens_per_s" else cell("decode_share", 2)
            rows.append(
                [
                    sitting,
                    command.name,
                    cell("prefill_best_tokens_per_s", 1),
                    cell("prefill_share", 2),
                    cell(decode, 1),
                    share,
                    count,
                ]
            )
    return table(rows) if len(rows) > 1 else NONE


def table(rows: list[list[str]]) -> str:
    head, *body = rows
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])

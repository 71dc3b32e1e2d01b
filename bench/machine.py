"""The machine that figures belong to, in the words of the operating system."""

from __future__ import annotations

import os
import pathlib
import platform
import subprocess


def describe() -> dict:
    cpu = _cpuinfo("model name") or platform.processor() or platform.machine()
    flags = set((_cpuinfo("flags") or _cpuinfo("Features") or "").split())
    wide = [
        f
        for f in ("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "amx_int8", "asimd", "i8mm")
        if f in flags
    ]
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "instructions": " ".join(wide),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def first_line(command: list[str]) -> str:
    """What a command prints first; empty if it cannot be run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else ""


def _cpuinfo(key: str) -> str | None:
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None

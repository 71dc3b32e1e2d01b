"""`startup.py BINARY MS`: fails when the median of 21 runs of `BINARY --help` takes longer than MS milliseconds."""

import statistics
import subprocess
import sys
import time

binary, limit_ms = sys.argv[1], float(sys.argv[2])
times = []
for _ in range(21):
    started = time.perf_counter()
    subprocess.run([binary, "--help"], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=True)
    times.append((time.perf_counter() - started) * 1e3)
median = statistics.median(times)
print(f"{binary} --help: {median:.1f} ms (at most {limit_ms:g})")
sys.exit(0 if median <= limit_ms else 1)

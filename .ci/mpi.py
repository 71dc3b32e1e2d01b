"""Ranks over MPI against one process: the same losses, whatever the number of ranks, and no rank that waits forever.

    python3 .ci/mpi.py BINARY-WITH-MPI BINARY-WITHOUT

100 steps of a small recipe on the tales of recipes/quickstart: on 1 process and on 2 and 4 ranks with the same global batch,
optimizer.shard on and off, losses within 1e-5 (relative). Then: a run goes on with another number of ranks; a killed rank ends
the others with an error, and --resume auto ends with the bits of an uninterrupted run; a signal saves and stops; a mistake
is told once; a program without MPI refuses to be started so.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

RECIPE = """
name = "ranks"
seed = 5
[model.config]
model_type = "gpt_neo"
vocab_size = 512
hidden_size = 32
num_layers = 2
num_heads = 2
attention_types = [[["global", "local"], 1]]
window_size = 16
max_position_embeddings = 64
[data]
sources = ["recipes/quickstart/stories.jsonl"]
vocab = 512
held_out_fraction = 0.05
sequence = 64
[batch]
sequences = 8
micro = 2
[schedule]
steps = 100
warmup = 5
[optimizer]
lr = 3e-3
[checkpoint]
every = 20
keep = 9
[evaluation]
every = 50
"""
# Long enough for mpirun to pass a signal on.
LONG = ("--set", "schedule.steps=800")
PATIENCE = 120  # seconds, after which a command counts as hung


def main() -> int:
    with_mpi, without = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        return Check(with_mpi, without, pathlib.Path(scratch)).all()


class Check:
    def __init__(self, with_mpi: str, without: str, folder: pathlib.Path) -> None:
        self.with_mpi, self.without, self.folder = with_mpi, without, folder
        self.recipe = folder / "recipe.toml"
        self.recipe.write_text(RECIPE)
        self.broken = 0

    def all(self) -> int:
        one = self.losses("one", 1)
        for ranks, shard in ((2, "true"), (4, "true"), (4, "false")):
            name = f"{ranks}-{shard}"
            found = self.losses(name, ranks, "--set", f"optimizer.shard={shard}")
            off = max(abs(a - b) / b for a, b in zip(found, one, strict=True))
            self.say(len(one) == 100 and off < 1e-5, f"{ranks} ranks, shard {shard}: losses off by {off:.1e} in 100 steps")

        for step in (100, 80):
            self.forget("4-true", step)
        again = self.losses("4-true", 2, "--resume", "auto")
        off = max(abs(a - b) / b for a, b in zip(again, one, strict=True))
        self.say(off < 1e-4, f"begun on 4 ranks, gone on with 2: losses off by {off:.1e}")

        self.losses("whole", 2, *LONG)
        for what, name in ((signal.SIGKILL, "killed"), (signal.SIGTERM, "stopped")):
            code, said = self.interrupt(name, what)
            # mpirun has exit codes of its own.
            wanted = code not in (0, None) and (what == signal.SIGKILL or said.count("stopped and saved") == 1)
            self.say(wanted, f"{name}: exit code {code}")
            if not wanted:
                print(said)
            self.losses(name, 2, *LONG, "--resume", "auto")
            self.say(self.weights(name) == self.weights("whole"), f"{name} and gone on: the same weights, bit for bit")

        failed = self.run(4, *self.train("failed"), "--set", "data.sequence=65")
        told = failed.stderr.count("64 positions")
        self.say(failed.returncode != 0 and 1 <= told <= 4, f"a mistake ends all ranks, told by {told}")

        alone = subprocess.run(
            [self.without, *self.train("alone")],
            env={**os.environ, "OMPI_COMM_WORLD_SIZE": "2"}, capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        refused = alone.returncode == 2 and "without MPI" in alone.stderr
        self.say(refused, "a program without MPI refuses to be one of several")
        return 1 if self.broken else 0

    def command(self, ranks: int, *args: str) -> list[str]:
        if ranks == 1:
            return [self.with_mpi, *args]
        # Asked to end, mpirun gives its ranks a second; that is too little to save a large model.
        patience = ["--mca", "odls_base_sigkill_timeout", "5"]
        launcher = ["mpirun", "--allow-run-as-root", "--oversubscribe", *patience, "-n", str(ranks)]
        return [*launcher, self.with_mpi, *args]

    def run(self, ranks: int, *args: str) -> subprocess.CompletedProcess:
        env = {**os.environ, "GPTNEO_HOME": str(self.folder / "home")}
        return subprocess.run(
            self.command(ranks, *args), env=env, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )

    def train(self, name: str) -> list[str]:
        return ["train", str(self.recipe), "--set", f"output={self.folder / name}"]

    def losses(self, name: str, ranks: int, *args: str) -> list[float]:
        done = self.run(ranks, *self.train(name), *args)
        if done.returncode != 0:
            sys.exit(f"{name}: exit code {done.returncode}\n{done.stderr}")
        return [line["loss"] for line in self.log(name) if line["event"] == "step"]

    def log(self, name: str) -> list[dict]:
        path = self.folder / name / "log.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def weights(self, name: str) -> str:
        file = self.folder / name / "checkpoints/step-00000800/model.safetensors"
        return hashlib.sha256(file.read_bytes()).hexdigest()

    def forget(self, name: str, step: int) -> None:
        for file in sorted((self.folder / name / f"checkpoints/step-{step:08}").iterdir()):
            file.unlink()

    def interrupt(self, name: str, what: signal.Signals) -> tuple[int | None, str]:
        """A run on 2 ranks, of which one is killed (or all are asked to stop) once 5 steps are done."""
        env = {**os.environ, "GPTNEO_HOME": str(self.folder / "home")}
        launched = subprocess.Popen(
            self.command(2, *self.train(name), *LONG), env=env, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
        )
        deadline = time.monotonic() + PATIENCE
        while len(self.log(name)) < 5 and launched.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        if what == signal.SIGKILL:
            os.kill(children(launched.pid)[-1], what)
        else:
            launched.send_signal(what)
        try:
            _, said = launched.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            launched.kill()
            return None, "it hung"
        return launched.returncode, said

    def say(self, holds: bool, claim: str) -> None:
        print(f"{'holds' if holds else 'BREAKS'}: {claim}", flush=True)
        self.broken += not holds


def children(parent: int) -> list[int]:
    """The processes that a process has started, on Linux."""
    found = []
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            if f"\nPPid:\t{parent}\n" in status.read_text():
                found.append(int(status.parent.name))
        except OSError:
            pass  # it has ended
    return sorted(found)


if __name__ == "__main__":
    sys.exit(main())

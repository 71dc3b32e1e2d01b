"""A run reported to TensorBoard and to a real MLflow server, read back by their own programs.

    python .ci/sinks.py BINARY      needs the packages tensorboard and mlflow

It trains some steps of recipes/quickstart.toml, and asks both for the loss of every step and the held-out bits per byte, and
MLflow for the recipe and how the run ended. Then the server is gone while a second run trains: what it missed must arrive by
`gptneo runs sync` when it is back.
"""

import contextlib
import json
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

STEPS = 12


def main() -> int:
    binary = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        room = pathlib.Path(folder)
        address = f"http://127.0.0.1:{free_port()}"
        with server(address, room):
            train(binary, room, "seen", address)
            check_mlflow(address, "seen", logged(room / "seen"))
        check_tensorboard(room / "tb", logged(room / "seen"))
        train(binary, room, "missed", address)
        with server(address, room):
            subprocess.run([binary, "runs", "--store", room / "runs.sqlite", "sync"], check=True)
            check_mlflow(address, "missed", logged(room / "missed"))
    print("TensorBoard and MLflow have what was reported")
    return 0


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(address: str, room: pathlib.Path):
    """MLflow's own server, on a database that outlives it."""
    host, port = address.removeprefix("http://").split(":")
    store = f"sqlite:///{room / 'mlflow.db'}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", port, "--workers", "1"]
    with open(room / "server.log", "a") as log:
        running = subprocess.Popen(
            [*command, "--backend-store-uri", store, "--artifacts-destination", room / "artifacts"],
            stdout=log,
            stderr=log,
        )
    try:
        until = time.monotonic() + 180
        while not answers(address):
            if running.poll() is not None or time.monotonic() > until:
                sys.exit(f"the MLflow server did not start:\n{(room / 'server.log').read_text()[-2000:]}")
            time.sleep(0.5)
        yield
    finally:
        running.terminate()
        running.wait(30)


def answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(f"{address}/health", timeout=5).status == 200
    except (urllib.error.URLError, OSError):
        return False


def train(binary: pathlib.Path, room: pathlib.Path, name: str, address: str) -> None:
    settings = {"name": name, "output": str(room / name), "schedule.steps": STEPS, "schedule.warmup": 2}
    settings |= {"evaluation.every": STEPS // 2, "sample.every": STEPS}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    watching = ["--store", room / "runs.sqlite", "--tensorboard", room / "tb", f"--mlflow={address}"]
    subprocess.run([binary, "train", "recipes/quickstart.toml", *sets, *watching], check=True)


def logged(run: pathlib.Path) -> dict[str, dict[int, float]]:
    """Figures by step, from the run's own log."""
    figures: dict[str, dict[int, float]] = {"loss": {}, "bits_per_byte": {}}
    for line in (run / "log.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] == "step":
            figures["loss"][event["step"]] = event["loss"]
        if event["event"] == "evaluation":
            figures["bits_per_byte"][event["step"]] = event["bits_per_byte"]
    assert len(figures["loss"]) == STEPS and len(figures["bits_per_byte"]) == 2, figures
    return figures


def check_tensorboard(logs: pathlib.Path, wanted: dict[str, dict[int, float]]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(logs / "seen"))
    events.Reload()
    tags = events.Tags()
    for figure, values in wanted.items():
        tag = named(figure, tags["scalars"])
        found = {scalar.step: scalar.value for scalar in events.Scalars(tag)}
        assert found == {step: f32(value) for step, value in values.items()}, f"TensorBoard, {tag}: {found}"
    texts = [tag.removesuffix("/text_summary") for tag in tags["tensors"]]
    assert any("recipe" in tag for tag in texts) and any("sample" in tag for tag in texts), tags["tensors"]


def check_mlflow(address: str, name: str, wanted: dict[str, dict[int, float]]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(address)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = [run for run in client.search_runs(experiments) if run.info.run_name == name]
    assert len(runs) == 1, f"MLflow has {len(runs)} runs named {name}"
    [run] = runs
    assert run.info.status == "FINISHED", run.info.status
    assert run.data.params["schedule.steps"] == str(STEPS), run.data.params
    for figure, values in wanted.items():
        metric = named(figure, run.data.metrics)
        found = {one.step: one.value for one in client.get_metric_history(run.info.run_id, metric)}
        assert found == values, f"MLflow, {metric}: {found}"


def named(figure: str, among) -> str:
    """The one name that ends in this figure's, held-out loss aside."""
    [name] = [name for name in among if name.split("/")[-1] == figure and name != "held_out/loss"]
    return name


def f32(value: float) -> float:
    return struct.unpack("f", struct.pack("f", value))[0]


if __name__ == "__main__":
    sys.exit(main())

"""`make cluster-demo`: a Dask scheduler and four workers as real processes train four runs at once. One worker is
killed in the middle; its run goes on at another one, from its last finished epoch, and all four finish.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from cnnviz.cluster import Cluster  # noqa: E402
from cnnviz.nets.blocks import Block  # noqa: E402
from cnnviz.training import runs  # noqa: E402
from cnnviz.training.config import TrainingConfig  # noqa: E402
from cnnviz.workers import Trainers, train  # noqa: E402

WORKERS = 4
GPU = "worker-gpu"
"""The worker that says it has a GPU."""
LONG = 180
"""Seconds that anything may take."""
CONFIG = TrainingConfig("digits", preset="", blocks=(Block(8, 3),), epochs=10, batch_size=32, learning_rate=2e-3)


@contextlib.contextmanager
def dask(*arguments: str, log: Path) -> Iterator[subprocess.Popen]:
    """A process of Dask's, ended with all that it has started."""
    with log.open("ab") as said:
        process = subprocess.Popen([sys.executable, "-m", "dask", *arguments], cwd=ROOT, stdout=said, stderr=said)
    try:
        yield process
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True), process] if process.poll() is None else []
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()


def scheduler(port: int, log: Path) -> contextlib.AbstractContextManager[subprocess.Popen]:
    """A scheduler on this computer."""
    return dask("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", log=log)


def worker(port: int, name: str, log: Path, *more: str) -> contextlib.AbstractContextManager[subprocess.Popen]:
    """A worker as the README says to start one."""
    return dask("worker", f"tcp://127.0.0.1:{port}", "--name", name, "--nthreads", "1", "--no-dashboard", "--preload",
                "cnnviz.training.preload", *more, log=log)  # fmt: skip


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def until(found: Callable[[], object], what: str) -> None:
    """Wait until something is so. Raises RuntimeError: it takes too long."""
    deadline = time.monotonic() + LONG
    while not found():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Waited in vain: {what}")
        time.sleep(0.1)


def kill(nanny: subprocess.Popen) -> None:
    """Kill a worker as a power cut does: its nanny too, which would start it again."""
    for one in [psutil.Process(nanny.pid), *psutil.Process(nanny.pid).children(recursive=True)]:
        one.kill()


def say(text: str) -> None:
    print(text, flush=True)


@dataclass
class Up:
    """What is up: a cluster, the processes behind it, and the queue that leads there."""

    cluster: Cluster
    trainers: Trainers
    scheduler: subprocess.Popen
    nannies: dict[str, subprocess.Popen]


@contextlib.contextmanager
def up(log: Path) -> Iterator[Up]:
    """A scheduler and WORKERS workers, ready."""
    port = free_port()
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(scheduler(port, log))
        nannies = {f"worker-{number}": stack.enter_context(worker(port, f"worker-{number}", log))
                   for number in range(1, WORKERS)}  # fmt: skip
        # Dask believes what a worker says of itself.
        nannies[GPU] = stack.enter_context(worker(port, GPU, log, "--resources", "GPU=1"))
        say(f"A scheduler at tcp://127.0.0.1:{port} and {WORKERS} workers are starting; what they say is in {log}")
        cluster = Cluster(f"tcp://127.0.0.1:{port}", train)
        trainers = Trainers(cluster)
        trainers.start()
        until(lambda: len(cluster.workers) == WORKERS, "the workers")
        say("The workers: " + ", ".join(sorted(worker.name for worker in cluster.workers)))
        yield Up(cluster, trainers, first, nannies)


def four_runs(there: Up) -> tuple[list[runs.Run], runs.Run, str]:
    """Train four runs at once, and kill a worker in the middle. Returns the runs, the worker's one, and its name."""
    every = [runs.create(CONFIG, f"run {number}") for number in range(1, 5)]
    for run in every:
        there.trainers.submit(run)
    until(lambda: all(len(runs.story(run).epochs) >= 2 for run in every), "two epochs of each run")
    at = {run.id: runs.story(run).started["place"] for run in every}
    say("At once: " + ", ".join(f"{run.title} at {at[run.id]}" for run in every))
    victim = min((run for run in every if at[run.id] != GPU), key=lambda run: len(runs.story(run).epochs))
    kill(there.nannies[at[victim.id]])
    say(f"Killed {at[victim.id]} (SIGKILL) after epoch {len(runs.story(victim).epochs)} of {victim.title}")
    for run in every:
        until(lambda run=run: runs.story(run).state in runs.ENDINGS, f"the end of {run.title}")
        told = runs.story(run)
        begun = told.started["from_epoch"]
        again = f", gone on with after epoch {begun}" if begun else ""
        say(f"{run.title} is {told.state} at {told.started['place']}, test accuracy "
            f"{told.end.get('test_accuracy', 0):.4f}{again}")  # fmt: skip
    return every, victim, at[victim.id]


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="cnnviz-cluster-"))
    os.environ["CNNVIZ_RUNS"] = str(folder / "runs")
    logging.disable()  # when the scheduler ends, all connections to it do
    with up(folder / "dask.txt") as there:
        every, _, _ = four_runs(there)
    finished = sum(runs.story(run).state == "done" for run in every)
    say(f"cluster runs finished: {finished} of {len(every)}")
    return finished != len(every)


if __name__ == "__main__":
    sys.exit(main())

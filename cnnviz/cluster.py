"""Training on a Dask cluster: the scheduler that $CNNVIZ_SCHEDULER names, and the workers that have come to it.

The runs folder, $CNNVIZ_RUNS, is one that this server and all workers share. Dask is imported only here, and only once
there is something to ask the scheduler.
"""

from __future__ import annotations

import logging
import re
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from cnnviz.training.runs import BEAT, Run

REACH = 5.0
"""Seconds within which the scheduler has to answer."""
GIVE_UP = 60.0
"""Seconds without an answer from the scheduler until the runs that wait for it are given up: it may just be busy, or be
started again."""
RETRIES = 2
"""How often a run that failed for a reason of its worker's is done again, from its last finished epoch."""


@dataclass(frozen=True)
class Worker:
    """A worker of the cluster, as the scheduler knows it.

    Attributes:
        address: what the scheduler calls it.
        memory, limit: bytes that its process takes, and may take (0: no limit).
        resources: what it was started with, like {"GPU": 1.0}.
        tasks: the keys of what it is given to do, this server's runs and other work.
    """

    name: str
    host: str
    threads: int
    memory: int
    limit: int
    resources: dict[str, float] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    address: str = ""

    @property
    def run(self) -> str:
        """The id of the run that it works on, or empty."""
        found = [match[1] for task in self.tasks if (match := re.fullmatch(r"train-(.+)-[0-9a-f]{8}", task))]
        return found[0] if found else ""

    def suits(self, run: Run) -> bool:
        """Whether it has what the run asks for."""
        return all(self.resources.get(name, 0) >= amount for name, amount in needs(run).items())


def needs(run: Run) -> dict[str, float]:
    """The resources that a run asks for: a GPU where its settings name one."""
    return {"GPU": 1} if run.config.device.startswith("gpu") else {}


class Cluster:
    """The place to train that `cnnviz.workers.Here` is without a cluster; a run at a time on each worker.

    Attributes:
        workers: those that there were at the last look.
        trouble: one sentence, where the scheduler could not be asked.
        given_up: whether that is so for good, or has been for GIVE_UP seconds.
        looked: whether it has been asked yet.
    """

    patience = BEAT

    def __init__(self, address: str, job: Callable[[Run], str]) -> None:
        self.address, self.job = address, job
        self.workers: tuple[Worker, ...] = ()
        self.trouble, self.given_up, self.looked = "", False, False
        self._lost_at = 0.0
        self._client: Any = None
        self._given: dict[str, tuple[Future, str]] = {}

    @property
    def size(self) -> int:
        """How many runs can go on at once."""
        return max(1, len(self.workers))

    def refresh(self) -> None:
        """Ask the scheduler who is there and does what. Afterwards `trouble` says whether it answered."""
        try:
            self.workers, self.trouble, self.given_up = self._asked(), "", False
        except ImportError:
            self.workers, self.given_up = (), True
            self.trouble = ("CNNVIZ_SCHEDULER is set, but Dask is not installed here: "
                            "pip install -r requirements-cluster.txt.")  # fmt: skip
        except Exception as error:  # whatever it is, what is asked for is not to be had now
            if not self.trouble:
                logging.getLogger(__name__).warning("The scheduler at %s: %r", self.address, error)
                self._lost_at = time.monotonic()
            self.workers, self.given_up = (), time.monotonic() - self._lost_at >= GIVE_UP
            self.trouble = (f"The cluster's scheduler at {self.address} can't be reached: start it, or look at "
                            "CNNVIZ_SCHEDULER.")  # fmt: skip
        self.looked = True

    def _asked(self) -> tuple[Worker, ...]:
        import distributed
        from distributed.comm.addressing import parse_host_port

        if self._client and self._client.status not in ("running", "connecting"):
            gone, self._client = self._client, None
            gone.close(timeout=REACH)
        if self._client is None:
            # Where nobody listens, a client would fail as well, but leave a thread and three open files behind.
            socket.create_connection(parse_host_port(self.address), REACH).close()
            self._client = distributed.Client(self.address, timeout=REACH, set_as_default=False, name="cnnviz")
        ask, scheduler = self._client.sync, self._client.scheduler
        known = ask(scheduler.identity, n_workers=-1, callback_timeout=REACH)["workers"]
        tasks = ask(scheduler.processing, workers=None, callback_timeout=REACH)
        return tuple(
            Worker(str(one["name"]), one["host"], one["nthreads"], one["metrics"].get("memory", 0),
                   one["memory_limit"] or 0, one["resources"], tuple(map(str, tasks.get(address, ()))),
                   address)
            for address, one in known.items()
        )  # fmt: skip

    def gpus(self) -> list[str]:
        """What a run may ask for as gpu:0, if any worker has one: each sees its own as the first."""
        return ["GPU of a worker"] if any(worker.resources.get("GPU") for worker in self.workers) else []

    def room(self, run: Run, begun: int) -> bool:
        """Whether a worker that suits the run has nothing to do."""
        return bool(self.free(run))

    def free(self, run: Run) -> list[Worker]:
        """The workers that suit the run and have nothing to do; last those with a GPU, which others may ask for."""
        self._given = {key: (future, to) for key, (future, to) in self._given.items() if not future.done()}
        seen = {task for worker in self.workers for task in worker.tasks}
        coming = [to for key, (_, to) in self._given.items() if key not in seen]
        found = [worker for worker in self.workers
                 if worker.suits(run) and not worker.tasks and worker.address not in coming]  # fmt: skip
        with_gpu = [worker for worker in found if worker.resources.get("GPU")]
        # Who asks for a GPU is not told which: each of those on the way takes one.
        return [worker for worker in found if worker not in with_gpu] + with_gpu[coming.count("") :]

    def lacking(self, run: Run) -> str:
        """What the run will wait for in vain, in a sentence; empty: nothing."""
        if self.trouble:
            return "Waiting: the cluster's scheduler can't be reached now."
        if not self.looked or any(worker.suits(run) for worker in self.workers):
            return ""
        kind = "a worker with a GPU" if needs(run) else "a worker"
        return f"Waiting: the cluster does not have {kind} now."

    def begin(self, run: Run) -> Future:
        """Have the run done by a worker that suits it; by another one, from its last finished epoch, if that dies."""
        key = f"train-{run.id}-{secrets.token_hex(4)}"
        executor = self._client.get_executor(retries=RETRIES, pure=False)
        if asked := needs(run):
            future, to = executor.submit(self.job, run, key=key, resources=asked), ""
        else:  # Dask would as soon take a worker with a GPU
            to = self.free(run)[0].address
            future = executor.submit(self.job, run, key=key, workers=[to], allow_other_workers=True)
        self._given[key] = future, to
        return future

    def excuse(self, error: Exception) -> str:
        """Why a run could not be done, in a sentence."""
        if type(error).__name__ == "KilledWorker":
            return ("Each worker of the cluster that worked on it died, perhaps for want of memory: choose a smaller "
                    "batch size or network, or go on from its last finished epoch.")  # fmt: skip
        return str(error) or type(error).__name__

    def rest(self) -> None:
        """Nothing: the workers are not this server's."""

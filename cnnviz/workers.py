"""The processes that hold TensorFlow, or another backend of Keras to train with. The web process asks them through
`concurrent.futures` and never imports it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures import TimeoutError as NotYet
from functools import partial
from typing import Any

import loky
import numpy as np

from cnnviz.nets.quiet import import_keras
from cnnviz.nets.weights import Model
from cnnviz.trace import tracer
from cnnviz.training import one_step, runs

NICE = 10
"""How much trainers let other processes go first, 0 to 19."""
ATTEMPTS = 3
"""How often a request is asked again when the worker dies under it."""


def follow(parent: int) -> None:
    """In a worker: end when the web process does. loky's workers outlive a parent that is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


class WorkerError(RuntimeError):
    """The worker could not answer; the message is one sentence for the page."""


class Tracer:
    """One warm worker for forward passes, replaced when it dies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: loky.ProcessPoolExecutor | None = None
        self._warming: Future | None = None

    def start(self) -> loky.ProcessPoolExecutor:
        """The worker's executor, started if it is not running; returns at once."""
        with self._lock:
            if self._executor is None:
                # The graphics card is left to training: these passes are too small to gain by it.
                self._executor = loky.ProcessPoolExecutor(
                    max_workers=1,
                    timeout=None,
                    initializer=follow,
                    initargs=(os.getpid(),),
                    env={"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "tensorflow"},
                )
                self._warming = self._executor.submit(tracer.warm_up)
            return self._executor

    @property
    def warm(self) -> bool:
        """Whether the worker is ready to answer at once."""
        return self._warming is not None and self._warming.done() and not self._warming.exception()

    def trace(
        self, model: Model, image: np.ndarray, waiting: Callable[[float], None] = lambda seconds: None
    ) -> np.ndarray:
        """Every layer's numbers for one image, as `cnnviz.trace.tracer.trace` returns them.

        Args:
            image: float32 (height, width, channels) in [0, 1].
            waiting: called with the seconds waited so far, ten times a second, while there is no answer.

        Returns:
            float32 (n,).

        Raises:
            WorkerError: the worker died ATTEMPTS times under this request, or failed at it.
        """
        return self._ask(waiting, tracer.trace, model, image[None])[0]

    def one_step(self, history: one_step.History, waiting: Callable[[float, int], None]) -> one_step.OneStep:
        """The step of learning that comes after a history.

        Args:
            waiting: called with the seconds of waiting for this part of it and the steps that have been taken again.

        Raises:
            WorkerError: as in `trace`, or there is no MNIST.
        """
        done, steps = 0, 10
        while True:
            answer = self._ask(partial(waiting, steps=done), one_step.advance, history, steps)
            if not isinstance(answer, int):
                return answer
            done, steps = answer, 2 * steps

    def _ask(self, waiting: Callable[[float], None], function: Callable, *args: Any) -> Any:
        began = time.monotonic()
        for _ in range(ATTEMPTS):
            executor = self.start()
            try:
                future = executor.submit(function, *args)
                while True:
                    try:
                        return future.result(timeout=0.1)
                    except NotYet:
                        waiting(time.monotonic() - began)
            except BrokenExecutor:
                with self._lock:
                    if self._executor is executor:
                        self._executor = None
            except (OSError, ImportError, ValueError) as error:
                raise WorkerError(f"The network could not be run: {error}") from error
        raise WorkerError("The network's process stopped several times. Try again; if it goes on, restart the app.")


def train(run: runs.Run) -> str:
    """In a worker: do a run. How it ended: done, stopped or failed."""
    import_keras()
    from cnnviz.training import job

    return job.train(run.config, run)


def behave(parent: int) -> None:
    """In a trainer: end with the web process, and let everybody else go first."""
    follow(parent)
    if hasattr(os, "nice"):
        os.nice(NICE)


class Trainers:
    """Does runs one after the other in a worker of its own. What happens in a run is in its folder."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[runs.Run] = []
        self._running: runs.Run | None = None
        self._thread: threading.Thread | None = None
        self._executor: loky.ProcessPoolExecutor | None = None

    def submit(self, run: runs.Run) -> None:
        """Put a run at the end of the queue, unless it is in it already."""
        with self._changed:
            if run.id not in [one.id for one in (*self._waiting, self._running) if one]:
                self._waiting.append(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            self._changed.notify()

    def place(self, run: runs.Run) -> int:
        """How many runs are before it; 0: it is running, or not in the queue."""
        with self._changed:
            ids = [one.id for one in self._waiting]
            return ids.index(run.id) + 1 if run.id in ids else 0

    def withdraw(self, run: runs.Run) -> bool:
        """Take a run that has not begun out of the queue. Returns whether it was there."""
        with self._changed:
            there = [one for one in self._waiting if one.id == run.id]
            self._waiting = [one for one in self._waiting if one.id != run.id]
        return bool(there)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._running = None
                if not self._changed.wait_for(lambda: self._waiting, IDLE):
                    self._retire()
                    self._changed.wait_for(lambda: self._waiting)
                run = self._running = self._waiting.pop(0)
            try:
                if not self._do(run):
                    self._do(run)  # the idle worker had died before
            except Exception:  # one run's trouble is not the next one's
                logging.getLogger(__name__).exception("The run %s", run.id)

    def _retire(self) -> None:
        # Not by loky's own timeout: a worker that it starts again after one is not watched, and its death not noticed.
        if self._executor:
            self._executor.shutdown(wait=False)
            self._executor = None

    def _do(self, run: runs.Run) -> bool:
        """Do a run. Returns whether it was begun."""
        if self._executor is None:
            environment = {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
                           "TF_FORCE_GPU_ALLOW_GROWTH": "true"}  # fmt: skip
            self._executor = loky.ProcessPoolExecutor(
                max_workers=1, timeout=None, initializer=behave, initargs=(os.getpid(),), env=environment
            )
        said = runs.said_so_far(run)
        try:
            future = self._executor.submit(train, run)
            while True:
                with self._changed:
                    looked_after = [run, *self._waiting]
                for one in looked_after:
                    runs.beat_if_there(one.folder)
                try:
                    future.result(timeout=runs.BEAT)
                    return True
                except NotYet:
                    continue
        except BrokenExecutor:  # killed: the page sees that nobody works on it any more, and offers to go on
            self._executor = None
            if runs.said_so_far(run) == said:
                return False
            (run.folder / "alive").unlink(missing_ok=True)
            return True


IDLE = 120
"""Seconds after which a trainer without work ends, and gives its memory back."""

TRAINERS = Trainers()
"""The training jobs of this server."""

TRACER = Tracer()

"""The processes that hold TensorFlow. The web process asks them through `concurrent.futures` and never imports it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from concurrent.futures import TimeoutError as NotYet
from typing import Any

import loky
import numpy as np

from cnnviz.trace import tracer

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
        self, name: str, image: np.ndarray, waiting: Callable[[float], None] = lambda seconds: None
    ) -> np.ndarray:
        """Every layer's numbers for one image, as `cnnviz.trace.tracer.trace` returns them.

        Args:
            name: a preset's.
            image: float32 (height, width, channels) in [0, 1].
            waiting: called with the seconds waited so far, ten times a second, while there is no answer.

        Returns:
            float32 (n,).

        Raises:
            WorkerError: the worker died ATTEMPTS times under this request, or failed at it.
        """
        return self._ask(waiting, tracer.trace, name, image[None])[0]

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


TRACER = Tracer()

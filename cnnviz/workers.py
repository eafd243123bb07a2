"""The processes that hold TensorFlow, or another backend of Keras to train with. The web process asks them through
`concurrent.futures` and never imports it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import loky
import numpy as np
from loky.process_executor import ShutdownExecutorError

from cnnviz import settings
from cnnviz.devices import gpus, is_out_of_memory, training_settings
from cnnviz.nets.quiet import import_keras
from cnnviz.nets.weights import Model
from cnnviz.trace import tracer
from cnnviz.training import one_step, runs

BUSY = 0.3
"""Cores that the web process takes when a class draws: from there on training keeps off a core."""
LOOK = 1.0
"""Seconds between two looks at how busy it is."""
BATCH = 32
"""How many images go to the tracer at once, at most."""
LEAK = str(2_000_000_000)
"""Bytes by which a worker may grow. From 300 MB on loky would take it for a leak and replace the process, and all would
wait for TensorFlow again: but compiled networks and the steps that are remembered are none.
"""
TOLD = 0.5
"""Seconds between two words on how long somebody has waited: a browser's CPU, too, is wanted by what is waited for."""
ATTEMPTS = 3
"""How often a request is asked again when the worker dies under it."""


loky.set_loky_pickler("pickle")  # all that this process asks of its workers can be named; cloudpickle is slower


def follow(parent: int) -> None:
    """In a worker: end when the web process does. loky's workers outlive a parent that is killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def plainly(function: Callable, *args: Any) -> Any:
    """In a worker: call it. What it raises is one of Python's own errors: the web process would import TensorFlow to
    read one of TensorFlow's.
    """
    try:
        return function(*args)
    except (OSError, ImportError, ValueError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise MemoryError("there is not enough memory for it. Try again, or choose a smaller one.") from None
        raise RuntimeError("".join(traceback.format_exception(error))) from None


class WorkerError(RuntimeError):
    """The worker could not answer; the message is one sentence for the page."""


class Worker:
    """One warm process that is asked, replaced when it dies."""

    def __init__(self, warm_up: Callable[[], None], initializer: Callable[[int], None]) -> None:
        self._warm_up, self._initializer = warm_up, initializer
        self._lock = threading.Lock()
        self._executor: loky.ProcessPoolExecutor | None = None
        self._warming: Future | None = None

    def start(self) -> loky.ProcessPoolExecutor:
        """The worker's executor, started if it is not running; returns at once."""
        with self._lock:
            if self._executor is None:
                # The graphics card is left to training: what is computed here is too small to gain by it.
                executor = loky.ProcessPoolExecutor(
                    max_workers=1,
                    timeout=None,
                    initializer=self._initializer,
                    initargs=(os.getpid(),),
                    env={
                        "CUDA_VISIBLE_DEVICES": "-1",
                        "KERAS_BACKEND": "tensorflow",
                        "LOKY_MAX_MEMORY_LEAK_SIZE": LEAK,
                    },
                )
                self._warming = executor.submit(plainly, self._warm_up)
                self._executor = executor  # only now: where no process could be started, the next one who asks tries
            return self._executor

    @property
    def warm(self) -> bool:
        """Whether the worker is ready to answer at once."""
        return self._warming is not None and self._warming.done() and not self._warming.exception()

    def _send(self, function: Callable, *args: Any) -> Future:
        """Ask the worker; one that is found dead is replaced."""
        while True:
            executor = self.start()
            try:
                future = executor.submit(plainly, function, *args)
            except (BrokenExecutor, ShutdownExecutorError):
                self._forget(executor)
                continue
            future.add_done_callback(partial(self._look_at, executor))
            return future

    def _look_at(self, executor: loky.ProcessPoolExecutor, done: Future) -> None:
        if isinstance(done.exception(), BrokenExecutor):
            self._forget(executor)

    def _forget(self, executor: loky.ProcessPoolExecutor) -> None:
        with self._lock:
            if self._executor is executor:
                self._executor = None

    def _ask(self, waiting: Callable[[float], None], submit: Callable[[], Future]) -> Any:
        began = time.monotonic()
        for _ in range(ATTEMPTS):
            try:
                future = submit()
                while True:
                    try:
                        return future.result(timeout=TOLD)
                    except NotYet:
                        waiting(time.monotonic() - began)
            except BrokenExecutor:
                continue
            except (OSError, ImportError, ValueError, MemoryError) as error:
                raise WorkerError(f"The network could not be run: {error}") from error
        raise WorkerError("The network's process stopped several times. Try again; if it goes on, restart the app.")


class Tracer(Worker):
    """The worker for forward passes. Images that wait for it together go in one batch."""

    def __init__(self) -> None:
        super().__init__(tracer.warm_up, follow)
        self._images: list[tuple[Model, np.ndarray, Future]] = []  # which wait for the batch before them
        self._busy = False

    def trace(
        self, model: Model, image: np.ndarray, waiting: Callable[[float], None] = lambda seconds: None
    ) -> np.ndarray:
        """Every layer's numbers for one image, as `cnnviz.trace.tracer.trace` returns them.

        Args:
            image: float32 (height, width, channels) in [0, 1].
            waiting: called with the seconds waited so far, every TOLD seconds while there is no answer.

        Returns:
            float32 (n,).

        Raises:
            WorkerError: the worker died ATTEMPTS times under this request, or failed at it.
        """
        return self._ask(waiting, partial(self._submit_image, model, image))

    def _submit_image(self, model: Model, image: np.ndarray) -> Future:
        future: Future = Future()
        with self._lock:
            self._images.append((model, image, future))
            if self._busy:
                return future
            self._busy = True
        self._submit_batch()
        return future

    def _submit_batch(self) -> None:
        """Send the images that wait: those for the network that the first of them is for, at most BATCH."""
        with self._lock:
            if not self._images:
                self._busy = False
                return
            model = self._images[0][0]
            taken = [one for one in self._images if one[0] == model][:BATCH]
            futures = [future for _, _, future in taken]
            self._images = [one for one in self._images if one[2] not in futures]
        try:
            batch = self._send(tracer.trace, model, np.stack([image for _, image, _ in taken]))
        except Exception as error:  # no worker can be started: who waits for it must hear so
            batch = Future()
            batch.set_exception(error)
        batch.add_done_callback(partial(self._deliver, futures))

    def _deliver(self, futures: list[Future], batch: Future) -> None:
        error = batch.exception()
        for number, future in enumerate(futures):
            if error:
                future.set_exception(error)
            else:
                future.set_result(batch.result()[number].copy())  # the others' numbers need not be kept
        self._submit_batch()


class Learner(Worker):
    """The worker for single steps of learning, which take so long that the tracer's strokes would wait for them.
    Without work for IDLE seconds it ends, and gives its memory back.
    """

    def __init__(self) -> None:
        super().__init__(one_step.warm_up, behave)
        self._rest: threading.Timer | None = None

    def one_step(
        self, history: one_step.History, waiting: Callable[[float, int], None], unit: int | None = None
    ) -> one_step.OneStep | one_step.UnitStep:
        """The step of learning that comes after a history, or what it does to one unit of the first dense layer.

        Args:
            waiting: called with the seconds of waiting for this part of it and the steps that have been taken again.

        Raises:
            WorkerError: as in `trace`, or there is no MNIST.
        """
        done, steps = 0, 10
        while True:
            answer = self._ask(
                partial(waiting, steps=done), partial(self._send, one_step.advance, history, steps, unit)
            )
            if not isinstance(answer, int):
                return answer
            done, steps = answer, 2 * steps

    def _look_at(self, executor: loky.ProcessPoolExecutor, done: Future) -> None:
        super()._look_at(executor, done)
        with self._lock:
            if self._rest:
                self._rest.cancel()
            self._rest = threading.Timer(IDLE, self._end, (executor,))
            self._rest.daemon = True
            self._rest.start()

    def _end(self, executor: loky.ProcessPoolExecutor) -> None:
        self._forget(executor)
        executor.shutdown(wait=False)  # what it was asked at this very moment it still answers


def train(run: runs.Run) -> str:
    """In a worker, of this computer or of a cluster: do a run. How it ended: done, stopped or failed.

    Raises:
        RunError: this computer does not see the run's folder.
    """
    if not run.folder.is_dir():
        raise runs.RunError(f"The computer {platform.node()} does not see {run.folder}: the runs folder must be one "
                            "that all workers share.")  # fmt: skip
    import_keras()
    from cnnviz.training import job

    return job.train(run.config, run)


def behave(parent: int) -> None:
    """In a trainer: end with the web process, and let everybody else go first."""
    follow(parent)
    if hasattr(os, "nice"):
        os.nice(settings.NICE.value)
    if hasattr(os, "sched_setaffinity"):  # Linux
        threading.Thread(target=leave_room, args=(parent,), daemon=True).start()


def leave_room(parent: int) -> None:
    """In a trainer, for ever: keep all threads off one core while the web process is busy. Their number stays, and with
    it the order of sums.
    """

    def spent() -> float:
        ticks = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    cores = sorted(os.sched_getaffinity(0))
    taken, before = cores, spent()
    while len(cores) > 1:
        time.sleep(LOOK)
        now = spent()
        free = cores[1:] if now - before > BUSY * LOOK else cores
        if free != taken:
            for thread in os.listdir("/proc/self/task"):
                with contextlib.suppress(OSError):  # it has ended
                    os.sched_setaffinity(int(thread), free)
        taken, before = free, now


class Here:
    """One worker on this computer, for one run at a time. `cnnviz.cluster.Cluster` is the other place to train."""

    address = trouble = ""
    given_up = False
    size = 1

    def __init__(self) -> None:
        self._executor: loky.ProcessPoolExecutor | None = None

    @property
    def patience(self) -> float:
        """Seconds without work until `rest` is called."""
        return IDLE

    def refresh(self) -> None:
        """Nothing: what is here is known."""

    def gpus(self) -> list[str]:
        """The names of the GPUs that a run may ask for."""
        return gpus()

    def room(self, run: runs.Run, begun: int) -> bool:
        """Whether the run can begin now, when so many have begun and not ended."""
        return not begun

    def lacking(self, run: runs.Run) -> str:
        """What the run will wait for in vain, in a sentence; empty: nothing."""
        return ""

    def begin(self, run: runs.Run) -> Future:
        """Have the run done."""
        if self._executor is None:
            environment = {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow"),
                           "LOKY_MAX_MEMORY_LEAK_SIZE": LEAK, **training_settings()}  # fmt: skip
            self._executor = loky.ProcessPoolExecutor(
                max_workers=1, timeout=None, initializer=behave, initargs=(os.getpid(),), env=environment
            )
        return self._executor.submit(plainly, train, run)

    def excuse(self, error: Exception) -> str:
        """Why a run could not be done, in a sentence."""
        return str(error) or type(error).__name__

    def rest(self) -> None:
        """Give the worker's memory back."""
        # Not by loky's own timeout: a worker that it starts again after one is not watched, and its death not noticed.
        if self._executor:
            self._executor.shutdown(wait=False)
            self._executor = None


def training_place() -> Any:
    """Where runs are done: on the cluster whose scheduler $CNNVIZ_SCHEDULER names, else here."""
    if address := os.environ.get("CNNVIZ_SCHEDULER"):
        from cnnviz.cluster import Cluster

        return Cluster(address, partial(plainly, train))
    return Here()


@dataclass
class Begun:
    """A run that is being done.

    Attributes:
        said: bytes that it had said before.
    """

    run: runs.Run
    said: int
    future: Future


class Trainers:
    """Does runs in workers, those that came first first. What happens in a run is in its folder."""

    def __init__(self, where: Any = None) -> None:
        self.where = where or training_place()
        self._changed = threading.Condition()
        self._news = False
        self._waiting: list[runs.Run] = []
        self._begun: dict[str, Begun] = {}
        self._second_try: set[str] = set()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look after runs, and after the cluster if there is one; returns at once."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
                threading.Thread(target=self._beat, daemon=True).start()

    def submit(self, run: runs.Run) -> None:
        """Put a run at the end of the queue, unless it is in it already."""
        with self._changed:
            if not self._has(run):
                self._waiting.append(run)
        self.start()
        self._notice()

    def holds(self, run: runs.Run) -> bool:
        """Whether it waits in the queue or is being done."""
        with self._changed:
            return self._has(run)

    def _has(self, run: runs.Run) -> bool:
        return run.id in self._begun or run.id in [one.id for one in self._waiting]

    def place(self, run: runs.Run) -> int:
        """How many runs are before it; 0: it has begun, is about to, or is not in the queue."""
        with self._changed:
            ids = [one.id for one in self._waiting]
            return len(self._begun) + ids.index(run.id) if run.id in ids else 0

    def waiting(self) -> int:
        """How many runs have not begun."""
        with self._changed:
            return len(self._waiting)

    def clear(self) -> int:
        """Take all runs that have not begun out of the queue; each says so. Returns how many."""
        with self._changed:
            gone, self._waiting = self._waiting, []
        for run in gone:
            runs.say_stopped(run, runs.CLEARED)
        return len(gone)

    def withdraw(self, run: runs.Run) -> bool:
        """Take a run that has not begun out of the queue. Returns whether it was there."""
        with self._changed:
            there = [one for one in self._waiting if one.id == run.id]
            self._waiting = [one for one in self._waiting if one.id != run.id]
        return bool(there)

    def delete(self, run: runs.Run) -> None:
        """Delete a run, also from the queue. Raises RunError: it begins this moment, or can't be removed."""
        self.withdraw(run)
        if self.holds(run) and runs.story(run).state not in runs.ENDINGS:
            raise runs.RunError("The run is about to begin: stop it, and delete it then.")
        run.delete()

    def _notice(self, *_: Any) -> None:
        with self._changed:
            self._news = True
            self._changed.notify()

    def _work(self) -> None:
        while True:
            try:
                self._look_after()
            except Exception:  # one run's trouble is not the next one's
                logging.getLogger(__name__).exception("Looking after runs")

    def _beat(self) -> None:
        # By itself: the scheduler of a cluster may let `_work` wait for longer than runs may be without a sign of life.
        while True:
            with self._changed:
                looked_after = [*self._waiting, *(one.run for one in self._begun.values())]
            for run in looked_after:
                runs.beat_if_there(run.folder)
            time.sleep(runs.BEAT)

    def _look_after(self) -> None:
        self.where.refresh()
        if self.where.given_up:
            with self._changed:
                given_up, self._waiting = self._waiting, []
            for run in given_up:
                self._fail(run, self.where.trouble)
        self._begin()
        with self._changed:
            busy = bool(self._waiting or self._begun)
            noticed = self._changed.wait_for(lambda: self._news, runs.BEAT if busy else self.where.patience)
            self._news = False
        for one in [one for one in self._begun.values() if one.future.done()]:
            self._end(one)
        if not (busy or noticed):
            self.where.rest()

    def _begin(self) -> None:
        with self._changed:
            waiting = [*self._waiting]
        for run in waiting:
            if not self.where.room(run, len(self._begun)):
                continue
            with self._changed:
                if run not in self._waiting:  # withdrawn this moment
                    continue
                self._waiting.remove(run)
                one = self._begun[run.id] = Begun(run, runs.said_so_far(run), Future())
            # One at a time: what this one takes is no room for the next.
            try:
                if runs.is_full():  # others have filled the disk since it was started
                    raise runs.RunError(settings.DISK.sentence)
                one.future = self.where.begin(run)
            except Exception as error:
                one.future.set_exception(error)
            one.future.add_done_callback(self._notice)

    def _end(self, one: Begun) -> None:
        again = False
        try:
            again = self._ended(one)
        finally:  # whatever has happened: a run that stayed would keep the others from beginning
            with self._changed:
                del self._begun[one.run.id]
                if again:
                    self._second_try.add(one.run.id)
                    self._waiting.insert(0, one.run)
                else:
                    self._second_try.discard(one.run.id)

    def _ended(self, one: Begun) -> bool:
        """Say how a run ended where it could not. Returns whether it is to be begun once more."""
        run = one.run
        try:
            one.future.result()
        except (BrokenExecutor, CancelledError):  # the worker was killed, or the scheduler
            self.where.rest()
            # A worker may have died while it was idle: then the run has not been begun, and is once more.
            if runs.said_so_far(run) == one.said and run.id not in self._second_try:
                return True
            # The page sees that nobody works on it any more, and offers to go on; where nothing can be removed, soon.
            with contextlib.suppress(OSError):
                (run.folder / "alive").unlink(missing_ok=True)
        except Exception as error:
            logging.getLogger(__name__).error("The run %s", run.id, exc_info=error)
            self._fail(run, self.where.excuse(error))
        return False

    def _fail(self, run: runs.Run, message: str) -> None:
        """Have a run say that it failed, unless it has come to an end, or somebody works on it after all."""
        try:
            if runs.story(run).state not in runs.ENDINGS:
                runs.Log(run.folder).say("failed", message=message)
        except (runs.RunError, OSError):  # deleted, or its folder can't be written
            logging.getLogger(__name__).exception("The run %s", run.id)


IDLE = 120
"""Seconds after which a trainer, or a learner, without work ends, and gives its memory back."""

TRAINERS = Trainers()
"""The training jobs of this server."""

TRACER = Tracer()
"""The forward passes of this server."""

LEARNER = Learner()
"""The single steps of learning of this server."""

"""Brings sweeps on: asks for the runs that come next, in the queue that all runs wait in."""

from __future__ import annotations

import contextlib
import logging
import threading
import time

from cnnviz.training import runs, sweeps
from cnnviz.training.runs import BusyError, RunError
from cnnviz.training.sweeps import Sweep
from cnnviz.workers import TRAINERS, Trainers

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOOK = 0.5
"""Seconds between two looks at the sweeps."""
AHEAD = 1
"""Runs of a sweep that wait in the queue, besides those that go on; other visitors' come in between."""


class Bringer:
    """Brings one sweep on. What it remembers is only what it has asked for; all else is in the runs' folders."""

    def __init__(self, sweep: Sweep, trainers: Trainers) -> None:
        self.sweep, self.trainers = sweep, trainers
        self.asked: set[tuple[str, int]] = set()
        self.lock = (sweep.folder / "lock").open("ab")
        if fcntl:
            # Two servers with one runs folder must not bring on the same sweep; the lock goes with the process.
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sweep.ask_again()
        for run in sweep.runs():
            if not runs.said_so_far(run):
                runs.beat(run.folder)

    def step(self) -> bool:
        """Ask for what comes next. Returns whether there is more to come."""
        runs.beat_if_there(self.sweep.folder)
        if runs.unreadable():  # for a moment perhaps, as a shared disk may be: nothing is known, so nothing is done
            return True
        now = sweeps.standing(self.sweep)
        if now.halved != self.sweep.left_behind():
            with contextlib.suppress(RunError):  # no room: it is decided anew at the next look
                self.sweep.leave_behind(now.halved)
        if self.sweep.stopping:
            return self.stop()
        if not now.needed:
            return False
        epochs = now.rungs[now.rung]
        for number, run in enumerate(now.needed):
            told = now.stories[run.id][1]
            if self.trainers.holds(run):
                continue
            if (run.id, epochs) in self.asked:
                # It was done, and did not get there: it was interrupted, or nothing could be done for it. So it is
                # for the next one, and somebody has to look, once what goes on has ended.
                return bool(self.held())
            if number > self.trainers.where.size + AHEAD - 1:
                if told.state == "waiting":
                    runs.beat_if_there(run.folder)
                continue
            if runs.said_so_far(run):
                try:
                    runs.ask_again(run)
                except BusyError:  # a worker of the cluster still does it for a server that is gone
                    continue
            run.stop(after=epochs)
            self.asked.add((run.id, epochs))
            self.trainers.submit(run)
        return True

    def held(self) -> list[runs.Run]:
        """Its runs that wait in the queue or go on, those too that have just come to where they are compared."""
        return [run for run in self.sweep.runs() if self.trainers.holds(run)]

    def stop(self) -> bool:
        """Stop the runs that wait or go on, so that they can go on later. Returns whether any has yet to end."""
        held = self.held()
        for run in held:
            run.stop(after=0)
            if self.trainers.withdraw(run):
                runs.say_stopped(run, runs.STOPPED_WAITING)
        return bool(held)

    def close(self) -> None:
        """Say that nobody brings the sweep on any more, nor the runs that waited for their turn."""
        for run in self.sweep.runs():
            with contextlib.suppress(RunError, OSError):  # deleted this moment, or nothing can be removed any more
                if not self.trainers.holds(run) and runs.story(run).state == "waiting":
                    (run.folder / "alive").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.lock.close()
            (self.sweep.folder / "alive").unlink(missing_ok=True)


class Conductor:
    """Brings the sweeps of this server on, in a thread of its own."""

    def __init__(self, trainers: Trainers) -> None:
        self._trainers = trainers
        self._lock = threading.Lock()
        self._sweeps: dict[str, Bringer] = {}
        self._thread: threading.Thread | None = None

    def conduct(self, sweep: Sweep) -> None:
        """Bring a sweep on until its end; returns at once.

        Raises:
            RunError: another server does, or its folder can't be written.
        """
        with self._lock:
            if sweep.id in self._sweeps:
                return
            try:
                self._sweeps[sweep.id] = Bringer(sweep, self._trainers)
            except BlockingIOError:
                raise RunError("Another server brings this sweep on already.") from None
            except OSError as error:
                raise RunError(f"The sweep can't go on: {error.strerror}.") from error
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            for bringer in [*self._sweeps.values()]:
                try:
                    more = bringer.step()
                except Exception:  # a folder that was deleted, a full disk: the page offers to go on
                    logging.getLogger(__name__).exception("The sweep %s", bringer.sweep.id)
                    more = False
                if not more:
                    with self._lock:
                        del self._sweeps[bringer.sweep.id]
                        bringer.close()
            with self._lock:
                if not self._sweeps:
                    self._thread = None
                    return
            time.sleep(LOOK)


CONDUCTOR = Conductor(TRAINERS)
"""The sweeps of this server."""

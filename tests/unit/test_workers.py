"""The processes that are asked: one ends without work and answers again, none is taken for a leak."""

import os
import subprocess
import sys
import time
from functools import partial

import numpy as np
import psutil
import pytest
from loky.process_executor import _MEMORY_LEAK_CHECK_DELAY

from cnnviz import data, settings, workers
from cnnviz.training.one_step import History
from cnnviz.workers import Learner, Worker, follow

HISTORY = History(3, "adam", (0.001,))
kept = []


def grow() -> int:
    """In a worker: keep 400 MB, more than loky allows, and take so long that it looks."""
    kept.append(np.ones(400_000_000, np.uint8))
    time.sleep(1.1 * _MEMORY_LEAK_CHECK_DELAY)
    return os.getpid()


def test_memory_that_is_needed_is_no_leak():
    one = Worker(int, follow)
    pids = {one._ask(lambda seconds: None, partial(one._send, asked)) for asked in (os.getpid, grow, os.getpid)}
    one.start().shutdown(kill_workers=True)
    assert len(pids) == 1


@pytest.mark.skipif(not data.is_here("mnist"), reason="MNIST is not here: run `python -m cnnviz datasets mnist`")
def test_a_learner_without_work_ends_and_answers_again(monkeypatch):
    monkeypatch.setattr(workers, "IDLE", 0.2)
    one, before = Learner(), psutil.Process().children()
    first = one.one_step(HISTORY, lambda seconds, steps: None)
    processes = [child for child in psutil.Process().children()
                 if child.nice() == settings.NICE.value and child not in before]  # fmt: skip
    assert processes
    assert not psutil.wait_procs(processes, timeout=120)[1]
    again = one.one_step(HISTORY, lambda seconds, steps: None)
    assert [after.loss for after in again.afters] == [after.loss for after in first.afters]
    assert again.past == first.past
    one.start().shutdown(kill_workers=True)


CORES = """
import os, sys, threading
from cnnviz import workers
workers.LOOK = 0.2
threading.Thread(target=workers.leave_room, args=(os.getppid(),), daemon=True).start()
for line in sys.stdin:
    print(len(os.sched_getaffinity(0)), flush=True)
"""


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core, or no Linux"
)
def test_training_keeps_off_a_core_while_the_web_process_is_busy():
    all_cores = len(os.sched_getaffinity(0))
    with subprocess.Popen(
        [sys.executable, "-c", CORES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:

        def comes_to(cores: int, wait) -> bool:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                wait(time.monotonic() + 0.1)
                print(file=child.stdin, flush=True)
                if int(child.stdout.readline()) == cores:
                    return True
            return False

        def busy(until: float) -> None:
            while time.monotonic() < until:
                pass

        assert comes_to(all_cores - 1, busy)
        assert comes_to(all_cores, lambda until: time.sleep(0.1))

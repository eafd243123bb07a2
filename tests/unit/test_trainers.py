"""The queue at a place where everything goes wrong: what real workers and a real cluster do seldom, or late."""

import os
import threading
import time
from concurrent.futures import BrokenExecutor, Future

import pytest

from cnnviz import settings
from cnnviz.run_view import progress_line
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig
from cnnviz.workers import Here, Trainers

CONFIG = TrainingConfig("digits", preset="small-digits")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))


def until(found, what: str) -> None:
    deadline = time.monotonic() + 20
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


class Place(Here):
    """Where a run's worker dies, or never ends, as its title says; `ask` holds the first look up until it is set."""

    seats = 1

    def __init__(self) -> None:
        super().__init__()
        self.ask, self.begun = threading.Event(), []
        self.ask.set()

    def refresh(self) -> None:
        self.ask.wait(20)

    def room(self, run: runs.Run, begun: int) -> bool:
        return len([one for one in self.begun if one.title == "long"]) < self.seats

    def begin(self, run: runs.Run) -> Future:
        self.begun.append(run)
        future = Future()
        if run.title == "dies":
            future.set_exception(BrokenExecutor("killed"))
        return future


def test_a_trainer_killed_at_a_run_that_can_not_be_written_lets_the_next_one_begin():
    trainers, run, after = Trainers(Place()), runs.create(CONFIG, "dies"), runs.create(CONFIG, "long")
    # What a read-only folder does to its files, to the superuser too: it can't be removed.
    (run.folder / "alive").unlink()
    (run.folder / "alive").mkdir()
    trainers.submit(run)
    until(lambda: not trainers.holds(run), "the end of the run")
    trainers.submit(after)
    until(lambda: after in trainers.where.begun, "the next one")


def test_runs_that_wait_are_alive_while_the_scheduler_does_not_answer(monkeypatch):
    monkeypatch.setattr(runs, "BEAT", 0.02)
    place = Place()
    place.ask.clear()
    trainers, run = Trainers(place), runs.create(CONFIG, "long")
    trainers.submit(run)
    before = (run.folder / "alive").stat().st_mtime_ns
    until(lambda: (run.folder / "alive").stat().st_mtime_ns > before, "a sign of life")
    assert not place.begun
    place.ask.set()
    until(lambda: place.begun, "its turn")


def test_no_more_runs_begin_than_there_is_room_for():
    place = Place()
    place.ask.clear()
    trainers = Trainers(place)
    first, second = runs.create(CONFIG, "long"), runs.create(CONFIG, "long")
    trainers.submit(first)
    trainers.submit(second)
    place.ask.set()
    until(lambda: place.begun, "the first")
    until(lambda: trainers.place(second) == 1, "the second waits")
    assert place.begun == [first]
    # Which waits can be deleted at once, which begins only when it has said how it ended.
    trainers.delete(second)
    assert not trainers.holds(second)
    with pytest.raises(runs.RunError, match="about to begin"):
        trainers.delete(first)
    assert runs.all_runs() == [first]
    runs.say_stopped(first, "")
    trainers.delete(first)
    assert runs.all_runs() == []


def test_a_run_does_not_begin_when_others_have_filled_the_disk_meanwhile(monkeypatch):
    monkeypatch.setenv("CNNVIZ_MAX_RUNS_GB", "1")
    place = Place()
    trainers, first, second = Trainers(place), runs.create(CONFIG, "long"), runs.create(CONFIG, "long")
    trainers.submit(first)
    trainers.submit(second)
    until(lambda: place.begun == [first], "the first run")
    with (first.folder / "model.keras").open("wb") as file:
        file.truncate(10**9 - runs.disk_bytes())  # a hole: it takes no room
    runs.forget()  # this process has changed it
    assert runs.is_full()
    place.seats = 2
    until(lambda: not trainers.holds(second), "the second run")
    assert place.begun == [first]
    assert (runs.story(second).state, runs.story(second).message) == ("failed", settings.DISK.sentence)
    # One byte less, and there is room.
    with (first.folder / "model.keras").open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) - (second.folder / "events.jsonl").stat().st_size - 1)
    runs.forget()
    assert not runs.is_full()
    runs.ask_again(second)
    trainers.submit(second)
    until(lambda: place.begun == [first, second], "the second run")


def test_a_server_whose_clock_is_an_hour_off_sees_who_is_alive(monkeypatch):
    """By the clock of the disk, which is another computer's where several share it."""
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3_600)
    living, dead = runs.create(CONFIG), runs.create(CONFIG)
    os.utime(dead.folder / "alive", (now() - runs.DEAD - 1,) * 2)
    assert [runs.is_alive(run.folder) for run in (living, dead)] == [True, False]


def test_a_run_in_another_servers_queue_says_so():
    run = runs.create(CONFIG)
    assert "on another server" in progress_line(run, runs.story(run))

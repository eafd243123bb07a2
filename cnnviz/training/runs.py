"""Run folders: what a training run is told, what it says, and what it leaves. Files only; no Keras in here.

    runs/<id>/settings.json    title, owner, whether published, when it was asked for, the sweep that it belongs to if
                               any, and the TrainingConfig; rewritten by renaming only
              events.jsonl     what the job says, a line an event, only ever appended to
              alive            touched every BEAT seconds while somebody waits for, or works on, the run
              stop             there once somebody wants it to stop; with a number in it: after so many epochs
              finish           there once it is to learn no more, and to be tested as it is
              checkpoint.npz   everything that the next epoch starts from
              epochs/003.npz   the weights after epoch 3 (000: before the first)
              live.npz         the weights a moment ago, while it runs
              weights.npz      the weights of the best epoch so far
              predictions.npz  the answers to the test images; model.keras: the network of the best epoch

Events: started, note, download, batch, epoch, and at the end done, stopped or failed. A run that stopped or failed can
go on: what it said about an epoch that was not finished is then passed over.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from cnnviz import data, settings
from cnnviz.nets.layers import Network
from cnnviz.training.config import LIMITS, MAX_SETTINGS, TrainingConfig, from_values, parsed

KEPT = 10_000
"""Runs whose settings and events are kept in memory. Who looks at all, where there are more, reads all each time."""
MOMENT = 2.0
"""Seconds for which a walk through the runs folder holds, where nothing is changed by this process."""
SHOWN = 300
"""Batches that a curve shows at most, and that are kept of a run that has ended."""
KEPT_POINTS = 500_000
"""Batches in all that are kept in memory, at 0.3 kB each."""
POINTS = 1_000
"""Batch events of a run that are kept at least; of a longer one every second, fourth, ..."""
BEAT, DEAD = 1.0, 10.0
"""Seconds between two signs of life, and without one until a run counts as interrupted."""
LETTING_GO = 2.0
"""Seconds in which a process that has said how its run ended lets go of the run's folder."""
ENDINGS = ("done", "stopped", "failed")
MAX_TITLE = 60
"""Characters of a run's name."""
STOPPED_WAITING = "Stopped while it waited."
CLEARED = "A teacher has cleared the queue before it began: ask whether it may go on."
ANOTHERS = "Only who started a run can go on with it."
DONE = "The run is done: start another one from its settings."
NOT_ENDED = "The run has not ended: stop it first."
GONE = "There is no such run: it may have been deleted, or is not published."
NOT_KEPT = "The run can't be kept in {} ({}): make room, or choose another folder with CNNVIZ_RUNS."
MAX_LINE = 16 * 1024
"""Bytes of one event; what is longer is none."""
MAX_NOTES = 20
"""Notes of a run that are kept."""
YEAR_2100 = 4_102_444_800
"""In seconds since 1970: a run that says it was created later is damaged."""
RESERVE = 64 * 1024
"""Bytes that a run keeps back, so that it can still say that the disk is full."""


class RunError(ValueError):
    """A run that is not there or can't be written; the message says so in one sentence."""


class BusyError(RunError):
    """A run that another process works on, or has done."""


def runs_folder() -> Path:
    """Where the runs are: $CNNVIZ_RUNS, else `runs` in the data folder."""
    chosen = os.environ.get("CNNVIZ_RUNS")
    return Path(chosen).expanduser() if chosen else data.data_folder() / "runs"


@dataclass(frozen=True)
class Run:
    """One run's folder and settings.

    Attributes:
        owner: who started it (`cnnviz.access.Visitor.id`); empty for a run from the command line.
        created: seconds since 1970.
        published: whether everybody may see it. A run without an owner is.
        sweep: the id of the sweep that it belongs to, or empty.
    """

    id: str
    folder: Path
    title: str
    owner: str
    created: float
    config: TrainingConfig
    published: bool = False
    sweep: str = ""

    @property
    def network(self) -> Network:
        """The network that is trained, named `run-<id>`."""
        return self.config.network(f"run-{self.id}", self.title)

    def epochs(self) -> list[int]:
        """The epochs whose weights are kept, in order; 0 is before the first."""
        return sorted(int(file.stem) for file in (self.folder / "epochs").glob("[0-9][0-9][0-9].npz"))

    def weights(self, epoch: int | None = None) -> Path:
        """The file of an epoch's weights; without one the best epoch's, or the newest while there is none."""
        if epoch is not None and (file := self.folder / "epochs" / f"{epoch:03d}.npz").exists():
            return file
        best = self.folder / "weights.npz"
        return best if best.exists() else self.folder / "epochs" / f"{max(self.epochs(), default=0):03d}.npz"

    @property
    def has_weights(self) -> bool:
        """Whether there are any. Of all runs at every click: a text is looked up in a tenth of a Path's time."""
        return os.path.exists(os.path.join(self.folder, "weights.npz")) or bool(self.epochs())

    def stop(self, after: int | None = None) -> None:
        """Ask the job to stop, by hand and now, or after so many epochs; it keeps the best so far."""
        write(self.folder / "stop", b"" if after is None else str(after).encode())

    def is_to_stop(self, epochs: int) -> bool:
        """Whether the job is to stop, now that so many epochs are finished."""
        try:
            asked = (self.folder / "stop").read_bytes()
        except OSError:
            return False
        return not asked.isdigit() or epochs >= int(asked)

    @property
    def finishing(self) -> bool:
        """Whether it is to be tested as it is."""
        return (self.folder / "finish").exists()

    @property
    def stopped_by_hand(self) -> bool:
        """Whether somebody wants just this run to stop."""
        try:
            return (self.folder / "stop").stat().st_size == 0
        except OSError:
            return False

    @property
    def stopping(self) -> bool:
        """Whether somebody has asked it to stop now."""
        return self.is_to_stop(0)

    def rename(self, title: str) -> Run:
        """Give it another title. Raises RunError: it can't be written."""
        return self._changed(title=tidy(title) or self.title)

    def publish(self, published: bool) -> Run:
        """Show it to everybody, or no longer. Raises RunError: it can't be written."""
        return self._changed(published=published)

    def own(self, owner: str) -> Run:
        """Give it to somebody. Raises RunError: it can't be written."""
        return self if owner == self.owner else self._changed(owner=owner)

    def _changed(self, **what: Any) -> Run:
        run = replace(self, **what)
        write(self.folder / "settings.json", run.settings())
        forget()
        return run

    def delete(self) -> None:
        """Remove the folder. It is renamed first: nobody finds half of it."""
        gone = self.folder.with_name(f".{self.id}.deleted")
        try:
            self.folder.rename(gone)
        except OSError as error:
            raise RunError(f"The run can't be deleted: {error.strerror}.") from error
        for left in gone.parent.glob(".*.deleted"):  # and what a kill has left of others
            shutil.rmtree(left, ignore_errors=True)
        with _reading:
            _stories.pop(self.folder / "events.jsonl", None)
        forget()

    def settings(self) -> bytes:
        """What settings.json holds."""
        kept = {"title": self.title, "owner": self.owner, "published": self.published, "created": self.created,
                "sweep": self.sweep, "config": asdict(self.config)}  # fmt: skip
        return json.dumps(kept, indent=2).encode()


def create(config: TrainingConfig, title: str = "", owner: str = "", sweep: str = "") -> Run:
    """Make the folder of a new run; nothing is started.

    Raises:
        ConfigError: settings that can't be trained with. RunError: no folder can be made.
    """
    config.check()
    now = time.time()
    title = tidy(title) or f"{config.preset or 'own blocks'} on {data.find(config.dataset).title}"
    try:
        folder = _new_folder(now)
    except OSError as error:
        raise RunError(NOT_KEPT.format(runs_folder(), error.strerror)) from error
    run = Run(folder.name, folder, title, owner, now, config, published=not owner, sweep=sweep)
    try:
        (run.folder / "epochs").mkdir()
        beat(run.folder)
        (run.folder / ".reserve").write_bytes(b"\0" * RESERVE)
        (run.folder / "settings.json").write_bytes(run.settings())
    except OSError as error:
        shutil.rmtree(run.folder, ignore_errors=True)
        raise RunError(NOT_KEPT.format(runs_folder(), error.strerror)) from error
    forget()
    return run


def _new_folder(now: float) -> Path:
    """Make a folder with a name that no run has: a sweep makes 30 in a second."""
    while True:
        folder = runs_folder() / f"{datetime.fromtimestamp(now, timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if not folder.exists():  # it is the folder of all runs that is none
                raise
        else:
            return folder


def tidy(title: str) -> str:
    """A title of MAX_TITLE characters at most, with nothing in it that is not shown: no line breaks, no half of a
    surrogate pair, which can't be sent to a browser, nothing that turns the reading direction around."""
    joiners = "\u200c\u200d"  # of Persian words, and of emoji
    return "".join(c if c.isprintable() or c in joiners else " " for c in title[:1_000]).strip()[:MAX_TITLE]


def find(name: str) -> Run:
    """The run of that id.

    Raises:
        RunError: there is none, or its settings are damaged.
    """
    # The name may come from an address: nothing that could lead out of the folder.
    if not re.fullmatch(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}", name):
        raise RunError(GONE)
    file = os.path.join(runs_folder(), name, "settings.json")
    try:
        return _read(file, os.stat(file).st_mtime_ns)
    except FileNotFoundError:
        raise RunError(GONE) from None
    except OSError as error:
        raise RunError(f"The run's settings can't be read: {error.strerror}.") from error


@lru_cache(maxsize=KEPT)
def _read(name: str, _changed: int) -> Run:  # a text: a Path takes ten times as long to look up
    file = Path(name)
    try:
        with file.open("rb") as opened:
            kept = parsed(opened.read(MAX_SETTINGS + 1))
        title, owner, created = tidy(str(kept["title"])), str(kept["owner"]), float(kept["created"])
        if not 0 <= created < YEAR_2100:
            raise ValueError("created in another age")
        published, sweep = kept.get("published", not owner) is True, str(kept.get("sweep", ""))
        config = from_values(kept["config"])
        return Run(file.parent.name, file.parent, title, owner, created, config, published, sweep)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise RunError(f"The settings of the run {file.parent.name} are damaged.") from error


_changes = 0
"""How often this process has changed what a walk finds."""


def forget() -> None:
    """Have the next look at the runs folder be a new one."""
    global _changes
    _changes += 1


def _for_a_moment(walk: Callable[[], Any]) -> Callable[[], Any]:
    """Have what a walk has found hold for MOMENT seconds, for all who ask: a class asks many times a second.

    Not where another process has made a run or removed one, which the time of the folder tells.
    """

    def made_or_gone() -> int:
        try:
            return runs_folder().stat().st_mtime_ns
        except OSError:
            return 0

    lock, known, until, found = threading.Lock(), None, 0.0, None

    @wraps(walk)
    def asked() -> Any:
        nonlocal known, until, found
        with lock:
            now = runs_folder(), _changes, made_or_gone()
            if known != now or time.monotonic() > until:
                found = walk()
                known, until = now, time.monotonic() + MOMENT
            return found

    return asked


@_for_a_moment
def _walked() -> tuple[tuple[Run, ...], str]:
    found, why = [], ""
    try:
        for name in sorted(os.listdir(runs_folder()), reverse=True):
            with contextlib.suppress(RunError):
                found.append(find(name))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        why = f"The runs folder can't be read: {error.strerror}."
    return tuple(found), why


def all_runs() -> list[Run]:
    """Every run that can be read, the newest first; what other processes have changed in one, within MOMENT seconds."""
    return [*_walked()[0]]


def unreadable() -> str:
    """Why no run can be read though there may be some, in a sentence; empty: nothing keeps them from it."""
    return _walked()[1]


@_for_a_moment
def disk_bytes() -> int:
    """What all runs take on the disk, or took MOMENT seconds ago."""
    total = 0
    for folder, _, files in os.walk(runs_folder()):
        for file in files:
            with contextlib.suppress(OSError):  # deleted this moment
                total += os.stat(os.path.join(folder, file)).st_size
    return total


def is_full() -> bool:
    """Whether the runs fill the disk space that they have."""
    return disk_bytes() >= settings.DISK.value * 1e9


def expendable() -> list[Run]:
    """The runs that can go when the disk is full: not published and ended, the oldest first."""
    found = []
    for run in reversed(all_runs()):
        with contextlib.suppress(RunError):  # deleted this moment
            if not run.published and story(run).state not in ("waiting", "running"):
                found.append(run)
    return found


def write(file: Path, content: bytes) -> None:
    """Write beside the name, then rename onto it. Raises RunError."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):  # there is none, or nothing may be changed here
            partial.unlink()
        raise RunError(f"{file} can't be written: {error.strerror}.") from error


def beat(folder: Path) -> None:
    """Give a sign of life."""
    (folder / "alive").touch()


def beat_if_there(folder: Path) -> None:
    """The same for a run that may have been deleted meanwhile, or whose disk is full."""
    try:
        os.utime(folder / "alive")
    except OSError:
        return


_times: dict[Path, tuple[float, float]] = {}
"""By folder: what time its disk had, and when that was on a clock that nobody sets."""


def time_there(folder: Path) -> float:
    """Now, as the disk of a folder tells the time. One that several computers share has a clock of its own, which
    theirs need not agree with."""
    time_, asked = _times.get(folder, (0.0, float("-inf")))
    if time.monotonic() - asked > 2 * BEAT:
        try:
            (folder / ".clock").touch()
            time_ = (folder / ".clock").stat().st_mtime
        except OSError:  # it is full, or may only be read
            time_ = time.time()
        asked = time.monotonic()
        _times[folder] = time_, asked
    return time_ + time.monotonic() - asked


_alive: dict[Path, float] = {}
"""When, on a clock that nobody sets, a run was last seen alive."""


def is_alive(folder: Path) -> bool:
    """Whether somebody waits for, or works on, this run."""
    try:
        age = time_there(folder.parent) - (folder / "alive").stat().st_mtime
    except OSError:
        return False
    if abs(age) < DEAD:
        _alive[folder] = time.monotonic()
    # Where the clock has been set this moment, the next sign of life is by the new one.
    elif time.monotonic() - _alive.get(folder, float("-inf")) > 3 * BEAT:
        _alive.pop(folder, None)
        return False
    return True


class Log:
    """Appends to events.jsonl, and keeps some room for the last words."""

    def __init__(self, folder: Path) -> None:
        self.reserve = folder / ".reserve"
        self.file = (folder / "events.jsonl").open("ab", buffering=0)
        try:
            if fcntl:
                # Two trainers must not write into one folder; the lock goes with the process.
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self.reserve.exists() or self.reserve.stat().st_size < RESERVE:  # a new run has one
                self.reserve.write_bytes(b"\0" * RESERVE)
            # A kill or a full disk may cut a line short.
            self.cut = self.file.tell() > 0 and (folder / "events.jsonl").read_bytes()[-1:] != b"\n"
        except OSError:
            self.file.close()
            raise

    def say(self, event: str, **facts: Any) -> dict[str, Any]:
        """Append one event. Raises OSError: no room, or not all of it had any."""
        said = {"event": event, "time": round(time.time(), 3), **facts}
        line = json.dumps(said, separators=(",", ":")).encode() + b"\n"
        if event in ENDINGS:
            with contextlib.suppress(OSError):  # where nothing may be removed any more, there may still be room
                self.reserve.unlink()
        line = b"\n" * self.cut + line
        self.cut = self.file.write(line) < len(line)
        if self.cut:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if event not in ("batch", "download"):
            os.fsync(self.file.fileno())
        return said


def say_stopped(run: Run, message: str) -> None:
    """Of a run that was taken out of the queue. What can't be written shows as interrupted."""
    with contextlib.suppress(OSError):
        Log(run.folder).say("stopped", message=message)


@dataclass
class Story:
    """What a run has said so far.

    Attributes:
        state: waiting, running, interrupted, done, stopped or failed.
        message: what went wrong, or what the user should know.
        batches: the batch events, without those of epochs that were begun and done again.
        epochs: the epoch events.
        end: the last event, where it is an ending.
        asked_again: whether somebody has asked it to go on, and waits.
    """

    state: str
    message: str = ""
    started: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    download: dict[str, Any] = field(default_factory=dict)
    batches: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    asked_again: bool = False

    @property
    def best(self) -> dict[str, Any]:
        """The epoch of the highest validation accuracy; empty while none is finished."""
        return max(self.epochs, key=lambda epoch: (epoch["val_accuracy"], -epoch["val_loss"]), default={})

    @property
    def done(self) -> float:
        """The share of all batches that are done, 0 to 1."""
        if self.end.get("event") == "done":
            return 1.0
        per_epoch, epochs = self.started.get("batches", 0), self.started.get("epochs", 0)
        if not per_epoch:
            return 0.0
        last = self.batches[-1] if self.batches else {"epoch": 1, "batch": 0}
        so_far = max((last["epoch"] - 1) * per_epoch + last["batch"], len(self.epochs) * per_epoch)
        return min(so_far / (per_epoch * epochs), 1.0)

    @property
    def seconds_left(self) -> float | None:
        """By the pace of the last epoch, or, in the first, of its batches; None while there is nothing to go by."""
        per_epoch, epochs = self.started.get("batches", 0), self.started.get("epochs", 0)
        if not per_epoch:
            return None
        left = (1 - self.done) * per_epoch * epochs
        if self.epochs:
            return left * self.epochs[-1]["seconds"] / per_epoch
        if self.batches and self.batches[-1]["images_per_second"]:
            return left * self.started["batch_size"] / self.batches[-1]["images_per_second"]
        return None


def said_so_far(run: Run) -> int:
    """How many bytes a run has said."""
    try:
        return (run.folder / "events.jsonl").stat().st_size
    except OSError:
        return 0


def last_said(run: Run) -> float:
    """When a run last said anything, in seconds since 1970; one that never has, when it was asked for."""
    try:
        return (run.folder / "events.jsonl").stat().st_mtime
    except OSError:
        return run.created


def story(run: Run) -> Story:
    """Read what a run has said. Raises RunError: it is gone."""
    file = run.folder / "events.jsonl"
    try:
        told = _told(file, file.stat())
    except FileNotFoundError:
        if not run.folder.exists():
            raise RunError(GONE) from None
        told = Story("")
    except OSError as error:
        raise RunError(f"The run's events can't be read: {error.strerror}.") from error
    if told.end:
        return replace(told, state=told.end["event"])
    if not is_alive(run.folder):
        message = "Interrupted: nobody works on it any more. Go on from its last finished epoch."
        return replace(told, state="interrupted", message=message)
    return replace(told, state="waiting" if told.asked_again or not told.started else "running")


_stories: dict[Path, tuple[tuple[int, int, int], int, Story]] = {}
_reading = threading.Lock()


def _told(file: Path, now: os.stat_result) -> Story:
    """The story in a file: the last one again while the file is as it was, else with what has been said since."""
    state = now.st_ino, now.st_size, now.st_mtime_ns
    with _reading:
        known, read, told = _stories.get(file, ((0, 0, 0), 0, Story("")))
        if known != state:
            if known[0] != state[0] or now.st_size < read:
                read, told = 0, Story("")
            told, read = _parsed(file, read, told)
            _stories.pop(file, None)
            _stories[file] = state, read, told
            points = sum(len(told.batches) for *_, told in _stories.values())
            while len(_stories) > KEPT or (points > KEPT_POINTS and len(_stories) > 1):
                *_, oldest = _stories.pop(next(iter(_stories)))
                points -= len(oldest.batches)
    return told


def _parsed(file: Path, read: int, told: Story) -> tuple[Story, int]:
    """A story with what a file says after so many bytes, and how many there are then."""
    told = replace(told, notes=[*told.notes], batches=[*told.batches], epochs=[*told.epochs])
    with file.open("rb") as lines:
        lines.seek(read)
        for event in _events(lines):
            match event["event"]:
                case "started":
                    done = event["from_epoch"]
                    told = Story("", started=event,
                                 epochs=[epoch for epoch in told.epochs if epoch["epoch"] <= done],
                                 batches=[batch for batch in told.batches if batch["epoch"] <= done])  # fmt: skip
                case "note":
                    told.notes.append(event["text"])
                    del told.notes[MAX_NOTES:]
                case "download":
                    told.download = event
                case "batch":
                    told.batches.append({name: event[name] for name in NEEDS["batch"]})
                    if len(told.batches) >= 2 * POINTS:
                        told.batches = told.batches[::2]
                case "epoch" if not told.epochs or event["epoch"] > told.epochs[-1]["epoch"]:
                    told.epochs.append(event)
                case "waiting":
                    told = replace(told, asked_again=True, end={}, download={}, message="")
                case "done" | "stopped" | "failed":
                    told.end, told.message = event, event.get("message", "")
        read = lines.tell()
    if told.end:
        told.batches = thinned(told.batches)
    return told, read


def thinned(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """SHOWN batches at most, the last one among them."""
    step = -(-len(batches) // SHOWN) or 1
    return batches[(len(batches) - 1) % step :: step]


NEEDS = {
    "started": ("batches", "batch_size", "epochs", "from_epoch", "device", "backend"),
    "note": ("text",),
    "download": ("what", "done", "of"),
    "batch": ("epoch", "batch", "loss", "accuracy", "images_per_second"),
    "epoch": ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"),
}
"""What an event has to say to be believed."""
BOUNDS = {
    **dict.fromkeys(("from_epoch", "batch", "done"), (int, 0, 1e12)),
    **dict.fromkeys(("batches", "batch_size", "of"), (int, 1, 1e12)),
    **dict.fromkeys(("epoch", "epochs"), (int, 1, LIMITS["epochs"][1])),
    **dict.fromkeys(("accuracy", "val_accuracy", "test_accuracy"), (float, 0, 1)),
    **dict.fromkeys(("seconds", "images_per_second"), (float, 0, 1e12)),
}
"""Of the numbers in events: whole ones or not, and from where to where. A loss may be any number, or none."""
LOSSES, TEXTS = ("loss", "val_loss", "test_loss"), ("text", "what", "device", "backend", "place", "message")


def believed(event: Any) -> bool:
    """Whether the pages can show an event: everything is there that it needs, and of the right kind."""
    if not isinstance(event, dict) or not isinstance(said := event.get("event"), str):
        return False
    if any(name not in event for name in NEEDS.get(said, ())):
        return False
    return all(fits(name, value) for name, value in event.items())


def fits(name: str, value: Any) -> bool:
    """Whether a value is one that the fact of this name may have."""
    if name in BOUNDS:
        kind, least, most = BOUNDS[name]
        return type(value) in (int, kind) and least <= value <= most  # 1.0 may be written 1, but True is no number
    if name in LOSSES:
        return type(value) in (int, float) and not 1e300 < abs(value) < math.inf
    return name not in TEXTS or isinstance(value, str)


def _events(lines: BinaryIO) -> Iterator[dict[str, Any]]:
    """Every whole line from here on; one that a kill cut short is passed over, one that is being written left there."""
    for line in iter(lambda: lines.readline(MAX_LINE), b""):
        if not line.endswith(b"\n") and len(line) < MAX_LINE:
            lines.seek(-len(line), os.SEEK_CUR)
            return
        with contextlib.suppress(ValueError, RecursionError):
            if believed(event := json.loads(line)):
                yield event


def ask_again(run: Run, owner: str = "", finish: bool = False) -> Run:
    """Note that the run is waited for once more, and give it to who asks for that, if anybody.

    Args:
        finish: it is to learn no more, and to be tested as it is.

    Raises:
        BusyError: another process works on it, or it is done.
        RunError: it is another's, or it can't be written.
    """
    try:
        log = _log_when_let_go(run)
        # While the log is held, nobody else gets the run, not on another server either.
        if owner and (run := find(run.id)).owner not in ("", owner):
            raise RunError(ANOTHERS)
        if story(run).state == "done":
            raise BusyError(DONE)
        (run.folder / "stop").unlink(missing_ok=True)
        (run.folder / "finish").unlink(missing_ok=True)
        if finish:
            (run.folder / "finish").touch()
        beat(run.folder)
        log.say("waiting")
        return run.own(owner or run.owner)
    except BlockingIOError:
        raise BusyError("The run goes on already: another process works on it.") from None
    except OSError as error:
        raise RunError(f"The run can't go on: {error.strerror}.") from error


def delete_ended(run: Run) -> None:
    """Delete a run that nobody waits for or works on, of this computer or another. Raises RunError."""
    log = None
    try:
        if fcntl:  # else there is no lock, and a file that is open keeps its folder from being renamed
            log = _log_when_let_go(run)  # while it is held, nobody goes on with the run
    except BlockingIOError:
        raise RunError(NOT_ENDED) from None
    except OSError:  # no room for its reserve: all the more
        pass
    try:
        if story(run).state in ("waiting", "running"):
            raise RunError(NOT_ENDED)
        run.delete()
    finally:
        if log:
            log.file.close()


def _log_when_let_go(run: Run) -> Log:
    """The run's log; of one that has just ended, once its process has let go of it. Raises BlockingIOError."""
    deadline = time.monotonic() + LETTING_GO
    while True:
        try:
            return Log(run.folder)
        except BlockingIOError:
            if story(run).state not in ENDINGS or time.monotonic() > deadline:
                raise
            time.sleep(0.05)

"""Run folders: what a training run is told, what it says, and what it leaves. Files only; no Keras in here.

    runs/<id>/settings.json    title, owner, when it was asked for, and the TrainingConfig; rewritten by renaming only
              events.jsonl     what the job says, a line an event, only ever appended to
              alive            touched every BEAT seconds while somebody waits for, or works on, the run
              stop             there once somebody wants it to stop
              checkpoint.npz   everything that the next epoch starts from
              epochs/003.npz   the weights after epoch 3 (000: before the first)
              live.npz         the weights a moment ago, while it runs
              weights.npz      the weights of the best epoch so far
              predictions.npz  the answers to the test images; model.keras: the network of the best epoch

Events: started, note, download, batch, epoch, and at the end done, stopped or failed. A run that ended can be started
again: what it said about an epoch that was not finished is then passed over.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from cnnviz import data
from cnnviz.nets.layers import Network
from cnnviz.training.config import ConfigError, TrainingConfig, from_mapping

STORIES = 1_000
"""Runs whose events are kept in memory."""
POINTS = 1_000
"""Batch events of a run that are kept at least; of a longer one every second, fourth, ..."""
BEAT, DEAD = 1.0, 10.0
"""Seconds between two signs of life, and without one until a run counts as interrupted."""
ENDINGS = ("done", "stopped", "failed")
MAX_TITLE = 60
"""Characters of a run's name."""
RESERVE = 64 * 1024
"""Bytes that a run keeps back, so that it can still say that the disk is full."""


class RunError(ValueError):
    """A run that is not there or can't be written; the message says so in one sentence."""


def runs_folder() -> Path:
    """Where the runs are: $CNNVIZ_RUNS, else `runs` in the data folder."""
    chosen = os.environ.get("CNNVIZ_RUNS")
    return Path(chosen).expanduser() if chosen else data.data_folder() / "runs"


@dataclass(frozen=True)
class Run:
    """One run's folder and settings.

    Attributes:
        owner: a visitor's token; empty for a run from the command line.
        created: seconds since 1970.
    """

    id: str
    folder: Path
    title: str
    owner: str
    created: float
    config: TrainingConfig

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

    def stop(self) -> None:
        """Ask the job to stop; it keeps the best so far."""
        write(self.folder / "stop", b"")

    def rename(self, title: str) -> Run:
        """Give it another title. Raises RunError: it can't be written."""
        renamed = replace(self, title=title.strip()[:MAX_TITLE] or self.title)
        write(self.folder / "settings.json", renamed.settings())
        return renamed

    def delete(self) -> None:
        """Remove the folder. It is renamed first: nobody finds half of it."""
        gone = self.folder.with_name(f".{self.id}.deleted")
        try:
            self.folder.rename(gone)
        except OSError as error:
            raise RunError(f"The run can't be deleted: {error.strerror}.") from error
        shutil.rmtree(gone, ignore_errors=True)

    def settings(self) -> bytes:
        """What settings.json holds."""
        kept = {"title": self.title, "owner": self.owner, "created": self.created, "config": asdict(self.config)}
        return json.dumps(kept, indent=2).encode()


def create(config: TrainingConfig, title: str = "", owner: str = "") -> Run:
    """Make the folder of a new run; nothing is started.

    Raises:
        ConfigError: settings that can't be trained with. RunError: no folder can be made.
    """
    config.check()
    now = time.time()
    name = f"{datetime.fromtimestamp(now, timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    title = title.strip()[:MAX_TITLE] or f"{config.preset or 'own blocks'} on {data.find(config.dataset).title}"
    run = Run(name, runs_folder() / name, title, owner, now, config)
    try:
        (run.folder / "epochs").mkdir(parents=True)
        beat(run.folder)
        write(run.folder / "settings.json", run.settings())
    except OSError as error:
        raise RunError(f"The run can't be kept in {runs_folder()} ({error.strerror}): make room, or choose another "
                       "folder with CNNVIZ_RUNS.") from error  # fmt: skip
    return run


def find(name: str) -> Run:
    """The run of that id.

    Raises:
        RunError: there is none, or its settings are damaged.
    """
    # The name may come from an address: nothing that could lead out of the folder.
    if not re.fullmatch(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}", name):
        raise RunError("There is no such run.")
    file = runs_folder() / name / "settings.json"
    try:
        return _read(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        raise RunError("There is no such run: it may have been deleted.") from None
    except OSError as error:
        raise RunError(f"The run's settings can't be read: {error.strerror}.") from error


@lru_cache(maxsize=1_000)
def _read(file: Path, _changed: int) -> Run:
    try:
        kept = json.loads(file.read_bytes())
        config = from_mapping(TrainingConfig, kept["config"], "settings")
        config.check()
        return Run(
            file.parent.name, file.parent, str(kept["title"]), str(kept["owner"]), float(kept["created"]), config
        )
    except (ValueError, KeyError, TypeError, ConfigError) as error:
        raise RunError(f"The settings of the run {file.parent.name} are damaged.") from error


def all_runs() -> list[Run]:
    """Every run that can be read, the newest first."""
    found = []
    for folder in sorted(runs_folder().glob("[0-9]*"), reverse=True) if runs_folder().is_dir() else ():
        try:
            found.append(find(folder.name))
        except RunError:
            continue
    return found


def write(file: Path, content: bytes) -> None:
    """Write beside the name, then rename onto it. Raises RunError."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        partial.replace(file)
    except OSError as error:
        partial.unlink(missing_ok=True)
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


def is_alive(folder: Path) -> bool:
    """Whether somebody waits for, or works on, this run."""
    try:
        return abs(time.time() - (folder / "alive").stat().st_mtime) < DEAD
    except OSError:
        return False


class Log:
    """Appends to events.jsonl, and keeps some room for the last words."""

    def __init__(self, folder: Path) -> None:
        self.reserve = folder / ".reserve"
        self.reserve.write_bytes(b"\0" * RESERVE)
        self.file = (folder / "events.jsonl").open("ab", buffering=0)
        if fcntl:
            # Two trainers must not write into one folder; the lock goes with the process.
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if self.file.tell() and (folder / "events.jsonl").read_bytes()[-1:] != b"\n":
            self.file.write(b"\n")  # behind a line that a kill cut short

    def say(self, event: str, **facts: Any) -> dict[str, Any]:
        """Append one event. Raises OSError: no room."""
        said = {"event": event, "time": round(time.time(), 3), **facts}
        line = json.dumps(said, separators=(",", ":")).encode() + b"\n"
        if event in ENDINGS:
            self.reserve.unlink(missing_ok=True)
        self.file.write(line)
        if event not in ("batch", "download"):
            os.fsync(self.file.fileno())
        return said


@dataclass
class Story:
    """What a run has said so far.

    Attributes:
        state: waiting, running, interrupted, done, stopped or failed.
        message: what went wrong, or what the user should know.
        batches: the batch events, without those of epochs that were begun and done again.
        epochs: the epoch events.
        end: the last event, where it is an ending.
        last: the ending before somebody asked it to go on.
        asked_again: whether that somebody still waits.
    """

    state: str
    message: str = ""
    started: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    download: dict[str, Any] = field(default_factory=dict)
    batches: list[dict[str, Any]] = field(default_factory=list)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
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


def story(run: Run) -> Story:
    """Read what a run has said. Raises RunError: it is gone."""
    file = run.folder / "events.jsonl"
    try:
        told = _told(file, file.stat())
    except FileNotFoundError:
        if not run.folder.exists():
            raise RunError("There is no such run: it may have been deleted.") from None
        told = Story("")
    except OSError as error:
        raise RunError(f"The run's events can't be read: {error.strerror}.") from error
    if told.end:
        return replace(told, state=told.end["event"])
    if not is_alive(run.folder):
        message = "Interrupted: nobody works on it any more. Go on from its last finished epoch."
        return replace(told, state="interrupted", message=message)
    return replace(told, state="waiting" if told.asked_again or not told.started else "running")


_stories: dict[Path, tuple[tuple[int, int], Story]] = {}
_reading = threading.Lock()


def _told(file: Path, now: os.stat_result) -> Story:
    """The story in a file: the last one again while the file is as it was."""
    state = now.st_size, now.st_mtime_ns
    with _reading:
        known, told = _stories.get(file, (None, None))
        if known != state:
            told = _parsed(file)
            _stories.pop(file, None)
            _stories[file] = state, told
            if len(_stories) > STORIES:
                del _stories[next(iter(_stories))]
    return told


def _parsed(file: Path) -> Story:
    told = Story("")
    for event in _events(file):
        match event["event"]:
            case "started":
                done = event["from_epoch"]
                told = Story("", started=event, last=told.last,
                             epochs=[epoch for epoch in told.epochs if epoch["epoch"] <= done],
                             batches=[batch for batch in told.batches if batch["epoch"] <= done])  # fmt: skip
            case "note":
                told.notes.append(str(event.get("text", "")))
            case "download":
                told.download = event
            case "batch":
                told.batches.append(event)
                if len(told.batches) >= 2 * POINTS:
                    told.batches = told.batches[::2]
            case "epoch":
                told.epochs.append(event)
            case "waiting":
                told = replace(told, asked_again=True, last=told.last | told.end, end={}, message="")
            case "done" | "stopped" | "failed":
                # Who went on and was stopped before it began keeps the results that there were.
                told.end, told.message = told.last | event, str(event.get("message", ""))
    return told


NUMBERS = {
    "started": ("batches", "batch_size", "epochs", "from_epoch"),
    "download": ("done", "of"),
    "batch": ("epoch", "batch", "loss", "accuracy", "images_per_second"),
    "epoch": ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"),
}
"""What an event has to say of numbers to be believed."""


def _events(file: Path) -> Iterator[dict[str, Any]]:
    """Every whole line; one that a kill cut short is passed over."""
    with file.open("rb") as lines:
        for line in lines:
            try:
                event = json.loads(line)
                numbers = NUMBERS.get(event["event"], ())
                if all(isinstance(event[name], int | float) for name in numbers):
                    yield event
            except (ValueError, KeyError, TypeError, RecursionError):
                continue


def ask_again(run: Run) -> None:
    """Note that the run is waited for once more. Raises RunError: it can't be written."""
    try:
        (run.folder / "stop").unlink(missing_ok=True)
        beat(run.folder)
        Log(run.folder).say("waiting")
    except OSError as error:
        raise RunError(f"The run can't go on: {error.strerror}.") from error

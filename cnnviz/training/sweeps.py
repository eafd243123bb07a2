"""Sweeps: one network trained with many settings, to see which learn best. Files only; no Keras in here.

    runs/sweeps/<id>/settings.json   title, owner, when it was asked for, the base, the axes, and how they are searched
                     alive           touched every BEAT seconds while somebody brings it on
                     stop            there once somebody wants it to stop
                     halved.json     the epochs after which runs were left behind, by id: it is decided once, whatever
                                     becomes of a run

All its runs are made at once, and each carries the sweep's id. Where the sweep is follows from what they have said.

Successive halving: K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016 (arXiv:1502.07943). All runs learn for a few epochs, the better half for twice as many, and
so on, until the best have learned for all. A run goes on from where it stopped, with the schedule of all its epochs:
what is left is the same as if it had never waited.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import lru_cache
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from cnnviz.training import runs
from cnnviz.training.config import (
    AUGMENTATIONS,
    INITIALIZERS,
    LIMITS,
    MAX_SETTINGS,
    OPTIMIZERS,
    SCHEDULES,
    ConfigError,
    TrainingConfig,
    check_number,
    from_values,
    parsed,
)
from cnnviz.training.runs import Run, RunError, Story

METHODS = {"random": "random", "grid": "grid"}
POWERS = tuple(2**power for power in range(13))


@dataclass(frozen=True)
class Hyperparameter:
    """What an axis may be.

    Attributes:
        limit: its name in LIMITS; empty for one of words.
        scale: how a range is divided: "log", "linear", "whole" (linear) or "power" (of two).
        words: what there is to choose from, where it is no number.
    """

    title: str
    limit: str = ""
    scale: str = ""
    words: tuple[str, ...] = ()


HYPERPARAMETERS = {
    "learning_rate": Hyperparameter("learning rate", "learning_rate", "log"),
    "batch_size": Hyperparameter("batch size", "batch_size", "power"),
    "optimizer": Hyperparameter("optimizer", words=tuple(OPTIMIZERS)),
    "schedule": Hyperparameter("schedule", words=tuple(SCHEDULES)),
    "weight_decay": Hyperparameter("weight decay", "weight_decay", "log"),
    "augmentation": Hyperparameter("augmentation", words=tuple(AUGMENTATIONS)),
    "initializer": Hyperparameter("first weights", words=tuple(INITIALIZERS)),
    "seed": Hyperparameter("seed", "seed", "whole"),
    "filters": Hyperparameter("filters of block 1", "filters", "power"),
    "units": Hyperparameter("units of dense layer 1", "units", "power"),
    "dropout": Hyperparameter("dropout", "dropout", "linear"),
}
"""What can be searched. Filters and units: the other blocks and layers keep their proportion to the first. Dropout: the
same everywhere."""
OF_BLOCKS = ("filters", "units", "dropout")
"""Those of a network of one's own blocks."""


@dataclass(frozen=True)
class Axis:
    """A hyperparameter and what it may be: (lowest, highest), or the words to choose from."""

    name: str
    values: tuple[Any, ...]

    def check(self, base: TrainingConfig) -> None:
        """Raises ConfigError: nothing to search."""
        about = HYPERPARAMETERS.get(self.name)
        if not about:
            raise ConfigError(f"There is no hyperparameter {self.name!r}: choose of {', '.join(HYPERPARAMETERS)}.")
        if self.name in OF_BLOCKS and base.preset:
            raise ConfigError(f"The {about.title} can be searched in a network of your own blocks, not in a preset.")
        if self.name == "units" and not base.hidden:
            raise ConfigError("The network has no dense layer whose units could be searched.")
        if about.words:
            if len(self.values) < 2 or len(set(self.values)) < len(self.values) or {*self.values} - {*about.words}:
                raise ConfigError(f"Choose two or more of the {about.title}: {', '.join(about.words)}.")
            return
        kinds = (float, int) if about.scale in ("log", "linear") else (int,)
        if len(self.values) != 2 or any(type(value) not in kinds for value in self.values):
            raise ConfigError(f"The {about.title} has a lowest and a highest value.")
        low, high = self.values
        for value in self.values:
            check_number(about.limit, value, about.title)
        if not low < high or (about.scale == "log" and low <= 0):
            raise ConfigError(f"The {about.title} goes from a lower value to a higher one, above 0.")

    def grid(self, points: int) -> list[Any]:
        """So many values from the lowest to the highest, evenly spaced on the axis's scale; or all words."""
        if HYPERPARAMETERS[self.name].words:
            return list(self.values)
        return sorted({self._at(number / (points - 1)) for number in range(points)})

    def draw(self, random: Random) -> Any:
        """One value by chance, evenly over the axis's scale."""
        return random.choice(self.values) if HYPERPARAMETERS[self.name].words else self._at(random.random())

    def _at(self, share: float) -> Any:
        low, high = self.values
        match HYPERPARAMETERS[self.name].scale:
            case "log":
                return float(f"{low * (high / low) ** share:.3g}")
            case "linear":
                return float(f"{low + (high - low) * share:.3g}")
            case "whole":
                return round(low + (high - low) * share)
        between = [power for power in POWERS if low <= power <= high] or [low]
        return between[min(int(share * len(between)), len(between) - 1)]


def with_value(config: TrainingConfig, name: str, value: Any) -> TrainingConfig:
    """The settings with one hyperparameter set."""
    match name:
        case "filters":
            first = config.blocks[0].filters
            blocks = (replace(block, filters=max(1, round(block.filters * value / first))) for block in config.blocks)
            return replace(config, blocks=tuple(blocks))
        case "units":
            first = config.hidden[0].units
            hidden = (replace(one, units=max(1, round(one.units * value / first))) for one in config.hidden)
            return replace(config, hidden=tuple(hidden))
        case "dropout":
            return replace(config, blocks=tuple(replace(block, dropout=value) for block in config.blocks),
                           hidden=tuple(replace(one, dropout=value) for one in config.hidden))  # fmt: skip
    return replace(config, **{name: value})


def value_of(config: TrainingConfig, name: str) -> Any:
    """What a hyperparameter is in some settings."""
    match name:
        case "filters" | "dropout":
            return getattr(config.blocks[0], name)
        case "units":
            return config.hidden[0].units
    return getattr(config, name)


def check(base: TrainingConfig, axes: Sequence[Axis], method: str) -> None:
    """Raises ConfigError: an axis that can't be searched, too many of them or too few, or an unknown method."""
    check_number("sweep_axes", len(axes), "the number of hyperparameters of a sweep")
    if len({axis.name for axis in axes}) < len(axes):
        raise ConfigError("Each hyperparameter can be searched once.")
    for axis in axes:
        axis.check(base)
    if method not in METHODS:
        raise ConfigError(f"There is no method {method!r}: choose grid or random.")


def planned(
    base: TrainingConfig, axes: Sequence[Axis], method: str, count: int, points: int, seed: int
) -> list[TrainingConfig]:
    """The settings of every run.

    Args:
        count: runs, where they are drawn by chance; fewer, if there are not so many different ones.
        points: values of each range, where they lie on a grid.

    Raises:
        ConfigError: an axis can't be searched, too many or too few runs, or settings that can't be trained with.
    """
    check(base, axes, method)
    if method == "grid":
        check_number("sweep_points", points, "the number of values of each range")
        choices = list(product(*(axis.grid(points) for axis in axes)))
        if len(choices) > LIMITS["sweep_runs"][1]:
            raise ConfigError(f"This grid has {len(choices):,} runs, and {LIMITS['sweep_runs'][1]} are the most: take "
                              "fewer values, or draw them by chance.")  # fmt: skip
    else:
        check_number("sweep_runs", count, "the number of runs")
        random, drawn = Random(seed), {}
        for _ in range(100 * count):
            drawn.setdefault(tuple(axis.draw(random) for axis in axes))
            if len(drawn) == count:
                break
        choices = list(drawn)
    check_number("sweep_runs", len(choices), "the number of different runs")
    found = []
    for values in choices:
        config = base
        for axis, value in zip(axes, values, strict=True):
            config = with_value(config, axis.name, value)
        config.check()
        found.append(config)
    return found


def rungs(count: int, epochs: int, halving: bool) -> list[int]:
    """The epochs after which runs are compared; the last are all. 8 runs of 10 epochs: 1, 2, 5, 10."""
    times = int(math.log2(min(count, epochs))) if halving and count else 0
    return [epochs // 2**number for number in range(times, -1, -1)]


def epochs_in_all(count: int, epochs: int, halving: bool) -> int:
    """What all runs learn together."""
    total = before = 0
    for rung in rungs(count, epochs, halving):
        total += count * (rung - before)
        count, before = max(1, count // 2), rung
    return total


@dataclass(frozen=True)
class Sweep:
    """One sweep's folder and settings; `owner` and `created` as a run's, `count` is how many runs were made."""

    id: str
    folder: Path
    title: str
    owner: str
    created: float
    base: TrainingConfig
    axes: tuple[Axis, ...]
    method: str
    halving: bool
    count: int

    def runs(self) -> list[Run]:
        """Its runs, in the order in which they were made, without those that were deleted."""
        return sorted((run for run in runs.all_runs() if run.sweep == self.id), key=lambda run: run.created)

    def stop(self) -> None:
        """Have it stop, now. Raises RunError: it can't be written."""
        runs.write(self.folder / "stop", b"")

    @property
    def stopping(self) -> bool:
        """Whether somebody wants it to stop, or wanted."""
        return (self.folder / "stop").exists()

    def left_behind(self) -> dict[str, int]:
        """The epochs after which runs were left behind, by id, as far as it is decided."""
        try:
            with (self.folder / "halved.json").open("rb") as file:
                return dict(parsed(file.read(MAX_SETTINGS + 1)))
        except (OSError, ValueError, TypeError):  # nobody was yet, or it is damaged
            return {}

    def leave_behind(self, halved: Mapping[str, int]) -> None:
        """Keep what is decided. Raises RunError: it can't be written."""
        runs.write(self.folder / "halved.json", json.dumps(halved).encode())

    def ask_again(self) -> None:
        """Note that it is to go on. Raises RunError: it can't be written."""
        try:
            (self.folder / "stop").unlink(missing_ok=True)
            runs.beat(self.folder)
        except OSError as error:
            raise RunError(f"The sweep can't go on: {error.strerror}.") from error

    def delete(self) -> None:
        """Remove the folder; its runs become runs like others. Raises RunError."""
        gone = self.folder.with_name(f".{self.id}.deleted")
        try:
            self.folder.rename(gone)
        except OSError as error:
            raise RunError(f"The sweep can't be deleted: {error.strerror}.") from error
        shutil.rmtree(gone, ignore_errors=True)

    def settings(self) -> bytes:
        """What settings.json holds."""
        kept = asdict(self)
        return json.dumps({name: kept[name] for name in kept if name not in ("id", "folder")}, indent=2).encode()


def sweeps_folder() -> Path:
    """Where the sweeps are, beside the runs."""
    return runs.runs_folder() / "sweeps"


def create(
    base: TrainingConfig, axes: Sequence[Axis], method: str, count: int, points: int, seed: int, halving: bool,
    title: str = "", owner: str = "",
) -> Sweep:  # fmt: skip
    """Make a sweep and all its runs; nothing is started. Arguments as of `planned`.

    Raises:
        ConfigError: as `planned`. RunError: no folder can be made.
    """
    configs = planned(base, axes, method, count, points, seed)
    now = time.time()
    name = f"{datetime.fromtimestamp(now, timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    said = " and ".join(HYPERPARAMETERS[axis.name].title for axis in axes)
    title = runs.tidy(title) or runs.tidy(f"{said[:1].upper()}{said[1:]}")
    sweep = Sweep(name, sweeps_folder() / name, title, owner, now, base, tuple(axes), method, halving, len(configs))
    try:
        sweep.folder.mkdir(parents=True)
        runs.beat(sweep.folder)
        for config in configs:
            runs.create(config, ", ".join(said_value(config, axis.name) for axis in axes), owner, sweep.id)
        runs.write(sweep.folder / "settings.json", sweep.settings())
    except (OSError, RunError) as error:
        for run in sweep.runs():
            run.delete()
        shutil.rmtree(sweep.folder, ignore_errors=True)
        if isinstance(error, RunError):
            raise
        raise RunError(f"The sweep can't be kept in {sweeps_folder()} ({error.strerror}): make room.") from error
    return sweep


def said_value(config: TrainingConfig, name: str) -> str:
    """A hyperparameter's value in a few words, for a run's title."""
    value = value_of(config, name)
    return f"{HYPERPARAMETERS[name].title} {value:g}" if isinstance(value, int | float) else value


def find(name: str) -> Sweep:
    """The sweep of that id. Raises RunError: there is none, or its settings are damaged."""
    if not re.fullmatch(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}", name):
        raise RunError("There is no such sweep.")
    file = sweeps_folder() / name / "settings.json"
    try:
        return _read(file, file.stat().st_mtime_ns)
    except OSError:
        raise RunError("There is no such sweep: it may have been deleted.") from None


@lru_cache(maxsize=1_000)
def _read(file: Path, _changed: int) -> Sweep:
    try:
        with file.open("rb") as opened:
            kept = parsed(opened.read(MAX_SETTINGS + 1))
        base, method, count = from_values(kept["base"]), str(kept["method"]), int(kept["count"])
        axes = tuple(Axis(str(axis["name"]), tuple(axis["values"])) for axis in kept["axes"])
        check(base, axes, method)
        check_number("sweep_runs", count, "the number of runs")
        title, owner, created = runs.tidy(str(kept["title"])), str(kept["owner"]), float(kept["created"])
        return Sweep(file.parent.name, file.parent, title, owner, created, base, axes, method, bool(kept["halving"]),
                     count)  # fmt: skip
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):  # ConfigError is a ValueError
        raise RunError(f"The settings of the sweep {file.parent.name} are damaged.") from None


def all_sweeps(owner: str) -> list[Sweep]:
    """A visitor's sweeps that can be read, the newest first."""
    found = []
    with contextlib.suppress(OSError):  # there is none, or the folder can't be read
        for name in sorted(os.listdir(sweeps_folder()), reverse=True):
            with contextlib.suppress(RunError):
                found.append(find(name))
    return [sweep for sweep in found if sweep.owner == owner]


@dataclass(frozen=True)
class Standing:
    """Where a sweep is.

    Attributes:
        rungs: the epochs after which runs are compared.
        rung: which of them the runs that are left learn for.
        stories: every run with what it has said, by id.
        contenders: the runs that are left, in order.
        needed: those of them that have not come to the rung yet.
        halved: the epochs after which a run was left behind, by id.
        state: running, stopped, interrupted or done.
        message: what keeps it from going on, in a sentence; or empty.
    """

    rungs: list[int]
    rung: int
    stories: Mapping[str, tuple[Run, Story]]
    contenders: list[Run]
    needed: list[Run]
    halved: Mapping[str, int]
    state: str
    message: str

    @property
    def best(self) -> tuple[Run, Story] | None:
        """The run of the highest validation accuracy; of those left, as long as any of them has learned."""
        told = [self.stories[run.id] for run in self.contenders]
        learned = [one for one in told if one[1].epochs] or [one for one in self.stories.values() if one[1].epochs]
        return max(learned, key=lambda one: value(one[1], max(self.rungs)), default=None)

    @property
    def epochs_done(self) -> float:
        """What all runs have learned together."""
        return sum(max(told.done * run.config.epochs, len(told.epochs)) for run, told in self.stories.values())

    @property
    def epochs_left(self) -> float:
        """What the runs will yet learn together."""
        rung = self.rungs[self.rung]
        left = sum(max(0.0, rung - self.stories[run.id][1].done * run.config.epochs) for run in self.needed)
        count, before = len(self.contenders), rung
        for rung in self.rungs[self.rung + 1 :]:
            count = max(1, count // 2)
            left += count * (rung - before)
            before = rung
        return left

    @property
    def done(self) -> float:
        """The share of all epochs that are done, 0 to 1."""
        return 1.0 if self.state == "done" else min(self.epochs_done / max(self.epochs_done + self.epochs_left, 1), 1.0)

    def seconds_left(self, at_once: int) -> float | None:
        """By the mean of all epochs so far, with so many runs at once; None while there is none."""
        seconds = [epoch["seconds"] for _, told in self.stories.values() for epoch in told.epochs]
        return self.epochs_left * sum(seconds) / len(seconds) / at_once if seconds else None


def value(told: Story, epochs: int) -> tuple[float, float]:
    """What a run is worth after so many epochs: its best validation accuracy, and at the same one its loss."""
    seen = [(one["val_accuracy"], -one["val_loss"]) for one in told.epochs if one["epoch"] <= epochs]
    return max(seen, default=(-1.0, 0.0))


def reached(run: Run, told: Story, epochs: int) -> bool:
    """Whether a run has learned for so many epochs. A first epoch that was cut short leaves no checkpoint."""
    return any(one["epoch"] >= epochs for one in told.epochs) and (run.folder / "checkpoint.npz").exists()


def out(run: Run, told: Story) -> bool:
    """Whether a run will not learn any more: its own settings made it fail, or somebody stopped just this one, or had
    it tested as it was."""
    failed = told.state == "failed" and bool(told.started) and not told.asked_again
    finished = run.finishing or (told.state == "done" and not reached(run, told, run.config.epochs))
    return failed or finished or (told.state != "running" and run.stopped_by_hand)


def standing(sweep: Sweep) -> Standing:
    """Where a sweep is, from what its runs have said."""
    stories = {}
    for run in sweep.runs():
        try:
            stories[run.id] = run, runs.story(run)
        except RunError:  # deleted this moment
            continue
    contenders = [run for run, _ in stories.values()]
    marks = rungs(sweep.count, sweep.base.epochs, sweep.halving)
    halved = sweep.left_behind()
    needed: list[Run] = []
    for rung, epochs in enumerate(marks):  # noqa: B007
        if epochs in halved.values():
            contenders = [run for run in contenders if halved.get(run.id) != epochs]
            continue
        needed = [run for run in contenders if not (reached(*stories[run.id], epochs) or out(*stories[run.id]))]
        if epochs == marks[-1]:  # the last ones are tested too
            needed = [run for run in contenders if stories[run.id][1].state != "done" and not out(*stories[run.id])]
        if needed or epochs == marks[-1]:
            break

        def worth(run: Run, epochs: int = epochs) -> tuple[bool, float, float]:
            told = stories[run.id][1]
            return reached(run, told, epochs), *value(told, epochs)

        kept = sorted(contenders, key=worth, reverse=True)[: max(1, len(contenders) // 2)]
        halved |= {run.id: epochs for run in contenders if run not in kept}
        contenders = [run for run in contenders if run in kept]
    unreadable = runs.unreadable()
    if not needed and not unreadable:
        state = "done"
    elif runs.is_alive(sweep.folder):
        state = "running"
    else:
        state = "stopped" if sweep.stopping else "interrupted"
    told = [stories[run.id][1] for run in needed]
    trouble = [one.message for one in told if one.state == "failed" or one.message == runs.CLEARED]
    message = unreadable or (trouble[0] if trouble and state == "interrupted" else "")
    return Standing(marks, rung, stories, contenders, needed, halved, state, message)

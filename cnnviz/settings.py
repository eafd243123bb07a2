"""What this server allows. Each bound has one number, one environment variable that changes it, and one sentence for
who meets it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Bound:
    """A number that whoever runs the server may change.

    Attributes:
        variable: the environment variable that changes it.
        most: the largest number that the variable may hold; the least is 1.
        said: the sentence for who meets the bound, with the number as `{value}`.
    """

    variable: str
    default: int
    most: int
    said: str

    @property
    def value(self) -> int:
        """The number in force. Raises ValueError: the variable holds none, or one that is out of bounds."""
        text = os.environ.get(self.variable, "")
        value = int(text) if text else self.default
        if not 1 <= value <= self.most:
            raise ValueError
        return value

    @property
    def sentence(self) -> str:
        """What is said to who meets it."""
        return self.said.format(value=self.value)


STROKES = Bound("CNNVIZ_MAX_STROKES", 10, 1_000,
                "At most {value} strokes a second are answered: this one is, in a moment.")  # fmt: skip
RUNS = Bound("CNNVIZ_MAX_RUNS_A_DAY", 50, 10_000,
             "{value} runs a day is what one visitor may start here, and this would be more: go on tomorrow, or "
             "delete some that you do not need.")  # fmt: skip
QUEUE = Bound("CNNVIZ_MAX_QUEUE", 30, 10_000,
              "The queue is full: it holds {value} at most. Start yours when one of them has begun.")  # fmt: skip
DISK = Bound("CNNVIZ_MAX_RUNS_GB", 20, 100_000,
             "The runs fill the {value} GB that they have on this server: delete some on the Runs page "
             "first.")  # fmt: skip
NICE = Bound("CNNVIZ_NICE", 10, 19, "Trainers let other processes go first, by {value} of 19.")
BOUNDS = STROKES, RUNS, QUEUE, DISK, NICE
"""Strokes a second of one session; runs of one visitor in 24 hours; runs in the queue; gigabytes of all runs; how
much trainers let other processes go first, which nobody meets."""


def teachers() -> frozenset[str]:
    """Who in $CNNVIZ_TEACHERS, separated by commas, is a teacher: e-mail addresses, and `sub:` with the subject of an
    account, as the provider of the sign-in names it.
    """
    listed = (one.strip() for one in os.environ.get("CNNVIZ_TEACHERS", "").split(","))
    return frozenset(one if one.startswith("sub:") else one.lower() for one in listed if one)


def wrong() -> str:
    """What is wrong with the variables, in a sentence; empty if nothing is."""
    for bound in BOUNDS:
        try:
            _ = bound.value
        except ValueError:
            return (f"{bound.variable} is {os.environ[bound.variable]!r}: it takes a whole number from 1 to "
                    f"{bound.most:,}.")  # fmt: skip
    return ""

"""What a finished run's answers to the test images say. NumPy only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cnnviz.data import find
from cnnviz.data.arrays import read_arrays
from cnnviz.training.runs import Run, RunError, Story

LEARNS = 0.005
"""From this rise of the validation accuracy in the last epoch on, a run is said to be still learning."""
OVERFIT = 0.02
"""From this difference of accuracies on, training against validation, a run is said to overfit."""
GUESSING = math.log(10)
"""The loss of guessing among ten classes."""
GUESSES = 0.98
"""From this share of it on, a run is said to guess."""
CLIMBS = 1.25
"""From so many times its lowest validation loss on, a run whose training loss fell meanwhile is said to overfit."""


@dataclass(frozen=True)
class Results:
    """Answers to the test images.

    Attributes:
        probabilities: float32 (n, classes).
        labels: uint8 (n,), what the images show.
        answers: (n,), the most probable class.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    answers: np.ndarray

    def confusion(self) -> np.ndarray:
        """int (classes, classes): how many images of each class (row) were taken for each (column)."""
        classes = self.probabilities.shape[1]
        return np.bincount(self.labels.astype(int) * classes + self.answers, minlength=classes**2).reshape(
            classes, classes
        )

    def per_class(self) -> list[tuple[int, float, float, float]]:
        """For each class: images, precision, recall, and F1, their harmonic mean (0 where there is none)."""
        counts = self.confusion()
        right, shown, said = np.diag(counts), counts.sum(1), counts.sum(0)
        precision, recall = right / np.maximum(said, 1), right / np.maximum(shown, 1)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        return [*zip(shown.tolist(), precision.tolist(), recall.tolist(), f1.tolist(), strict=True)]

    def worst(self, count: int) -> np.ndarray:
        """The numbers of the images that were taken for something else with the most certainty, the worst first."""
        wrong = np.flatnonzero(self.answers != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong, self.answers[wrong]], kind="stable")][:count]

    def cell(self, shown: int, taken: int, count: int) -> np.ndarray:
        """The numbers of the images of one class that were taken for another, the most certain first."""
        found = np.flatnonzero((self.labels == shown) & (self.answers == taken))
        return found[np.argsort(-self.probabilities[found, taken], kind="stable")][:count]


def results(run: Run) -> Results:
    """Read them. Raises RunError: they are not there, or damaged."""
    count, classes = find(run.config.dataset).test, len(run.network.classes)
    try:
        kept = read_arrays(run.folder / "predictions.npz",
                           {"probabilities": ((count, classes), "f"), "labels": ((count,), "u")})  # fmt: skip
    except FileNotFoundError:
        raise RunError("The answers to the test images are not there.") from None
    except Exception as error:  # a damaged zip or array raises almost anything
        raise RunError("The answers to the test images are damaged.") from error
    chances, labels = kept["probabilities"], kept["labels"]
    if not np.isfinite(chances).all() or labels.max() >= classes:
        raise RunError("The answers to the test images are damaged.")
    return Results(chances, labels, chances.argmax(1))


def verdict(told: Story) -> str:
    """Training against validation in plain words; empty while no epoch is finished."""
    if not told.epochs:
        return ""
    last, best = told.epochs[-1], told.best
    gap = last["accuracy"] - last["val_accuracy"]
    lowest = min(told.epochs, key=lambda epoch: epoch["val_loss"])
    climbs = last["val_loss"] > CLIMBS * lowest["val_loss"] and last["loss"] < lowest["loss"]
    if last["loss"] > GUESSES * GUESSING:
        slow = last["loss"] <= min(epoch["loss"] for epoch in told.epochs) and last["loss"] * GUESSES < GUESSING
        return (f"It only guesses: its loss is {last['loss']:.3g}, and guessing has {GUESSING:.3g}. Choose "
                f"{'a larger learning rate, or more epochs' if slow else 'a smaller learning rate'}.")  # fmt: skip
    seen, new = f"{last['accuracy']:.1%}", f"{last['val_accuracy']:.1%}"
    harder = ""
    if best["val_accuracy"] - (test := told.end.get("test_accuracy", 1.0)) > OVERFIT:
        harder = (f" The test images are harder for it than those: {test:.1%}. They differ more from what it learned "
                  "from.")  # fmt: skip
    if gap > OVERFIT or climbs:
        since = f" Since epoch {best['epoch']} validation has not become better." if best is not last else ""
        if climbs:
            since += (f" Its validation loss was {lowest['val_loss']:.3f} after epoch {lowest['epoch']}, and is "
                      f"{last['val_loss']:.3f} now: it errs with ever more certainty.")  # fmt: skip
        return (f"It overfits: {seen} of the images it learned from, {new} of the validation images.{since} More data, "
                f"augmentation, dropout or weight decay help, and so do fewer epochs.{harder}")  # fmt: skip
    if best is last and len(told.epochs) < told.started.get("epochs", 0) or (len(told.epochs) > 1 and best is last
            and last["val_accuracy"] > told.epochs[-2]["val_accuracy"] + LEARNS):  # fmt: skip
        return (f"It still learns: {seen} in training, {new} in validation, the best so far. More epochs may "
                f"help.{harder}")  # fmt: skip
    return f"It does not overfit: {seen} of the images it learned from, {new} of the validation images.{harder}"

"""How each network of the zoo is trained, what its recipe's authors published, and doing all of it again.

`reproduce` needs Keras; the tables do not, and the web process reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import read_weights, save_weights, shortened
from cnnviz.training import runs
from cnnviz.training.augment import Labelled
from cnnviz.training.config import TrainingConfig

_BOOK = {"batch_size": 100, "epochs": 10}
_FASHION = {"batch_size": 32, "epochs": 5, "seed": 2}
_DRAWN = {"augmentation": "sketches", "optimizer": "adamw", "weight_decay": 1e-3, "schedule": "one-cycle",
          "learning_rate": 2e-3, "batch_size": 256}  # fmt: skip
_QUICK = {"schedule": "one-cycle", "batch_size": 128}

RECIPES: dict[str, TrainingConfig] = {
    name: TrainingConfig(dataset=PRESETS[name].dataset, preset=name, **settings)
    for name, settings in {
        "lenet5": {**_DRAWN, "epochs": 80},
        "lenet5-1998": {**_DRAWN, "epochs": 30},
        "quick-mnist": {**_QUICK, "batch_size": 96, "learning_rate": 6e-3, "epochs": 4},
        "tf-tutorial": {"batch_size": 32, "epochs": 5},
        "low-level": {"batch_size": 128, "epochs": 4, "steps": 50, "initializer": "random_normal", "seed": 2},
        "book-mnist-adam": _BOOK,
        "book-mnist-sgd": {**_BOOK, "optimizer": "sgd", "learning_rate": 0.01},
        "fashion": {**_FASHION, "schedule": "cosine"},
        "fashion-20": {**_FASHION, "epochs": 20},
        "small-fashion": {**_QUICK, "learning_rate": 6e-3, "epochs": 8},
        "book-cifar": {**_BOOK, "schedule": "cosine"},
        "book-cifar-20": {**_BOOK, "epochs": 20},
        "small-cifar": {**_QUICK, "learning_rate": 3e-3, "epochs": 8, "augmentation": "flip"},
        "small-digits": {**_QUICK, "batch_size": 32, "learning_rate": 4e-3, "epochs": 20},
    }.items()
}
"""By preset. All keep one training image in twelve aside to validate on, which the published ones did not. Where those
state no learning rate and reach theirs with that twelfth, `fashion` and `book-cifar`, ours falls along a cosine."""

PUBLISHED = {
    "tf-tutorial": 0.99,
    "low-level": 0.980,
    "fashion": 0.9128,
    "book-mnist-adam": 0.9884,
    "book-mnist-sgd": 0.9785,
    "book-cifar": 0.7414,
    "book-cifar-20": 0.6361,
}
"""Test accuracies that the recipes' authors state."""

SLOW = ("lenet5", "lenet5-1998", "fashion-20", "book-cifar", "book-cifar-20")
"""Left out unless they are asked for: together they take more than an hour on two cores."""

FRESH = 5_000, 1_000_000
"""How many generated sketches a network for digits is measured on, and their seed, which nothing is trained with."""

EPOCH = "epoch", "loss", "accuracy", "val_loss", "val_accuracy"
"""What a card says of each epoch."""


@dataclass(frozen=True)
class Reproduced:
    """One line of the table: test accuracies as published, of the epoch that validates best, and of the last one."""

    name: str
    published: float | None
    accuracy: float
    last: float
    epochs: int
    seconds: float


def reproduce(name: str, ship: bool, heard: Callable[[dict[str, Any]], None]) -> Reproduced:
    """Train a preset as its recipe says, as a run that the app shows too.

    Args:
        ship: put what comes out into assets/weights, with a card.
        heard: called with every event.

    Raises:
        RunError: the run failed.
    """
    from cnnviz.training.job import measured, split, train

    config = RECIPES[name]
    run = runs.create(config, f"recipe of {name}")
    if train(config, run, heard) != "done":
        raise runs.RunError(f"{name}: {runs.story(run).message}")
    told = runs.story(run)
    seconds = sum(epoch["seconds"] for epoch in told.epochs)
    _, _, test = split(config.dataset, 1.0)
    last = measured(run.network, read_weights(run.network, run.weights(config.epochs)), test)
    if ship:
        ship_run(name, run, told, test, last)
    return Reproduced(name, PUBLISHED.get(name), told.end["test_accuracy"], last, config.epochs, seconds)


def ship_run(name: str, run: runs.Run, told: runs.Story, test: Labelled, last: float) -> None:
    """Put a run's weights into assets/weights, measured as they are there. last: what the last epoch's read."""
    from cnnviz.training import sketches
    from cnnviz.training.job import measured

    network = PRESETS[name]
    weights = shortened(read_weights(run.network, run.weights()))
    rounded = {layer: tuple(part.astype(np.float32) for part in pair) for layer, pair in weights.items()}
    accuracy = {f"{len(test[0]):,} test images": measured(network, rounded, test)}
    if told.end["epoch"] != run.config.epochs:
        accuracy["the same after the last epoch"] = last
    if network.dataset == "mnist":
        images, labels = sketches.draw(*FRESH)
        accuracy[f"{FRESH[0]:,} fresh generated sketches"] = measured(network, rounded, (images[..., None], labels))
    card = {
        "network": name,
        "data": f"{told.started['images']:,} training images of {network.dataset}"
        + (", and sketches of cnnviz/data/generator.py" if run.config.augmentation == "sketches" else ""),
        "parameters": told.started["parameters"],
        "accuracy": accuracy,
        "recipe": run.config.as_json(),
        "epoch": told.end["epoch"],
        "epochs": [{name: round(epoch[name], 5) for name in EPOCH} for epoch in told.epochs],
        "minutes": round(sum(epoch["seconds"] for epoch in told.epochs) / 60, 1),
        "versions": told.started["versions"],
    }
    save_weights(network, weights, json.loads(json.dumps(card)))

"""How fast networks are trained: `make bench`, or `python benchmarks/training.py [NAME...]`. Prints JSON lines.

Both sides of a ratio are measured in this one process, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cnnviz.devices import training_settings
from cnnviz.nets.quiet import import_keras

os.environ.update(training_settings())  # as the app trains
keras = import_keras()

from cnnviz import data  # noqa: E402
from cnnviz.nets.build import build  # noqa: E402
from cnnviz.training import job, runs  # noqa: E402
from cnnviz.training.config import PRECISIONS, TrainingConfig  # noqa: E402
from cnnviz.training.recipes import RECIPES  # noqa: E402

ENOUGH = 0.99
FASTEST, TUTORIAL = "quick-mnist", "tf-tutorial"
OURS = {"small-fashion": "fashion", "small-cifar": "book-cifar"}
PART = 0.5
"""The share of the images that an epoch of a whole recipe is measured on. With fewer, what an epoch costs beside its
images would count for too much."""
TURNS = 3
BATCHES = 32, 128, 512, 2048


def line(name: str, unit: str, values: list[float], **more) -> dict:
    """What is printed of some measurements of one thing."""
    return {"name": name, "unit": unit, "median": round(float(np.median(values)), 2), "runs": len(values), **more}


class Quiet(keras.callbacks.Callback):
    """Says nothing: what stands in for the app's reporter where only the learning is measured."""


def seconds_to_99(name: str) -> tuple[float, float, int]:
    """Train as the recipe says until 99 % of the test images are read right, which is looked at after each epoch and
    not timed. Compiling is. Returns seconds, the accuracy that was reached, and epochs.
    """
    config = RECIPES[name]
    train, validation, test = job.split(config.dataset, 1.0)
    began = time.perf_counter()
    trainer = job.Trainer(config, config.network(), train, validation, None)
    spent = time.perf_counter() - began
    for epoch in range(1, config.epochs + 1):
        began = time.perf_counter()
        trainer.epoch(epoch, Quiet())
        spent += time.perf_counter() - began
        chances = trainer.model.predict(test[0] / np.float32(255), batch_size=1000, verbose=0)
        accuracy = float((chances.argmax(1) == test[1]).mean())
        if accuracy >= ENOUGH:
            break
    return spent, accuracy, epoch


def to_99() -> Iterator[dict]:
    """Seconds to 99 % on MNIST's test images: our fastest recipe, and the one of TensorFlow's tutorial."""
    turns = [{name: seconds_to_99(name) for name in (FASTEST, TUTORIAL)} for _ in range(TURNS)]
    found = {name: [turn[name] for turn in turns] for name in (FASTEST, TUTORIAL)}
    for name, each in found.items():
        if min(accuracy for _, accuracy, _ in each) < ENOUGH:
            sys.exit(f"{name} did not reach {ENOUGH:.0%} in {RECIPES[name].epochs} epochs.")
    lines = {
        name: line(f"to_99_{name}", "s", [one[0] for one in each], accuracy=each[0][1], epochs=each[0][2])
        for name, each in found.items()
    }
    yield from lines.values()
    yield line("to_99_speedup", "x", [lines[TUTORIAL]["median"] / lines[FASTEST]["median"]])


def overhead() -> Iterator[dict]:
    """The app's whole job (events, checkpoints, weights of every epoch, test) against a bare model.fit of the same
    settings with validation and a test at its end."""
    config = TrainingConfig(preset="tf-tutorial", epochs=3, batch_size=128, share=0.5)
    train, validation, test = job.split(config.dataset, config.share)

    def bare() -> None:
        keras.utils.set_random_seed(config.seed)
        model = build(config.network())
        model.compile(keras.optimizers.Adam(config.learning_rate), "sparse_categorical_crossentropy",
                      metrics=["accuracy"])  # fmt: skip
        images, checks, tests = (part[0] / np.float32(255) for part in (train, validation, test))
        model.fit(images, train[1], batch_size=config.batch_size, epochs=config.epochs, verbose=0,
                  validation_data=(checks, validation[1]), validation_batch_size=job.AT_ONCE)  # fmt: skip
        model.evaluate(tests, test[1], batch_size=job.AT_ONCE, verbose=0)

    def ours() -> None:
        run = runs.create(config)
        assert job.train(config, run) == "done"

    times: dict[Callable, list[float]] = {bare: [], ours: []}
    for _ in range(TURNS):
        for one, spent in times.items():
            began = time.perf_counter()
            one()
            spent.append(time.perf_counter() - began)
    yield line("bare_fit", "s", times[bare])
    yield line("our_job", "s", times[ours])
    yield line("our_job_by_bare_fit", "x", [np.median(times[ours]) / np.median(times[bare])])


def learner(config: TrainingConfig) -> tuple[job.Trainer, int]:
    """A trainer that has learned for one epoch, which compiles it, and hardly validates; and how many images it has."""
    train, validation, _ = job.split(config.dataset, config.share)
    few = validation[0][:1], validation[1][:1]  # only the learning is of interest
    trainer = job.Trainer(config, config.network(), train, few, None)
    trainer.epoch(1, Quiet())
    return trainer, len(train[0])


def seconds_of(trainer: job.Trainer, epoch: int) -> float:
    """How long an epoch takes."""
    began = time.perf_counter()
    trainer.epoch(epoch, Quiet())
    return time.perf_counter() - began


def images_a_second() -> Iterator[dict]:
    """Images a second by batch size, lenet5, the second epoch; and how many times those of the smallest batch."""
    config = TrainingConfig(preset="lenet5", epochs=1 + TURNS, share=0.5)
    made = {size: learner(replace(config, batch_size=size)) for size in BATCHES}
    turns = [{size: images / seconds_of(trainer, 2 + turn) for size, (trainer, images) in made.items()}
             for turn in range(TURNS)]  # fmt: skip
    for size in BATCHES:
        yield line(f"images_a_second_batch_{size}", "images/s", [turn[size] for turn in turns])
    for size in BATCHES[1:]:
        yield line(f"batch_{size}_by_{BATCHES[0]}", "x", [turn[size] / turn[BATCHES[0]] for turn in turns])


def calls() -> Iterator[dict]:
    """What it gains to take several batches in one call into the backend: lenet5, batches of 32."""
    config = TrainingConfig(preset="lenet5", epochs=1 + TURNS, batch_size=32)
    many = learner(config)[0]
    if many.at_once == 1:
        return
    with patch.dict(job.STEPS_AT_ONCE, {keras.backend.backend(): 1}):
        one = learner(config)[0]
    turns = [(seconds_of(one, 2 + turn), seconds_of(many, 2 + turn)) for turn in range(TURNS)]
    yield line(f"{many.at_once}_batches_a_call_by_1", "x", [alone / together for alone, together in turns])


def precision() -> Iterator[dict]:
    """What mixed precision gains on a GPU: images a second by those of float32, batches of 512."""
    for preset in ("lenet5", "book-mnist-adam") if job.gpus_here() else ():
        config = TrainingConfig(preset=preset, epochs=1 + TURNS, batch_size=512)
        trainers = {}
        for chosen in PRECISIONS:
            keras.config.set_dtype_policy(chosen)
            trainers[chosen] = learner(replace(config, precision=chosen))[0]
        keras.config.set_dtype_policy("float32")
        turns = [{chosen: seconds_of(trainer, 2 + turn) for chosen, trainer in trainers.items()}
                 for turn in range(TURNS)]  # fmt: skip
        for chosen in [name for name in PRECISIONS if name != "float32"]:
            yield line(f"{preset}_{chosen}_by_float32", "x", [turn["float32"] / turn[chosen] for turn in turns])


def whole_recipes() -> Iterator[dict]:
    """How long our recipe takes in all by the published one's of the same data set: epochs of each on a part of the
    images, the first one left out, in turns; times the number of epochs."""
    for pair in OURS.items():
        data.download(RECIPES[pair[0]].dataset)
        trainers = [learner(replace(RECIPES[name], share=PART))[0] for name in pair]
        turns = [[seconds_of(trainer, 2 + turn) for trainer in trainers] for turn in range(TURNS)]
        ours, published = np.median(turns, axis=0) * [RECIPES[name].epochs for name in pair]
        yield line("_by_".join(pair), "x", [ours / published])


BENCHMARKS = {one.__name__: one for one in (to_99, overhead, images_a_second, calls, precision, whole_recipes)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    data.download("mnist")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CNNVIZ_RUNS"] = folder
        for name in parser.parse_args().names or BENCHMARKS:
            for said in BENCHMARKS[name]():
                print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()

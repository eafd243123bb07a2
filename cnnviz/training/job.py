"""The training job: `train(config, run)`. Keras 3 on whichever backend is set. Never used by the web process.

The images stay on the device as bytes, and the network is asked for them by number: what goes from here to the device
for each batch is a handful of integers.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from cnnviz import data
from cnnviz.data.arrays import read_arrays
from cnnviz.devices import gpus, is_out_of_memory
from cnnviz.nets.build import build, set_weights, weights_of
from cnnviz.nets.layers import Network
from cnnviz.nets.weights import Weights, read_weights, write_weights
from cnnviz.training import sketches
from cnnviz.training.augment import Labelled, changed
from cnnviz.training.config import LIMITS, TrainingConfig, values
from cnnviz.training.runs import BEAT, STOPPED_WAITING, Log, Run, beat, believed, story

VALIDATION = 12
"""One in so many training images is set aside to validate on; always the same ones."""
SAY = 0.2
"""Seconds between two events while an epoch goes on."""
AT_ONCE = 1_000
"""Images that are validated or tested in one batch, at most: as few as LIMITS["values"] allows."""
STEPS_AT_ONCE = {"tensorflow": 16, "jax": 64}
"""Batches in one call into the backend, at most: a small network's batch takes less time than a call. PyTorch knows
only 1, and so does JAX on a CPU, which computes slower within a loop."""
CALL = 1_000_000_000
"""Multiplications of a call's forward passes, about a sixth of a second on two cores: nothing is heard of a run before
its call has come back."""


KEPT = "Stopped; epoch {}, the best so far, is kept. The test images are asked once, when the run is finished."
"""Of a run that was stopped, with the epoch's number."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where the disk, a quota or the largest file is full."""


class Failure(RuntimeError):
    """The run can't go on; the message is one sentence for the page."""


class Stopped(Exception):
    """Somebody wants the run to stop, and there is nothing yet that could be kept."""


class Diverged(Failure):
    """The loss is no number any more, and would be none again."""

    @classmethod
    def at(cls, loss: float, place: str, config: TrainingConfig) -> Diverged:
        """With its sentence."""
        return cls(f"The loss became {loss} in {place}: choose a learning rate below {config.learning_rate:g} and "
                   "start again.")  # fmt: skip


class Damaged(ValueError):
    """A checkpoint that can't be read."""


class Picked(keras.layers.Layer):
    """Numbers of images to the images: int32 (batch,) to (batch, height, width, channels) in [0, 1]."""

    def __init__(self, images: np.ndarray) -> None:
        super().__init__(trainable=False, name=None)
        self.images = self.add_weight(shape=images.shape, dtype="uint8", trainable=False, initializer="zeros")
        self.images.assign(images)

    def call(self, numbers):
        return keras.ops.cast(keras.ops.take(self.images, numbers, axis=0), self.compute_dtype) / 255


def split(dataset: str, share: float) -> tuple[Labelled, Labelled, Labelled]:
    """Training images (the share asked for), validation images and test images of a data set.

    Which images validate is the same for every run, and so is which ones a share holds.
    """
    train, test = (
        (images.reshape(*images.shape[:3], -1), labels.astype(np.int32)) for images, labels in data.load(dataset)
    )
    order = np.random.default_rng(0).permutation(len(train[0]))
    aside = len(order) // VALIDATION
    learned = order[aside:][: max(1, round((len(order) - aside) * share))]
    return *((train[0][part], train[1][part]) for part in (learned, order[:aside])), test


def learning_rate(config: TrainingConfig, steps: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """The rate at each of so many steps.

    One cycle: L. N. Smith, "A disciplined approach to neural network hyper-parameters" (arXiv:1803.09820); here up for
    30 % of the steps, then down along a cosine.
    """
    match config.schedule:
        case "cosine":
            return keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
        case "one-cycle":
            up = max(1, int(0.3 * steps))
            return keras.optimizers.schedules.CosineDecay(
                config.learning_rate / 25, max(1, steps - up), warmup_target=config.learning_rate, warmup_steps=up
            )
    return config.learning_rate


def optimizer(config: TrainingConfig, steps: int) -> keras.optimizers.Optimizer:
    """The Keras optimizer that the settings name, for so many steps in all."""
    rate, decay = learning_rate(config, steps), {"weight_decay": config.weight_decay or None}
    match config.optimizer:
        case "sgd":
            return keras.optimizers.SGD(rate, **decay)
        case "momentum":
            return keras.optimizers.SGD(rate, momentum=0.9, **decay)
        case "rmsprop":
            return keras.optimizers.RMSprop(rate, **decay)
        case "adam":
            return keras.optimizers.Adam(rate, **decay)
    return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay)


def gpus_here() -> list[str]:
    """The GPUs that the backend can train on, as Keras names them."""
    if keras.backend.backend() == "torch":  # which Keras's list knows nothing of
        import torch

        return [f"gpu:{number}" for number in range(torch.cuda.device_count())]
    try:
        return keras.distribution.list_devices("gpu")
    except RuntimeError:  # JAX without any
        return []


def device(config: TrainingConfig) -> tuple[str, str]:
    """(its name for Keras, its name for people). Raises Failure: the device that was asked for is not here."""
    here = gpus_here()
    if config.device == "cpu" or (config.device == "auto" and not here):
        return "cpu", f"CPU, {os.cpu_count()} cores"
    wanted = "gpu:0" if config.device == "auto" else config.device
    if wanted not in here:
        there = ", ".join(here) or "none"
        raise Failure(f"{wanted} is not here (GPUs: {there}): choose another device and start again.")
    number = int(wanted.split(":")[1])
    return wanted, gpus()[number] if number < len(gpus()) else wanted


def at_once(network: Network) -> int:
    """How many images are validated or tested in one batch."""
    return int(min(AT_ONCE, LIMITS["values"][1] // values(network)))


def steps_at_once(network: Network, config: TrainingConfig, batches: int, on_cpu: bool) -> int:
    """How many batches of an epoch go into one call: on a CPU as many as it does in a part of a second."""
    most = STEPS_AT_ONCE.get(keras.backend.backend(), 1)
    if on_cpu:
        most = min(most, CALL // (sum(network.multiplications()) * config.batch_size))
        most = 1 if keras.backend.backend() == "jax" else most
    return max(1, min(most, batches))


class Looped(keras.Model):
    """For JAX, where Keras makes a call of every batch: what it takes for a batch is several of `size` images, and one
    compiled loop learns from one after the other."""

    size: int

    def train_step(self, state, given):
        """(state, (numbers, labels)) to (metrics, state)."""
        from jax import lax

        step, images = super().train_step, len(given[1])
        whole = images - images % self.size
        if whole:
            batches = tuple(part[:whole].reshape(-1, self.size) for part in given[:2])
            state, each = lax.scan(lambda state, batch: step(state, batch)[::-1], state, batches)
            logs = {name: values[-1] for name, values in each.items()}
        if whole < images:
            logs, state = step(state, tuple(part[whole:] for part in given[:2]))
        return logs, state


class Trainer:
    """A network, its optimizer, and everything that a checkpoint holds."""

    def __init__(
        self, config: TrainingConfig, network: Network, train: Labelled, validation: Labelled, drawn: Labelled | None
    ) -> None:
        keras.utils.set_random_seed(config.seed)
        self.config, self.train_set, self.validation, self.judged = config, train, validation, at_once(network)
        self.sketches = lambda: drawn
        self.helper, self.coming = ThreadPoolExecutor(1), {}
        self.model = build(network, config.initializer, config.seed)
        # Learned on the logits, which is steadier than on probabilities.
        self.core = keras.Model(self.model.inputs, self.model.layers[-2].output)
        whole = -(-len(train[0]) // config.batch_size)
        self.batches = min(config.steps, whole) if config.steps else whole
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.pictures = Picked(train[0])
        on_cpu, backend = device(config)[0].startswith("cpu"), keras.backend.backend()
        self.at_once = steps_at_once(network, config, self.batches, on_cpu)
        self.loop = self.at_once if backend == "jax" else 1  # batches that Keras takes for one
        self.learner = self._fed(self.pictures, Looped if self.loop > 1 else keras.Model)
        self.learner.size = config.batch_size
        self.judge = self._fed(Picked(validation[0]))
        self.learner.compile(
            optimizer(config, self.batches * config.epochs), loss, metrics=["accuracy"],
            steps_per_execution=self.at_once // self.loop,
            # XLA takes longer to compile a small network than the CPU takes to train it.
            jit_compile=False if on_cpu and backend == "tensorflow" else "auto",
        )  # fmt: skip
        self.judge.compile(loss=loss, metrics=["accuracy"], jit_compile=False)
        self.learner.optimizer.build(self.learner.trainable_variables)

    def _fed(self, pictures: Picked, model: type[keras.Model] = keras.Model) -> keras.Model:
        numbers = keras.Input((), dtype="int32")
        return model(numbers, self.core(pictures(numbers)))

    def state(self) -> list[keras.Variable]:
        """What the next epoch depends on: weights, the states of random generators, and the optimizer's memory."""
        return [*self.model.variables, *self.learner.optimizer.variables]

    def save(self, file: Path, facts: dict[str, Any]) -> None:
        """Write a checkpoint: the state, and what there is to say of the epoch."""
        arrays = {f"{number:04d}": keras.ops.convert_to_numpy(part) for number, part in enumerate(self.state())}
        with renamed(file) as partial, partial.open("wb") as opened:
            np.savez(opened, facts=np.array(json.dumps(facts)), **arrays)

    def restore(self, file: Path) -> dict[str, Any]:
        """Go back to a checkpoint. Returns what was to be said of its epoch; nothing if there is no file.

        Raises:
            Damaged: it can't be read. Nothing has been changed.
        """
        state = {f"{number:04d}": part for number, part in enumerate(self.state())}
        expected = {name: (tuple(part.shape), "fiu") for name, part in state.items()}
        try:
            arrays = read_arrays(file, {**expected, "facts": ((), "U")})
            facts = json.loads(str(arrays["facts"]))
            if not believed({**facts, "event": "epoch"}):
                raise ValueError("facts that are none")
        except FileNotFoundError:
            return {}
        except Exception as error:  # a damaged zip or array raises almost anything
            raise Damaged from error
        for name, variable in state.items():
            variable.assign(arrays[name])
        return facts

    def changed(self, epoch: int) -> Labelled:
        """An epoch's images, changed as the settings say, in the order of the data set."""
        rng = np.random.default_rng([self.config.seed, epoch, 1])
        return changed(self.config.augmentation, self.train_set, rng, self.sketches)

    def epoch(self, epoch: int, reporter: keras.callbacks.Callback) -> dict[str, float]:
        """Learn for one epoch, then validate. Returns loss, accuracy, val_loss, val_accuracy."""
        config, labels = self.config, self.train_set[1]
        if config.augmentation != "none":
            images, labels = self.coming.pop(epoch).result() if epoch in self.coming else self.changed(epoch)
            self.pictures.images.assign(images)
            if epoch < config.epochs:  # made while the network learns from this one
                self.coming[epoch + 1] = self.helper.submit(self.changed, epoch + 1)
        order = np.random.default_rng([config.seed, epoch]).permutation(len(labels)).astype(np.int32)
        order = order[: self.batches * config.batch_size]
        history = self.learner.fit(order, labels[order], batch_size=config.batch_size * self.loop, shuffle=False,
                                   verbose=0, callbacks=[reporter]).history  # fmt: skip
        return {name: float(values[-1]) for name, values in history.items()} | self.validate()

    def validate(self) -> dict[str, float]:
        """Loss and accuracy on the validation images."""
        numbers = np.arange(len(self.validation[0]), dtype=np.int32)
        loss, accuracy = self.judge.evaluate(numbers, self.validation[1], self.judged, verbose=0)
        return {"val_loss": float(loss), "val_accuracy": float(accuracy)}


class Reporter(keras.callbacks.Callback):
    """Writes down, some times a second, how far an epoch is; looks whether somebody wants it to stop."""

    def __init__(self, run: Run, trainer: Trainer, say: Callable[..., None]) -> None:
        super().__init__()
        self.run, self.trainer, self.say, self.number = run, trainer, say, 0
        self.stopped = False
        self.next_live = 0.0

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.before, self.batch, self.sums = time.monotonic(), 0, {"loss": 0.0, "accuracy": 0.0}

    def on_train_batch_end(self, batch, logs=None) -> None:
        now = time.monotonic()
        # Keras counts a call of several batches whole.
        done = min((batch + 1) * self.trainer.loop, self.trainer.batches)
        if now - self.before < SAY and done < self.trainer.batches:
            return
        if not np.isfinite(logs["loss"]):
            raise Diverged.at(logs["loss"], f"epoch {self.number}, batch {done}", self.trainer.config)
        # Keras gives means since the epoch began; a curve wants those since the last point.
        count = done - self.batch
        sums = {name: logs[name] * done for name in self.sums}
        means = {name: (sums[name] - self.sums[name]) / count for name in sums}
        # Through self.model: with JAX, Keras puts the state back into the variables only then.
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.say("batch", epoch=self.number, batch=done, **means, learning_rate=rate,
                 images_per_second=round(count * self.trainer.config.batch_size / (now - self.before), 1))  # fmt: skip
        self.before, self.batch, self.sums = now, done, sums
        if done < self.trainer.batches and self.run.is_to_stop(self.number - 1):
            self.stopped = self.model.stop_training = True
        if now >= self.next_live:
            save_weights(self.trainer, self.run.folder / "live.npz")
            # At most one part in fifty of the time goes into this file.
            self.next_live = time.monotonic() + max(1.0, 50 * (time.monotonic() - now))


@contextmanager
def renamed(file: Path):
    """A name beside the file's to write to; renamed onto it at the end."""
    partial = file.with_name(f".{file.name}")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def save_weights(trainer: Trainer, file: Path) -> None:
    """The network's weights now."""
    with renamed(file) as partial:
        write_weights(partial, weights_of(trainer.model))


def kept_weights(run: Run, epoch: int) -> Path:
    """Where the weights after an epoch are kept; 0: those before the first."""
    return run.folder / "epochs" / f"{epoch:03d}.npz"


def copy(file: Path, onto: Path) -> None:
    """A copy in the place of a file: the old one is there until it is whole."""
    with renamed(onto) as partial:
        shutil.copy(file, partial)


def train(config: TrainingConfig, run: Run, heard: Callable[[dict[str, Any]], None] = lambda event: None) -> str:
    """Do a run, or go on with it from its last finished epoch. What happens is in its folder.

    Args:
        heard: called with every event as well.

    Returns:
        How it ended: done, stopped or failed.
    """
    stop = threading.Event()

    def live() -> None:
        while not stop.wait(BEAT):
            try:
                beat(run.folder)
            except OSError:
                continue

    try:
        log = Log(run.folder)
    except BlockingIOError:
        heard({"event": "failed", "message": "Another process works on this run."})
        return "failed"
    except OSError as error:
        heard({"event": "failed", "message": f"The run can't be written: {error.strerror}."})
        return "failed"

    def say(event: str, **facts: Any) -> None:
        heard(log.say(event, **facts))

    beat(run.folder)
    threading.Thread(target=live, daemon=True).start()
    try:
        _train(config, run, say)
    except Stopped:
        say("stopped", message=STOPPED_WAITING)
    except (Failure, data.DataError) as error:
        say("failed", message=str(error), hopeless=isinstance(error, Diverged))
    except OSError as error:
        if not run.folder.exists():  # deleted: nobody is left to be told
            return "failed"
        remedy = "make room" if error.errno in NO_ROOM else "let it be written"
        say("failed", message=f"{run.folder} can't be written ({error.strerror}): {remedy}, then go on from the last "
                              "finished epoch.")  # fmt: skip
    except Exception as error:
        if is_out_of_memory(error):
            say("failed", message="There is not enough memory: choose a smaller batch size or network.")
        else:
            said = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            say("failed", message=f"Training stopped with an error: {said}")
            raise
    finally:
        stop.set()
        keras.config.set_dtype_policy("float32")
        keras.backend.clear_session()
    return story(run).state


def _train(config: TrainingConfig, run: Run, say: Callable[..., None]) -> None:
    began = time.monotonic()
    last = 0.0

    def telling(what: str) -> Callable[[int, int], None]:
        def tell(done: int, of: int) -> None:
            nonlocal last
            if run.is_to_stop(0):
                raise Stopped
            if time.monotonic() - last > SAY:
                last = time.monotonic()
                say("download", what=what, done=done, of=of)

        return tell

    where, device_name = device(config)
    data.download(config.dataset, telling(data.find(config.dataset).title))
    train_set, validation, test_set = split(config.dataset, config.share)
    with keras.device(where):
        if run.finishing:
            if not story(run).epochs:
                raise Failure("No epoch of it is finished, so there is nothing to test: go on first.")
            keep_finished(run)
            if run.is_to_stop(0):
                raise Stopped
            stopped = False
        else:
            drawn = sketches.kept(telling("sketches")) if config.augmentation == "sketches" else None
            stopped = _learn(config, run, say, device_name, train_set, validation, drawn)
        best = story(run).best["epoch"]
        model = keep_model(run, read_weights(run.network, run.folder / "weights.npz"))
        # Once in the life of a run: one that may go on is not tested yet.
        result = {} if stopped else tested(run, model, test_set)
    (run.folder / "live.npz").unlink(missing_ok=True)
    say("stopped" if stopped else "done", epoch=best, **result, message=KEPT.format(best) if stopped else "",
        seconds=round(time.monotonic() - began, 1))  # fmt: skip


def _learn(
    config: TrainingConfig, run: Run, say: Callable[..., None], device_name: str, train_set: Labelled,
    validation: Labelled, drawn: Labelled | None,
) -> bool:  # fmt: skip
    """Do the epochs that are left, until somebody wants the run to stop. Returns whether somebody did."""
    notes = []
    if config.precision != "float32" and device_name.startswith("CPU"):
        notes.append("Mixed precision gains nothing on a CPU: trained with 32 bits.")
        config = replace(config, precision="float32")
    keras.config.set_dtype_policy(config.precision)
    trainer = Trainer(config, run.network, train_set, validation, drawn)
    restored = {}
    try:
        restored = trainer.restore(run.folder / "checkpoint.npz")
    except Damaged:
        notes.append("Its checkpoint was damaged: it began again with the first epoch.")
    finished = restored.get("epoch", 0)
    (run.folder / "live.npz").unlink(missing_ok=True)  # of an epoch that was begun before a kill
    say("started", device=device_name, backend=keras.backend.backend(), versions=versions(),
        images=len(train_set[0]), validation=len(validation[0]), batches=trainer.batches,
        batch_size=config.batch_size, epochs=config.epochs, from_epoch=finished,
        parameters=trainer.model.count_params(),
        place=os.environ.get("CNNVIZ_WORKER") or platform.node())  # fmt: skip
    for note in notes:
        say("note", text=note)
    if finished and all(epoch["epoch"] < finished for epoch in story(run).epochs):
        say("epoch", **restored)  # it was killed between the two
    if not finished:
        save_weights(trainer, kept_weights(run, 0))
    reporter = Reporter(run, trainer, say)
    keep_finished(run)
    best, stopped = story(run).best, False
    for number in range(finished + 1, config.epochs + 1):
        if number > 1 and run.is_to_stop(number - 1):
            stopped = True
            break
        start, reporter.number = time.monotonic(), number
        facts = trainer.epoch(number, reporter)
        stopped = reporter.stopped
        if stopped and number > 1:
            break
        if not np.isfinite(facts["val_loss"]):  # of the very last batch's step nothing else is heard
            raise Diverged.at(facts["val_loss"], f"the validation of epoch {number}", config)
        facts = {"epoch": number, **facts, "seconds": round(time.monotonic() - start, 3)}
        if not best or (facts["val_accuracy"], -facts["val_loss"]) > (best["val_accuracy"], -best["val_loss"]):
            best = facts
        save_weights(trainer, kept_weights(run, number))
        if best is facts:
            copy(kept_weights(run, number), run.folder / "weights.npz")
        if not stopped:  # a first epoch that was cut short is not gone on from
            trainer.save(run.folder / "checkpoint.npz", facts)
        # Only now is the epoch finished: all that going on from it takes is there.
        say("epoch", **facts)
        if stopped:
            break
    keras.config.set_dtype_policy("float32")
    return stopped


def keep_finished(run: Run) -> None:
    """Put away what a kill has left of an epoch that nothing was said of."""
    told = story(run)
    for number in run.epochs():
        if number > (told.epochs[-1]["epoch"] if told.epochs else 0):
            kept_weights(run, number).unlink()
    if told.best and (kept := kept_weights(run, told.best["epoch"])).exists():
        copy(kept, run.folder / "weights.npz")


def with_weights(network: Network, weights: Weights) -> keras.Model:
    """The network with these weights."""
    model = build(network)
    set_weights(model, weights)
    return model


def answers(model: keras.Model, network: Network, images: np.ndarray) -> np.ndarray:
    """A network's probabilities: uint8 (n, height, width, channels) to float32 (n, classes)."""
    size = at_once(network)
    batches = (images[start : start + size] / np.float32(255) for start in range(0, len(images), size))
    return np.concatenate([keras.ops.convert_to_numpy(model(batch, training=False)) for batch in batches])


def measured(network: Network, weights: Weights, test: Labelled) -> float:
    """The share of images that are read right, to four digits."""
    return round(float((answers(with_weights(network, weights), network, test[0]).argmax(1) == test[1]).mean()), 4)


def keep_model(run: Run, weights: Weights) -> keras.Model:
    """The run's network with these weights, which is kept as a Keras model too."""
    model, partial = with_weights(run.network, weights), run.folder / ".model.keras"
    model.save(partial)
    partial.replace(run.folder / "model.keras")
    return model


def tested(run: Run, model: keras.Model, test_set: Labelled) -> dict[str, float]:
    """Have the run's network answer to the test images, and keep what it says.

    Returns:
        test_accuracy and test_loss (mean cross-entropy).
    """
    images, labels = test_set
    chances = answers(model, run.network, images)
    with renamed(run.folder / "predictions.npz") as partial, partial.open("wb") as opened:
        np.savez(opened, probabilities=chances, labels=labels.astype(np.uint8))
    sure = np.clip(chances[np.arange(len(labels)), labels], 1e-7, 1)
    return {"test_accuracy": float((chances.argmax(1) == labels).mean()), "test_loss": float(-np.log(sure).mean())}


def versions() -> dict[str, str]:
    """Of what a run is made with."""
    found = {"python": platform.python_version()}
    for name in ("keras", "tensorflow", "tensorflow-cpu", "jax", "torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

"""The command line: `python -m cnnviz classify | explain | evaluate | datasets | train | runs | reproduce`.

Results go to standard output, one a line, fields parted by a tab; what went wrong goes to standard error as a sentence.
Exit status: 0, all went well; 1, something did not (the rest is done all the same); 2, an unknown name or option.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields
from itertools import islice
from pathlib import Path

import numpy as np

from cnnviz import data
from cnnviz.arithmetic import ACTIVATIONS, conv_window, dense_terms, flatten_place, pool_window, softmax_terms
from cnnviz.devices import training_settings
from cnnviz.inputs import InputError, fit, normalise
from cnnviz.inputs.pictures import HOW, MAX_BYTES, for_network
from cnnviz.nets.blocks import input_shape
from cnnviz.nets.layers import Network
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.quiet import import_keras
from cnnviz.nets.weights import WeightsError, load_weights, shipped
from cnnviz.trace import assemble
from cnnviz.training import runs
from cnnviz.training.config import (
    AUGMENTATIONS,
    INITIALIZERS,
    LIMITS,
    MAX_SETTINGS,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    ConfigError,
    TrainingConfig,
    from_values,
    parsed,
)
from cnnviz.training.recipes import RECIPES, SLOW

BATCH = 256
"""Images that are predicted at once."""


class UsageError(ValueError):
    """An unknown name, or names that do not go together; exit status 2."""


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    main = argparse.ArgumentParser("python -m cnnviz", description="Read digits with a small convolutional network.")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    model = {"default": "lenet5", "metavar": "NAME", "help": f"{', '.join(PRESETS)} (default: lenet5)"}
    how = {
        "dest": "how", "choices": HOW, "default": "photo",
        "help": "photo: a digit on paper, a board or a screen, in uneven light (default); sketch: clean strokes on a "
        "plain or transparent background; raw: squeezed to 28x28 and nothing else, as MNIST's own are"}  # fmt: skip

    classify = commands.add_parser(
        "classify", help="say which digit each picture shows",
        description="Print FILE, LABEL and PROBABILITY for each picture: PNG, JPEG, WebP, BMP or GIF.")  # fmt: skip
    classify.add_argument("--model", **model)
    classify.add_argument("--as", **how)
    classify.add_argument("files", nargs="+", metavar="FILE")

    explain = commands.add_parser(
        "explain", help="print one number of the network with every term of its sum",
        description="For one cell of a layer's output print every term, one a line: of a convolution MAP, ROW, COLUMN, "
        "INPUT, WEIGHT and PRODUCT, a row or column outside of the map being padding; of pooling MAP, ROW, COLUMN and "
        "INPUT; of a dense layer, the largest first, NUMBER, INPUT, WEIGHT and PRODUCT; of a softmax NUMBER, LOGIT and "
        "EXPONENTIAL. Then what they come to, and beside it TensorFlow's number.")  # fmt: skip
    explain.add_argument("--model", **model)
    explain.add_argument("--as", **how)
    explain.add_argument("--layer", required=True, metavar="NAME", help="of the model, conv2 for example")
    explain.add_argument("--filter", required=True, type=int, metavar="N",
                         help="which filter, unit or class, counted from 0")  # fmt: skip
    explain.add_argument("--cell", default="", metavar="ROW,COLUMN",
                         help="which cell of the map, counted from 0; for convolution and pooling")  # fmt: skip
    explain.add_argument("file", metavar="FILE")

    evaluate = commands.add_parser(
        "evaluate", help="measure a model on a data set's test images",
        description="Print the word accuracy, its value and the number of test images.")  # fmt: skip
    evaluate.add_argument("--model", **model)
    evaluate.add_argument("--dataset", default="mnist", metavar="NAME",
                          help=f"{', '.join(data.DATASETS)} (default: mnist)")  # fmt: skip

    datasets = commands.add_parser(
        "datasets", help="list the data sets, or download some",
        description="Without a name: print NAME, TITLE, here or missing, the download's size and the file of each data "
        "set. With names: download those. They are kept in $CNNVIZ_DATA, else in the user's data folder.")  # fmt: skip
    datasets.add_argument("names", nargs="*", metavar="NAME")

    train = commands.add_parser(
        "train", help="train a network",
        description="Train with the settings of a JSON file, if there is one, and those named here; the app shows the "
        "run. Ends with the word test_accuracy and its value.")  # fmt: skip
    train.add_argument("--config", metavar="FILE", help="settings as the app exports them")
    train.add_argument("--title", default="", metavar="TEXT", help="what the app calls the run")
    parts = {"blocks": '[{"filters": 16, "kernel": 3}]', "hidden": '[{"units": 64}]'}
    for field in fields(TrainingConfig):
        flag = f"--{field.name.replace('_', '-')}"
        if field.name in parts:
            train.add_argument(flag, metavar="JSON", type=parsed, help=f"instead of a preset: {parts[field.name]}")
        else:
            train.add_argument(flag, metavar=str(field.default), type=type(field.default), help=choices(field.name))

    kept = commands.add_parser(
        "runs", help="list what has been trained, rename or delete some",
        description="Print ID, STATE, TEST ACCURACY and TITLE of every run, the newest first: the app's and those from "
        "here, which have no owner in the app. They are kept in $CNNVIZ_RUNS, else with the data sets.")  # fmt: skip
    what = kept.add_mutually_exclusive_group()
    what.add_argument("--rename", nargs=2, metavar=("ID", "TITLE"), help="give a run another title")
    what.add_argument("--delete", nargs="+", metavar="ID", help="remove runs that have ended; can't be undone")

    again = commands.add_parser(
        "reproduce", help="train the zoo's networks as their recipes say",
        description="Train the presets named, or all but the slow ones, and print NAME, PUBLISHED and OUR test "
        "accuracy, EPOCHS and SECONDS of each.")  # fmt: skip
    again.add_argument("names", nargs="*", metavar="NAME")
    again.add_argument("--slow", action="store_true", help=f"those too that take long: {', '.join(SLOW)}")
    again.add_argument("--ship", action="store_true", help="write assets/weights, which the app ships")
    return main


def preset(name: str) -> Network:
    """The network of that name, or a UsageError that lists those there are."""
    try:
        return PRESETS[name]
    except KeyError:
        raise UsageError(f"There is no model {name!r}; there are {', '.join(PRESETS)}.") from None


def known_dataset(name: str) -> data.Dataset:
    """The data set of that name, or a UsageError that lists those there are."""
    try:
        return data.find(name)
    except data.DataError as error:
        raise UsageError(str(error)) from None


def complain(sentence: object) -> None:
    """One line on standard error."""
    print(sentence, file=sys.stderr, flush=True)


def load_model(name: str):
    """A shipped model, with TensorFlow's notices kept out of the terminal."""
    import_keras()
    from cnnviz.nets import build

    return build.load_model(name)


def predict(model, pixels: np.ndarray) -> np.ndarray:
    """float32 (n, height, width, channels) to probabilities, float32 (n, classes)."""
    batches = (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
    return np.concatenate([np.asarray(model(batch, training=False)) for batch in batches])


def read(file: str, how: str, network: Network) -> np.ndarray | str:
    """One file as the network's input, or the sentence that says what is wrong with it."""
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)  # no more than it takes to see "too large"
        return for_network(content, how, network.input_shape).pixels
    except InputError as error:
        return str(error)
    except IsADirectoryError:
        return "This is a folder: give the files in it."
    except FileNotFoundError:
        return "There is no such file."
    except OSError as error:
        return f"The file can't be read: {error.strerror}."


def classify(options: argparse.Namespace) -> int:
    network = preset(options.model)
    status = 0
    with ThreadPoolExecutor() as pool:
        try:
            # The pictures are read while TensorFlow starts: both take a while, and mostly not in Python.
            results = pool.map(lambda file: (file, read(file, options.how, network)), options.files)
            model = load_model(options.model)
            while batch := list(islice(results, BATCH)):
                good = [(file, result) for file, result in batch if not isinstance(result, str)]
                chances = iter(predict(model, np.stack([pixels for _, pixels in good])) if good else ())
                for file, result in batch:
                    if isinstance(result, str):
                        complain(f"{file}: {result}")
                        status = 1
                        continue
                    chance = next(chances)
                    best = int(chance.argmax())
                    print(file, network.classes[best], f"{chance[best]:.4f}", sep="\t")
                sys.stdout.flush()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return status


def place(network: Network, options: argparse.Namespace) -> tuple[int, tuple[int, ...]]:
    """The layer's number, and the place in its output that is asked for; or a UsageError that says which there are."""
    names = [layer.name for layer in network.layers]
    if options.layer not in names:
        raise UsageError(f"There is no layer {options.layer!r} in {network.name}; there are {', '.join(names)}.")
    number = names.index(options.layer)
    *size, filters = network.shapes()[number]
    if not 0 <= options.filter < filters:
        raise UsageError(f"{options.layer} has no filter {options.filter}: choose --filter from 0 to {filters - 1}.")
    cell = [int(digits) for digits in re.findall("[0-9]+", options.cell)]
    if options.cell != ",".join(map(str, cell)) or len(cell) != len(size) or any(map(int.__ge__, cell, size)):
        choose = "choose --cell from 0,0 to " + ",".join(str(n - 1) for n in size) if size else "leave --cell out"
        raise UsageError(f"{options.layer} has no cell {options.cell!r}: {choose}.")
    return number, (*cell, options.filter)


def tell(*fields: object) -> None:
    """One line of fields parted by tabs; fractions with seven digits, as many as TensorFlow's float32 has."""
    # Adding 0 makes -0, which 0 times a negative weight is, a plain 0.
    print(*(f"{field + 0:.7g}" if isinstance(field, float | np.floating) else field for field in fields), sep="\t")


def explain(options: argparse.Namespace) -> int:
    network = preset(options.model)
    number, at = place(network, options)
    pixels = read(options.file, options.how, network)
    if isinstance(pixels, str):
        complain(f"{options.file}: {pixels}")
        return 1
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whose numbers these are
    from cnnviz.trace.tracer import trace

    values = trace(shipped(network), pixels[None])[0]
    record = assemble(network, load_weights(network), pixels, values).layers[number]
    layer, given, theirs = record.layer, record.input, record.output[at]
    *cell, filter = at
    match layer.kind:
        case "conv":
            window = conv_window(given, record.kernel, record.bias, filter, *cell, layer.stride, layer.padding)
            for channel in range(given.shape[-1]):
                for i, j in np.ndindex(window.inside.shape):
                    tell("term", channel, window.rows[i], window.columns[j], window.patch[i, j, channel],
                         window.kernel[i, j, channel], window.products[i, j, channel])  # fmt: skip
            for channel, total in enumerate(window.channel_sums):
                tell("map", channel, total)
        case "pool":
            window = pool_window(given, layer.window, layer.mode, filter, *cell, layer.stride, layer.padding)
            for i, j in np.argwhere(window.inside):  # padding takes no part
                tell("term", filter, window.rows[i], window.columns[j], window.patch[i, j])
            tell(layer.mode, window.output, theirs)
        case "dense":
            window = dense_terms(given, record.kernel, record.bias, filter)
            for i in window.order:
                tell("term", i, given[i], record.kernel[i, filter], window.contributions[i])
        case "softmax":
            window = softmax_terms(given)
            for i, exponential in enumerate(window.exponentials):
                tell("term", i, given[i], exponential)
            tell("largest", given.max())
            tell("total", window.total)
            tell("probability", window.probabilities[filter], theirs)
        case "flatten":
            row, column, channel = flatten_place(given.shape, filter)
            tell("term", channel, row, column, given[row, column, channel])
            tell("value", given[row, column, channel], theirs)
    if record.bias is not None:
        tell("bias", window.bias)
        tell("sum", window.pre_activation, record.pre_activation[at])
        tell(layer.activation, ACTIVATIONS[layer.activation](window.pre_activation), theirs)
    return 0


def evaluate(options: argparse.Namespace) -> int:
    network, dataset = preset(options.model), known_dataset(options.dataset)
    if dataset.classes != network.classes:
        fitting = ", ".join(name for name, other in data.DATASETS.items() if other.classes == network.classes)
        shown = ", ".join(dataset.classes[:3])
        raise UsageError(f"{dataset.title} does not fit {network.name}, not made for its classes ({shown}, …): "
                         f"choose one of {fitting}.")  # fmt: skip
    fetch(dataset)
    _, (images, labels) = data.load(dataset.name)
    if input_shape(dataset.name) == network.input_shape:
        pixels = images.reshape(-1, *network.input_shape) / np.float32(255)
    else:  # digits of another size are brought into MNIST's form as every picture is
        pixels = np.stack([fit(normalise(image).pixels, network.input_shape) for image in images])
    right = predict(load_model(network.name), pixels).argmax(axis=1) == labels
    print("accuracy", f"{right.mean():.4f}", len(labels), sep="\t")
    return 0


def fetch(dataset: data.Dataset) -> None:
    """Download a data set that is not here, with a progress bar where somebody watches."""
    if data.is_here(dataset.name):
        return
    from tqdm import tqdm

    with tqdm(desc=dataset.title, total=dataset.bytes, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        data.download(dataset.name, lambda done, _: bar.update(done - bar.n))


def datasets(options: argparse.Namespace) -> int:
    status = 0
    for dataset in [known_dataset(name) for name in options.names]:
        try:
            fetch(dataset)
        except data.DataError as error:
            complain(error)
            status = 1
    for name in options.names or data.DATASETS:
        dataset = data.find(name)
        where = (data.path(name), f"{dataset.bytes / 1e6:.0f} MB") if dataset.bytes else ("with scikit-learn", "0 MB")
        print(name, dataset.title, "here" if data.is_here(name) else "missing", where[1], where[0], sep="\t")
    return status


def choices(name: str) -> str:
    """What a setting may be, in a few words."""
    named = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "augmentation": AUGMENTATIONS, "precision": PRECISIONS,
             "initializer": INITIALIZERS, "dataset": data.DATASETS, "preset": PRESETS}  # fmt: skip
    if name in named:
        return ", ".join(named[name])
    return "{:g} to {:,.10g}".format(*LIMITS[name]) if name in LIMITS else "auto, cpu, gpu:0, ..."


class Bar:
    """A progress bar for events, where somebody watches."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self.tqdm, self.bar, self.what = tqdm, None, ""

    def hear(self, event: dict) -> None:
        """Move on."""
        match event["event"]:
            case "download":
                self.show(event["what"], event["of"], event["done"])
            case "started":
                self.batches = event["batches"]
                self.close()
                self.show("Training", event["batches"] * event["epochs"], event["batches"] * event["from_epoch"])
            case "batch":
                self.show("Training", self.bar.total, (event["epoch"] - 1) * self.batches + event["batch"],
                          loss=f"{event['loss']:.4f}", accuracy=f"{event['accuracy']:.4f}")  # fmt: skip
            case "note":
                complain(event["text"])
            case "done" | "stopped" | "failed":
                self.close()

    def show(self, what: str, of: int, done: int, **facts: str) -> None:
        """A bar of that name at a place."""
        if not self.bar or self.what != what:
            self.close()
            self.what, self.bar = what, self.tqdm(desc=what, total=of, disable=None, leave=False)
        self.bar.set_postfix(facts, refresh=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self.bar:
            self.bar.close()
        self.bar = None


def settings(options: argparse.Namespace) -> TrainingConfig:
    """What --config and the flags say together; a flag has the last word."""
    given = {}
    if options.config:
        try:
            with Path(options.config).open("rb") as file:
                given = parsed(file.read(MAX_SETTINGS + 1))
        except OSError as error:
            raise UsageError(f"{options.config} can't be read: {error.strerror}.") from None
        except ConfigError as error:
            raise UsageError(f"{options.config}: {error}") from None
        if not isinstance(given, dict):
            raise UsageError(f"{options.config} holds no settings: export some from a run to see how it looks.")
    flags = {field.name: getattr(options, field.name) for field in fields(TrainingConfig)}
    flags = {name: value for name, value in flags.items() if value is not None}
    if "blocks" in flags:
        flags.setdefault("preset", "")
    elif flags.get("preset") and not given:  # with its recipe, as in the app
        preset(flags["preset"])
        given = RECIPES[flags["preset"]].as_json() | {"blocks": [], "hidden": []}
    elif "dataset" in flags and not ({"preset", "blocks"} & (flags.keys() | given.keys())):
        flags["preset"] = next(
            name for name in PRESETS if PRESETS[name].dataset == known_dataset(flags["dataset"]).name
        )
    try:
        return from_values({**given, **flags})
    except ConfigError as error:
        raise UsageError(str(error)) from None


def train(options: argparse.Namespace) -> int:
    config = settings(options)
    run = runs.create(config, options.title)
    os.environ.update(training_settings())  # to the same digits as from the page, and on the same GPU
    import_keras()
    from cnnviz.training.job import train

    bar = Bar()
    try:
        train(config, run, bar.hear)
    except KeyboardInterrupt:
        complain(f"Interrupted. In the app, the run {run.id} can go on from its last finished epoch.")
        raise
    except Exception:  # said in the run's last event; the traceback is for a bug's report
        bar.close()
        if os.environ.get("CNNVIZ_DEBUG"):
            raise
    told = runs.story(run)
    if "test_accuracy" not in told.end:
        complain(told.message)
        return 1
    print("test_accuracy", f"{told.end['test_accuracy']:.4f}", sep="\t")
    return 0


def list_runs(options: argparse.Namespace) -> int:
    status = 0
    if options.rename:
        name, title = options.rename
        if not runs.tidy(title):
            raise UsageError("A title needs a letter or a figure at least.")
        runs.find(name).rename(title)
    for name in options.delete or ():
        try:
            runs.delete_ended(runs.find(name))
        except runs.RunError as error:
            complain(f"{name}: {error}")
            status = 1
    if options.rename or options.delete:
        return status
    for run in runs.all_runs():
        with suppress(runs.RunError):  # deleted this moment
            told = runs.story(run)
            accuracy = told.end.get("test_accuracy")
            print(run.id, told.state, "" if accuracy is None else f"{accuracy:.4f}", run.title, sep="\t")
    if why := runs.unreadable():
        complain(why)
    return int(bool(why))


def reproduce(options: argparse.Namespace) -> int:
    names = [preset(name).name for name in options.names] or [
        name for name in PRESETS if options.slow or name not in SLOW]  # fmt: skip
    os.environ.update(training_settings())  # to the same digits as from the page, and on the same GPU
    import_keras()
    from cnnviz.training.recipes import reproduce

    bar, status = Bar(), 0
    print("preset", "published", "ours", "after the last epoch", "epochs", "seconds", sep="\t", flush=True)
    for name in names:
        try:
            row = reproduce(name, options.ship, bar.hear)
        except runs.RunError as error:
            complain(error)
            status = 1
            continue
        published = "" if row.published is None else f"{row.published:.4f}"
        print(row.name, published, f"{row.accuracy:.4f}", f"{row.last:.4f}", row.epochs, f"{row.seconds:.0f}", sep="\t",
              flush=True)  # fmt: skip
    return status


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status."""
    options = parser().parse_args(arguments)
    warnings.simplefilter("ignore")  # what Pillow notices about a file is said in our own sentence, or is of no matter
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")  # file names are bytes, and come out as they went in
    stopped = []

    def stop(*_) -> None:
        stopped.append(True)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    commands = {command.__name__: command for command in (classify, explain, evaluate, datasets, train, reproduce)}
    commands["runs"] = list_runs
    try:
        status = commands[options.command](options)
        sys.stdout.flush()
        return 130 if stopped else status  # an import that was interrupted may have swallowed it
    except UsageError as error:
        complain(error)
        return 2
    except (data.DataError, WeightsError, runs.RunError) as error:
        complain(error)
        return 1
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())

"""What decides a training run. Plain data: the web process reads and checks it without Keras."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import prod
from typing import Any

from cnnviz import data
from cnnviz.nets.blocks import POOLINGS, Block, Hidden, NetworkError, input_shape, network_of
from cnnviz.nets.layers import Network
from cnnviz.nets.presets import PRESETS

OPTIMIZERS = {"sgd": "SGD", "momentum": "SGD with momentum", "rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}
SCHEDULES = {"constant": "constant", "cosine": "cosine", "one-cycle": "one cycle"}
AUGMENTATIONS = {
    "none": "none",
    "shift": "moved by up to 2 pixels",
    "flip": "moved, and mirrored left to right",
    "warp": "turned, slanted, bent (digits)",
    "sketches": "warped, other pens, drawn digits mixed in",
}
INITIALIZERS = {"glorot_uniform": "Glorot uniform", "he_normal": "He normal", "random_normal": "normal, 0.05"}
PRECISIONS = {"float32": "32 bits", "mixed_float16": "16 and 32 bits mixed"}
PADDINGS = ("same", "valid")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "linear")

LIMITS: dict[str, tuple[float, float]] = {
    "share": (0.01, 1.0),
    "learning_rate": (1e-6, 10.0),
    "batch_size": (1, 4_096),
    "epochs": (1, 100),
    "steps": (0, 10_000),
    "weight_decay": (0.0, 1.0),
    "seed": (0, 2**31 - 1),
    "blocks": (1, 3),
    "hidden": (0, 2),
    "filters": (1, 256),
    "kernel": (1, 11),
    "stride": (1, 4),
    "units": (1, 2_048),
    "dropout": (0.0, 0.9),
    "parameters": (1, 5_000_000),
    "values": (1, 200_000_000),
    "sweep_axes": (2, 3),
    "sweep_runs": (2, 30),
    "sweep_points": (2, 5),
}
"""The least and the most of everything that costs. `values`: numbers that all layers put out for one batch.
`sweep_points`: values of a range that a grid takes."""


MAX_SETTINGS = 100_000
"""Bytes of settings as JSON; the longest that can be trained with have some 2,000."""


class ConfigError(ValueError):
    """Settings that can't be trained with; the message says in one sentence which to change."""


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a run, together with the versions of the libraries.

    Attributes:
        dataset: a name in `cnnviz.data.DATASETS`.
        share: of the training images that are not set aside for validation.
        preset: a name in PRESETS for that data set; empty where `blocks` and `hidden` say what the network is.
        steps: batches after which an epoch ends; 0: when all images have been seen.
        weight_decay: of every weight at every step, as a share of the learning rate (decoupled, as in AdamW).
        device: "auto", "cpu" or "gpu:N".
    """

    dataset: str = "mnist"
    share: float = 1.0
    preset: str = "lenet5"
    blocks: tuple[Block, ...] = ()
    hidden: tuple[Hidden, ...] = ()
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    batch_size: int = 128
    epochs: int = 5
    steps: int = 0
    weight_decay: float = 0.0
    augmentation: str = "none"
    initializer: str = "glorot_uniform"
    seed: int = 1
    precision: str = "float32"
    device: str = "auto"

    def network(self, name: str = "custom", title: str = "Your network") -> Network:
        """The network that is trained, under another name.

        Raises:
            ConfigError: it can't be built.
        """
        about = f"Trained here on {data.find(self.dataset).title}."
        if self.preset:
            return replace(PRESETS[self.preset], name=name, title=title, about=about)
        try:
            return network_of(name, title, about, self.dataset, self.blocks, self.hidden)
        except NetworkError as error:
            raise ConfigError(str(error)) from None

    def check(self) -> None:
        """Raises ConfigError: something is unknown, past a limit, or can't be built."""
        check_choice("data set", self.dataset, data.DATASETS)
        if self.preset and (self.blocks or self.hidden):
            raise ConfigError(
                "Either a preset or blocks and hidden layers of your own: leave the preset empty for those."
            )
        if self.preset:
            check_choice("preset", self.preset, PRESETS)
            if PRESETS[self.preset].input_shape != input_shape(self.dataset):
                raise ConfigError(f"The preset {self.preset} is not made for images of {self.dataset}: choose one of "
                                  f"{', '.join(fitting(self.dataset))}, or blocks of your own.")  # fmt: skip
        else:
            check_number("blocks", len(self.blocks), "the number of convolution blocks")
            check_number("hidden", len(self.hidden), "the number of dense layers")
            for number, block in enumerate(self.blocks, 1):
                for name in ("filters", "kernel", "stride", "dropout"):
                    check_number(name, getattr(block, name), f"{name} of block {number}")
                check_choice("padding", block.padding, PADDINGS, f" of block {number}")
                check_choice("activation", block.activation, ACTIVATIONS, f" of block {number}")
                check_choice("pooling", block.pool, POOLINGS, f" of block {number}")
            for number, one in enumerate(self.hidden, 1):
                for name in ("units", "dropout"):
                    check_number(name, getattr(one, name), f"{name} of dense layer {number}")
                check_choice("activation", one.activation, ACTIVATIONS, f" of dense layer {number}")
        for name in ("share", "learning_rate", "batch_size", "epochs", "steps", "weight_decay", "seed"):
            check_number(name, getattr(self, name), name.replace("_", " "))
        for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("augmentation", AUGMENTATIONS),
                              ("initializer", INITIALIZERS), ("precision", PRECISIONS)):  # fmt: skip
            check_choice(name, getattr(self, name), choices)
        if not re.fullmatch(r"auto|cpu|gpu:[0-9]{1,2}", self.device):
            raise ConfigError(f"There is no device {reprlib.repr(self.device)}: choose auto, cpu or gpu:0.")
        if self.augmentation in ("warp", "sketches") and input_shape(self.dataset) != (28, 28, 1):
            raise ConfigError(f"Images of {self.dataset} can't be augmented with {self.augmentation}, which is made "
                              "for 28x28 digits: choose none, shift or flip.")  # fmt: skip
        if self.augmentation == "sketches" and self.dataset != "mnist":
            raise ConfigError("Drawn digits can only be mixed into mnist: choose another augmentation.")
        self.check_cost()

    def check_cost(self) -> None:
        """Raises ConfigError: more parameters, or more numbers a batch, than LIMITS allows."""
        network = self.network()
        if (count := sum(network.parameters())) > LIMITS["parameters"][1]:
            largest = max(zip(network.parameters(), network.layers, strict=True), key=lambda pair: pair[0])[1].name
            raise ConfigError(f"This network has {count:,} parameters, and {LIMITS['parameters'][1]:,} are the most. "
                              f"Most are in {largest}: give it fewer units or filters, or pool before it.")  # fmt: skip
        each = values(network)
        if each * self.batch_size > LIMITS["values"][1]:
            raise ConfigError(f"A batch of {self.batch_size:,} makes {each * self.batch_size:,} numbers, and "
                              f"{LIMITS['values'][1]:,} are the most: choose a batch size of at most "
                              f"{int(LIMITS['values'][1] // each):,}, or fewer filters.")  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return asdict(self)


def values(network: Network) -> int:
    """How many numbers all layers put out for one image, itself counted too."""
    return prod(network.input_shape) + sum(map(prod, network.shapes()))


def fitting(dataset: str) -> list[str]:
    """The presets made for images of this size."""
    return [name for name, network in PRESETS.items() if network.input_shape == input_shape(dataset)]


def check_number(name: str, value: float, said: str) -> None:
    """Raises ConfigError: the value is outside of LIMITS[name]."""
    least, most = LIMITS[name]
    if not least <= value <= most:
        raise ConfigError(
            f"{said[:1].upper()}{said[1:]} goes from {least:,g} to {most:,.10g}, and {value:,g} was asked for."
        )


def check_choice(name: str, value: str, choices: Any, where: str = "") -> None:
    """Raises ConfigError: the value is not among the choices."""
    if value not in choices:
        raise ConfigError(f"There is no {name} {reprlib.repr(value)}{where}: choose one of {', '.join(choices)}.")


def from_json(text: str | bytes) -> TrainingConfig:
    """Settings as the app and the command line write them; what is not named keeps its default.

    Raises:
        ConfigError: not JSON, an unknown name, a value of another type, or settings that can't be trained with.
    """
    return from_values(parsed(text))


def parsed(text: str | bytes) -> Any:
    """What a text of settings says. Raises ConfigError: it is not JSON, or longer than MAX_SETTINGS."""
    if len(text) > MAX_SETTINGS:
        raise ConfigError(f"The settings have more than {MAX_SETTINGS:,} bytes: export some from a run to see what "
                          "they look like.")  # fmt: skip
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ConfigError("The settings are not JSON: export them from a run to see what they look like.") from None


def from_values(given: Any) -> TrainingConfig:
    """Settings as `from_json`, from what JSON gave. Raises ConfigError."""
    config = from_mapping(TrainingConfig, given, "settings")
    config.check()
    return config


def from_mapping(kind: type, given: Any, where: str) -> Any:
    """A dataclass of numbers, strings and tuples of Block and Hidden from what JSON gave. Raises ConfigError."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"The {where} are names with values, in braces.")
    known = {field.name: field.default for field in fields(kind)}
    values = {}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(f"The {where} have no {reprlib.repr(name)}; there are {', '.join(known)}.")
        if name in PARTS and kind is TrainingConfig:
            if not isinstance(value, list):
                raise ConfigError(f"In the {where}, {name} is a list.")
            values[name] = tuple(from_mapping(PARTS[name], one, name) for one in value)
            continue
        wanted = {"filters": int, "kernel": int, "units": int}.get(name, type(known[name]))
        # JSON knows no whole numbers: 5.0 epochs are 5. True is an int to Python and no number here.
        if wanted is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(max(-1e300, min(value, 1e300)))  # a whole number may be too large for a float
        if wanted is int and type(value) is int:
            value = max(-(10**18), min(value, 10**18))  # or for a sentence about it
        if type(value) is not wanted:
            said = {int: "a whole number", float: "a number", str: "a text"}[wanted]
            raise ConfigError(f"In the {where}, {name} is {said}.")
        values[name] = value
    try:
        return kind(**values)
    except TypeError:
        raise ConfigError(f"In the {where}, filters and kernel, or units, must be given.") from None


PARTS = {"blocks": Block, "hidden": Hidden}


def differences(one: TrainingConfig, other: TrainingConfig) -> dict[str, tuple[Any, Any]]:
    """What differs between two settings: by name, the value of one and of the other."""
    pairs = {field.name: (getattr(one, field.name), getattr(other, field.name)) for field in fields(TrainingConfig)}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

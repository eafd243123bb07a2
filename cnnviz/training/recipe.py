"""How the shipped weights were made: the recipe, and the training that follows it. Imports Keras.

Most of what the network sees is MNIST, the rest comes from the stroke generator; both are bent, moved and drawn
with another pen anew in every epoch, so that no image is seen twice. `python -m cnnviz weights` runs it.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import keras
import loky
import numpy as np

from cnnviz import data
from cnnviz.data import generator
from cnnviz.nets.build import build
from cnnviz.nets.presets import PRESETS, Network
from cnnviz.nets.weights import Weights, save_weights
from cnnviz.training.augment import thicken, warp

Labelled = tuple[np.ndarray, np.ndarray]
"""Images, uint8 (n, 28, 28), and their digits, uint8 (n,)."""


@dataclass(frozen=True)
class Recipe:
    """What decides the weights, together with the versions of the libraries (and the order of sums over threads)."""

    seed: int = 1
    epochs: int = 100
    images: int = 60_000  # an epoch
    batch: int = 256
    rate: float = 2e-3  # the highest; risen to in one epoch, then along a cosine to nearly nothing
    weight_decay: float = 1e-3
    share: float = 0.35  # of generated digits among all
    sketches: int = 80_000  # different generated digits
    untouched: float = 0.2  # share of images that are not warped
    warp: float = 0.5  # strength, see augment.affine and augment.elastic
    pen: float = 0.6  # share of images that get another pen
    thinnest: float = -0.35  # see augment.thicken
    thickest: float = 0.7


RECIPES = {
    "lenet5": Recipe(),
    "lenet5-1998": Recipe(epochs=30, share=0.45, untouched=0.1, warp=0.6),
    "tf-tutorial": Recipe(epochs=16),
}

FRESH = 5_000, 1_000_000
"""How many sketches the card's accuracy is measured on, and their seed, which no recipe uses."""
ON_MNIST, ON_SKETCHES = "MNIST's test images as they are", f"{FRESH[0]:,} fresh generated sketches"
CHUNK = 1_000
"""Sketches that are drawn in one go, from one seed."""


def draw_sketches(count: int, seed: int) -> Labelled:
    """Generated digits, drawn on all cores; the same for the same seed, however many cores there are."""
    chunks = -(-count // CHUNK)
    executor = loky.get_reusable_executor()
    seeds = range(seed * 10_000, seed * 10_000 + chunks)
    drawn = list(executor.map(generator.images, [CHUNK] * chunks, seeds))
    executor.shutdown()  # the cores are needed for training now
    images, labels = (np.concatenate(part)[:count] for part in zip(*drawn, strict=True))
    return images, labels


def as_input(images: np.ndarray) -> np.ndarray:
    """uint8 (n, 28, 28) to float32 (n, 28, 28, 1) in [0, 1]."""
    return (images / np.float32(255))[..., None]


def one_epoch(recipe: Recipe, real: Labelled, sketched: Labelled, rng: np.random.Generator) -> Labelled:
    """The images of one epoch, changed at random, in random order."""
    from_sketches = int(recipe.images * recipe.share)
    parts = []
    for (images, labels), count in ((real, recipe.images - from_sketches), (sketched, from_sketches)):
        # All of them in random order before any comes again.
        rounds = [rng.permutation(len(images)) for _ in range(-(-count // len(images)))]
        chosen = np.concatenate([np.empty(0, int), *rounds])[:count]
        parts.append((images[chosen], labels[chosen]))
    images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = rng.permutation(recipe.images)
    images, labels = images[order], labels[order]
    images = np.where(rng.random((recipe.images, 1, 1)) < recipe.untouched, images, warp(images, rng, recipe.warp))
    amount = rng.uniform(recipe.thinnest, recipe.thickest, recipe.images)
    return thicken(images, amount * (rng.random(recipe.images) < recipe.pen)), labels


def epochs(recipe: Recipe, real: Labelled, sketched: Labelled) -> Iterator[Labelled]:
    """Every epoch's images in turn; the next is made while the network learns from this one."""
    rng = np.random.default_rng(recipe.seed)
    with ThreadPoolExecutor(1) as helper:
        coming = helper.submit(one_epoch, recipe, real, sketched, rng)
        for number in range(recipe.epochs):
            images = coming.result()
            if number + 1 < recipe.epochs:
                coming = helper.submit(one_epoch, recipe, real, sketched, rng)
            yield images


def train(network: Network, recipe: Recipe, real: Labelled, sketched: Labelled) -> tuple[keras.Model, list[float]]:
    """Train a network from random weights, saying on standard output how far it is.

    Args:
        network: ends in a softmax; it is trained on the logits before it, which is steadier.
        real, sketched: what to learn from.

    Returns:
        The trained model, from images to probabilities, and the mean loss of every epoch.
    """
    keras.utils.set_random_seed(recipe.seed)
    model = build(network)
    logits = keras.Model(model.inputs, model.layers[-2].output)
    steps = -(-recipe.images // recipe.batch)
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.rate / 20, steps * (recipe.epochs - 1), alpha=2e-3, warmup_target=recipe.rate, warmup_steps=steps
    )
    logits.compile(
        keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses, start = [], time.monotonic()
    for number, (images, labels) in enumerate(epochs(recipe, real, sketched), 1):
        history = logits.fit(
            as_input(images), labels.astype(np.int32), batch_size=recipe.batch, shuffle=False, verbose=0
        )
        losses.append(float(history.history["loss"][0]))
        left = (time.monotonic() - start) / number * (recipe.epochs - number)
        if number % 5 == 0 or number == recipe.epochs:
            print(f"{network.name}: epoch {number} of {recipe.epochs}, loss {losses[-1]:.4f}, "
                  f"{left // 60:.0f} min {left % 60:02.0f} s left", flush=True)  # fmt: skip
    return model, losses


def accuracy(model: keras.Model, labelled: Labelled) -> float:
    """The share of images that are read right."""
    images, labels = labelled
    return round(float((model.predict(as_input(images), batch_size=1_000, verbose=0).argmax(1) == labels).mean()), 4)


def versions() -> dict[str, str]:
    """Of what the weights were made with."""
    found = {"python": platform.python_version()}
    for name in ("keras", "tensorflow", "tensorflow-cpu", "numpy", "opencv-python-headless"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def train_preset(
    network: Network, recipe: Recipe, mnist: tuple[Labelled, Labelled], sketched: Labelled, fresh: Labelled
) -> tuple[Weights, dict]:
    """Train and measure one preset.

    Args:
        mnist: its training and its test images; the latter only for the card.
        sketched, fresh: generated digits to learn from, and others to measure on.

    Returns:
        The weights, and their card.
    """
    start = time.monotonic()
    model, losses = train(network, recipe, mnist[0], sketched)
    minutes = (time.monotonic() - start) / 60
    card = {
        "network": network.name,
        "data": "MNIST's 60,000 training images and sketches of cnnviz/data/generator.py",
        "parameters": model.count_params(),
        "accuracy": {
            ON_MNIST: accuracy(model, mnist[1]),
            ON_SKETCHES: accuracy(model, fresh),
        },
        "recipe": asdict(recipe),
        "final loss": round(losses[-1], 4),
        "minutes": round(minutes, 1),
        "versions": versions(),
    }
    weights = {layer.name: tuple(map(np.asarray, layer.get_weights())) for layer in model.layers if layer.get_weights()}
    return weights, card


def make_weights(names: Iterable[str] = tuple(RECIPES)) -> None:
    """Train the presets of these names and ship their weights: `assets/weights/<name>.npz` and `.json`.

    Raises:
        KeyError: a name has no recipe. cnnviz.data.DataError: MNIST is not here and can't be downloaded.
    """
    chosen = {name: RECIPES[name] for name in names}
    data.download("mnist")
    mnist = data.load("mnist")
    print(f"Drawing {FRESH[0]:,} sketches to measure on", flush=True)
    fresh = draw_sketches(*FRESH)
    drawn: dict[tuple[int, int], Labelled] = {}
    for name, recipe in chosen.items():
        key = recipe.sketches, recipe.seed
        if key not in drawn:
            print(f"Drawing {recipe.sketches:,} sketches to learn from", flush=True)
            drawn[key] = draw_sketches(*key)
        weights, card = train_preset(PRESETS[name], recipe, mnist, drawn[key], fresh)
        path = save_weights(PRESETS[name], weights, card)
        said = "; ".join(f"{share:.2%} on {what}" for what, share in card["accuracy"].items())
        print(f"{path.name}: {said}; {card['minutes']} min", flush=True)

"""The zoo's weights: what they read, and that their cards tell the truth."""

import numpy as np
import pytest

from cnnviz import data
from cnnviz.data import generator
from cnnviz.nets.layers import Network
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import load_card, load_weights
from cnnviz.training import sketches
from cnnviz.training.recipes import PUBLISHED, RECIPES

SOME = 1_000
"""Images that each network is asked about."""
FLOORS = {"lenet5": 0.955, "lenet5-1998": 0.93}
"""The least accuracy on fresh sketches of those that are trained to read them."""


def read(network: Network, images: np.ndarray) -> np.ndarray:
    """The answers to uint8 images (n, height, width, channels)."""
    from cnnviz.training.job import answers, with_weights

    return answers(with_weights(network, load_weights(network)), network, images).argmax(1)


@pytest.mark.parametrize("name", FLOORS)
def test_the_shipped_weights_read_fresh_sketches(name):
    images, labels = generator.images(SOME, 2_000_000)
    assert (read(PRESETS[name], images[..., None]) == labels).mean() >= FLOORS[name]


@pytest.mark.parametrize("network", PRESETS.values(), ids=PRESETS)
def test_a_card_tells_the_accuracy_that_its_weights_have(network):
    if not data.is_here(network.dataset):
        pytest.skip(f"{network.dataset} is not here: run `python -m cnnviz datasets {network.dataset}`")
    images, labels = data.load(network.dataset)[1]
    right = (read(network, images[:SOME].reshape(-1, *network.input_shape)) == labels[:SOME]).mean()
    on_all = next(iter(load_card(network)["accuracy"].values()))
    # A part of them, by chance easier or harder: four standard deviations.
    assert right == pytest.approx(on_all, abs=4 * (on_all * (1 - on_all) / len(labels[:SOME])) ** 0.5)


@pytest.mark.parametrize("name", PRESETS)
def test_the_card_tells_the_recipe_that_is_in_the_code(name):
    card = load_card(PRESETS[name])
    if "earlier recipe" not in card.get("note", ""):
        assert card["recipe"] == RECIPES[name].as_json() | {"blocks": [], "hidden": []}
    assert card["parameters"] == sum(PRESETS[name].parameters())
    assert {"python", "keras", "numpy"} <= card["versions"].keys()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_accuracy_is_reached(name):
    assert next(iter(load_card(PRESETS[name])["accuracy"].values())) >= PUBLISHED[name]


def test_fashion_falls_by_twenty_epochs():
    card = load_card(PRESETS["fashion-20"])
    best, last = card["accuracy"].values()
    assert last < PUBLISHED["fashion"] < best  # which is published for five epochs
    epochs = card["epochs"]
    assert [epoch["epoch"] for epoch in epochs] == [*range(1, 21)]
    lowest = min(epochs, key=lambda epoch: epoch["val_loss"])
    assert lowest["epoch"] < 10
    assert epochs[-1]["val_loss"] > 1.5 * lowest["val_loss"]
    assert epochs[-1]["accuracy"] - epochs[-1]["val_accuracy"] > 0.05


@pytest.mark.parametrize("ours", ["quick-mnist", "small-fashion", "small-cifar"])
def test_ours_is_better_than_every_published_one_of_its_data_set(ours):
    published = [PUBLISHED[name] for name in PUBLISHED if PRESETS[name].dataset == PRESETS[ours].dataset]
    assert sum(PRESETS[ours].parameters()) <= 300_000
    assert next(iter(load_card(PRESETS[ours])["accuracy"].values())) > max(published)


def test_sketches_that_can_not_be_kept_are_there_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path / "not there"))
    monkeypatch.setattr(sketches, "draw", lambda count, seed, progress: (count, seed))
    assert sketches.kept("progress") == (sketches.COUNT, sketches.SEED)


def test_sketches_do_not_depend_on_how_they_are_shared_out(monkeypatch):
    monkeypatch.setattr(sketches, "CHUNK", 20)
    images, labels = sketches.draw(50, 7)
    one, digits = generator.images(20, 70_000)
    assert len(images) == len(labels) == 50
    assert np.array_equal(images[:20], one)
    assert np.array_equal(labels[:20], digits)

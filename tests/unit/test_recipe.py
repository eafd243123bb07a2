"""The recipe of the shipped weights, and what it has led to."""

import dataclasses

import numpy as np
import pytest

from cnnviz import data
from cnnviz.data import generator
from cnnviz.nets.build import load_model
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import load_card, load_weights
from cnnviz.training import recipe

SKETCHES = 2_000
FLOORS = {"lenet5": (0.993, 0.955), "lenet5-1998": (0.985, 0.93), "tf-tutorial": (0.99, 0.95)}
"""The least accuracy on MNIST's test images, and on fresh sketches."""


@pytest.fixture(scope="module")
def fresh():
    return generator.images(SKETCHES, 2_000_000)


@pytest.fixture(scope="module")
def small():
    return generator.images(600, 3_000_000)


@pytest.mark.parametrize("name", PRESETS)
def test_the_shipped_weights_read_fresh_sketches(name, fresh):
    assert recipe.accuracy(load_model(name), fresh) >= FLOORS[name][1]


@pytest.mark.parametrize("name", PRESETS)
def test_the_shipped_weights_read_mnists_test_images_as_they_are(name):
    if not data.is_here("mnist"):
        pytest.skip("MNIST is not here: run `python -m cnnviz datasets mnist`")
    measured = recipe.accuracy(load_model(name), data.load("mnist")[1])
    assert measured >= FLOORS[name][0]
    # Another processor may add in another order, and an image or two tip over.
    assert measured == pytest.approx(load_card(PRESETS[name])["accuracy"][recipe.ON_MNIST], abs=3e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_the_card_tells_the_recipe_that_is_in_the_code(name):
    card = load_card(PRESETS[name])
    assert card["recipe"] == dataclasses.asdict(recipe.RECIPES[name])
    assert card["parameters"] == sum(PRESETS[name].parameters())
    assert {"python", "keras", "numpy"} <= card["versions"].keys()


def test_a_few_epochs_lower_the_loss_and_repeat_with_the_seed(small):
    short = recipe.Recipe(epochs=4, images=1_200, batch=64)
    network = PRESETS["lenet5"]
    model, losses = recipe.train(network, short, small, small)
    assert losses[-1] < 0.6 * losses[0]
    assert recipe.accuracy(model, small) > 0.5
    before = recipe.one_epoch(short, small, small, np.random.default_rng(1))
    after = recipe.one_epoch(short, small, small, np.random.default_rng(1))
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_an_epoch_mixes_both_sources_in_the_recipes_share():
    short = recipe.Recipe(images=1_000, share=0.3)
    real = np.zeros((50, 28, 28), np.uint8), np.zeros(50, np.uint8)
    sketched = np.zeros((70, 28, 28), np.uint8), np.ones(70, np.uint8)
    images, labels = recipe.one_epoch(short, real, sketched, np.random.default_rng(2))
    assert images.shape == (1_000, 28, 28)
    assert images.dtype == np.uint8
    assert labels.sum() == 300
    assert 0 < labels[:100].sum() < 100, "in random order"


def test_the_weights_that_are_returned_are_the_models(small, tmp_path):
    short = recipe.Recipe(epochs=2, images=128, batch=64)
    network = PRESETS["lenet5-1998"]
    weights, card = recipe.train_preset(network, short, (small, small), small, small)
    recipe.save_weights(network, weights, card, tmp_path)
    for name, (kernel, bias) in load_weights(network, tmp_path).items():
        assert np.array_equal(kernel, weights[name][0])
        assert np.array_equal(bias, weights[name][1])
    assert load_card(network, tmp_path)["recipe"] == dataclasses.asdict(short)


def test_sketches_do_not_depend_on_how_they_are_shared_out(monkeypatch):
    monkeypatch.setattr(recipe, "CHUNK", 20)
    images, labels = recipe.draw_sketches(50, 7)
    one, digits = generator.images(20, 70_000)
    assert len(images) == len(labels) == 50
    assert np.array_equal(images[:20], one)
    assert np.array_equal(labels[:20], digits)

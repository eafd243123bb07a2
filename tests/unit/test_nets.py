"""Presets, their weights on disk, and their description."""

import json

import numpy as np
import pytest

from cnnviz.nets.describe import table
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import SHIPPED, WeightsError, load_card, load_weights, save_weights, shortened

LENET = PRESETS["lenet5"]
each_preset = pytest.mark.parametrize("network", PRESETS.values(), ids=PRESETS)


def test_lenet5_is_the_one_of_the_textbook():
    assert LENET.shapes() == ((28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (400,), (120,), (84,), (10,), (10,))
    assert LENET.parameters() == (156, 0, 2416, 0, 0, 48120, 10164, 850, 0)
    assert sum(LENET.parameters()) == 61_706


def test_the_tutorials_network_has_the_sizes_that_the_tutorial_prints():
    tutorial = PRESETS["tf-tutorial"]
    expected = [(26, 26, 32), (13, 13, 32), (11, 11, 64), (5, 5, 64), (3, 3, 64), (576,), (64,), (10,), (10,)]
    assert list(tutorial.shapes()) == expected
    assert sum(tutorial.parameters()) == 93_322


@each_preset
def test_keras_builds_what_the_table_says(network):
    from cnnviz.nets.build import build

    model = build(network)
    layers = [layer for layer in model.layers if not layer.name.endswith("_dropout")]
    assert [layer.name for layer in layers] == [layer.name for layer in network.layers]
    assert tuple(layer.output.shape[1:] for layer in layers) == network.shapes()
    assert tuple(layer.count_params() for layer in layers) == network.parameters()
    dropped = {layer.name.removesuffix("_dropout"): layer.rate for layer in model.layers if layer not in layers}
    assert dropped == {layer.name: layer.dropout for layer in network.layers if getattr(layer, "dropout", 0)}


@pytest.mark.parametrize(("name", "count"), [("fashion", 243_786), ("book-mnist-adam", 3_255_914),
                                             ("book-cifar", 4_239_978)])  # fmt: skip
def test_the_published_networks_have_the_published_number_of_parameters(name, count):
    assert sum(PRESETS[name].parameters()) == count


def test_ours_are_small_and_all_weights_together_are_light():
    for name in ("quick-mnist", "small-fashion", "small-cifar", "small-digits"):
        assert sum(PRESETS[name].parameters()) <= 300_000
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < 30_000_000


def test_large_kernels_are_shortened_to_their_first_bits_and_small_ones_are_not():
    rng = np.random.default_rng(1)
    large, small = rng.normal(0, 0.05, (400, 300)).astype(np.float32), rng.normal(0, 1, 300).astype(np.float32)
    (kernel, bias) = shortened({"dense1": (large, small)})["dense1"]
    assert kernel.dtype == np.float16
    np.testing.assert_allclose(kernel.astype(np.float32), large, rtol=2**-6, atol=1e-6)
    assert bias is small


@each_preset
def test_shipped_weights_fit_and_have_a_card(network):
    weights = load_weights(network)
    count = sum(kernel.size + bias.size for kernel, bias in weights.values())
    assert count == sum(network.parameters())
    card = load_card(network)
    assert {"data", "recipe", "versions", "accuracy"} <= set(card)
    assert card["recipe"]["seed"] is not None


def test_weights_come_back_as_they_were_saved(tmp_path):
    weights = load_weights(LENET)
    save_weights(LENET, weights, {"data": "none"}, tmp_path)
    again = load_weights(LENET, tmp_path)
    assert all(np.array_equal(a, b) for name in weights for a, b in zip(weights[name], again[name], strict=True))
    assert load_card(LENET, tmp_path) == {"data": "none"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lenet5.json", "lenet5.npz"]


def test_bad_weights_are_told_in_a_sentence(tmp_path):
    with pytest.raises(WeightsError, match="no weights for lenet5"):
        load_weights(LENET, tmp_path)
    path = save_weights(LENET, load_weights(LENET), {}, tmp_path)
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(WeightsError, match="damaged"):
            load_weights(LENET, tmp_path)
    other = {**load_weights(LENET), "conv1": (np.zeros((3, 3, 1, 6), np.float32), np.zeros(6, np.float32))}
    save_weights(LENET, other, {}, tmp_path)
    with pytest.raises(WeightsError, match="conv1 differs"):
        load_weights(LENET, tmp_path)
    np.savez(path, **{"conv1/kernel": np.array([{}], dtype=object)})  # a pickle is never opened
    with pytest.raises(WeightsError):
        load_weights(LENET, tmp_path)


def test_a_missing_or_broken_card_is_an_empty_one(tmp_path):
    assert load_card(LENET, tmp_path) == {}
    (tmp_path / "lenet5.json").write_text("{")
    assert load_card(LENET, tmp_path) == {}


def test_the_table_gives_the_formulas_with_their_numbers():
    rows = {row["Layer"]: row for row in table(LENET)}
    assert rows["conv1"]["Height"] == "⌊(28 + 4 − 1·(5 − 1) − 1)/1⌋ + 1 = 28"
    assert rows["conv2"]["Formula"] == "(5·5·6 + 1)·16"
    assert [row["Sees"] for row in rows.values()] == ["5×5", "6×6", "14×14", "16×16", "16×16", *["28×28"] * 4]
    assert json.dumps(list(rows.values()))

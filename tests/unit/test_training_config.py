"""Settings: every limit at its number and past it, blocks that can't be built, JSON from anywhere."""

import contextlib
import json
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.nets.blocks import Block, Hidden
from cnnviz.nets.presets import PRESETS
from cnnviz.training.config import LIMITS, ConfigError, TrainingConfig, differences, from_json
from cnnviz.training.recipes import PUBLISHED, RECIPES

SWEEPS = "sweep_axes", "sweep_points", "sweep_runs"  # test_sweeps.py has those
DEFAULT = TrainingConfig(preset="quick-mnist")
BLOCK, HIDDEN = Block(8, 3), Hidden(16)
OWN = replace(DEFAULT, preset="", blocks=(BLOCK,), hidden=(HIDDEN,))


def with_number(name: str, value) -> TrainingConfig:
    """Settings in which one number has a value."""
    if name in ("filters", "kernel", "stride", "dropout of a block"):
        name = name.removesuffix(" of a block")
        return replace(OWN, blocks=(replace(BLOCK, **{name: value}),), batch_size=1)
    if name in ("units", "dropout"):
        return replace(OWN, hidden=(replace(HIDDEN, **{name: value}),))
    if name in ("blocks", "hidden"):
        return replace(OWN, **{name: (BLOCK if name == "blocks" else HIDDEN,) * value})
    return replace(DEFAULT, **{name: value})


@pytest.mark.parametrize(
    "name", [*sorted(LIMITS.keys() - {"parameters", "values", *SWEEPS}), "dropout of a block"]
)  # fmt: skip
def test_each_limit_holds_at_its_number_and_not_past_it(name):
    least, most = LIMITS[name.removesuffix(" of a block")]
    whole = name not in ("share", "learning_rate", "weight_decay", "dropout", "dropout of a block")
    for bound in least, most:
        with_number(name, int(bound) if whole else bound).check()
    for past in (least - 1, most + 1) if whole else (least - 1e-9 - least / 2, most * 1.01):
        if name == "hidden" and past < 0:
            continue  # there is no such network
        with pytest.raises(ConfigError, match="goes from"):
            with_number(name, past).check()


def test_the_most_parameters_and_the_most_numbers_a_batch(monkeypatch):
    most = replace(OWN, blocks=(Block(52, 3),), hidden=(Hidden(490),))
    assert sum(most.network().parameters()) == LIMITS["parameters"][1] == 5_000_000
    most.check()
    with pytest.raises(ConfigError, match="5,000,000 are the most. Most are in dense1"):
        replace(most, hidden=(Hidden(491),)).check()
    count = sum(DEFAULT.network().parameters())
    monkeypatch.setitem(LIMITS, "parameters", (1, count))
    DEFAULT.check()
    monkeypatch.setitem(LIMITS, "parameters", (1, count - 1))
    with pytest.raises(ConfigError, match="Most are in dense1"):
        DEFAULT.check()
    monkeypatch.undo()
    wide = replace(OWN, blocks=(Block(256, 3, pool="none"),), batch_size=246)
    with pytest.raises(ConfigError, match="choose a batch size of at most ([0-9,]+)") as told:
        replace(wide, batch_size=4096).check()
    fits = int(str(told.value).split("at most ")[1].split(",")[0].replace(",", ""))
    replace(wide, batch_size=fits).check()
    with pytest.raises(ConfigError):
        replace(wide, batch_size=fits + 1).check()


@pytest.mark.parametrize(("blocks", "words"), [
    ((Block(8, 11, padding="valid", pool="none"), Block(8, 11, padding="valid", pool="none"),
      Block(8, 11, padding="valid")), "Block 3 can't be built: its kernel is 11x11 and it is given 8x8"),
    ((Block(8, 3, stride=4), Block(8, 3, stride=4, pool="max")), "Block 2 can't be built: its pooling window"),
])  # fmt: skip
def test_blocks_that_can_not_be_built_name_the_number_to_change(blocks, words):
    with pytest.raises(ConfigError, match=words) as told:
        replace(OWN, blocks=blocks).check()
    assert "Choose" in str(told.value)


@pytest.mark.parametrize("changes", [
    {"dataset": "nist"}, {"preset": "vgg"}, {"optimizer": "lbfgs"}, {"schedule": "sine"}, {"device": "tpu"},
    {"augmentation": "cutout"}, {"initializer": "ones"}, {"precision": "int8"}, {"device": "gpu:0;rm"},
    {"dataset": "cifar10"}, {"dataset": "fashion_mnist", "augmentation": "sketches"},
    {"dataset": "cifar10", "preset": "small-cifar", "augmentation": "warp"},
])  # fmt: skip
def test_what_is_unknown_or_does_not_go_together_is_told(changes):
    with pytest.raises(ConfigError, match="choose|made for"):
        replace(DEFAULT, **changes).check()


@pytest.mark.parametrize("name", RECIPES)
def test_every_preset_has_a_recipe_that_json_keeps(name):
    config = RECIPES[name]
    assert config.preset == name
    assert from_json(json.dumps(config.as_json())) == config
    assert set(RECIPES) == set(PRESETS) >= set(PUBLISHED)


def test_own_blocks_come_back_from_json():
    assert from_json(json.dumps(OWN.as_json())) == OWN
    assert differences(DEFAULT, replace(DEFAULT, epochs=7)) == {"epochs": (DEFAULT.epochs, 7)}


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6,
)  # fmt: skip
names = st.sampled_from([field.name for field in fields(TrainingConfig)] + ["filters", "model", "<b>"])


@given(st.dictionaries(names, anything, max_size=4))
def test_forged_settings_are_taken_or_refused_in_a_sentence(forged):
    # Whatever is taken can be trained with; whatever is not is refused with a ConfigError, and nothing else.
    with contextlib.suppress(ConfigError):
        from_json(json.dumps(forged)).check()


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(content):
    with pytest.raises(ConfigError):
        from_json(b"\x00" + content)

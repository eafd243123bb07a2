"""Which columns of a wide dense layer a message from the browser gets."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnviz.components.columns import MOST, WHOLE, answer, digest, wide
from cnnviz.nets.presets import PRESETS
from cnnviz.trace import LayerTrace, Trace

NETWORK = PRESETS["book-cifar"]
INPUTS, UNITS = 4096, 1024


def dense(name, kernel):
    layer = next(layer for layer in NETWORK.layers if layer.name == name)
    given, output = np.zeros(kernel.shape[0], np.float32), np.zeros(kernel.shape[1], np.float32)
    return LayerTrace(layer, given, kernel, output, output, output)


rng = np.random.default_rng(2)
KERNEL = rng.random((INPUTS, UNITS), np.float32)
TRACE = Trace(NETWORK, np.zeros((32, 32, 3), np.float32),
              (dense("dense1", KERNEL), dense("logits", rng.random((UNITS, 10), np.float32))))  # fmt: skip
GOOD = {"layer": "dense1", "kernel": digest(KERNEL), "unit": 7, "count": 1, "number": 3}


def test_only_large_kernels_are_left_out():
    assert wide(TRACE).keys() == {"dense1"}
    for network in PRESETS.values():
        layers = zip(network.layers[1:], network.shapes(), strict=False)
        largest = max(inputs[-1] * layer.units for layer, inputs in layers if layer.kind == "dense")
        assert (largest > WHOLE) == (network.name.startswith(("book", "low-level")))


@given(unit=st.integers(0, UNITS - 1), count=st.integers(1, MOST), number=st.integers(0, 2**53 - 1))
def test_the_columns_that_are_asked_for(unit, count, number):
    count = min(count, UNITS - unit)
    header, arrays = answer(TRACE, {**GOOD, "unit": unit, "count": count, "number": number})
    assert header == {"number": number, "unit": unit}
    assert np.array_equal(arrays["columns"], KERNEL[:, unit : unit + count].T)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(anything | st.fixed_dictionaries(dict.fromkeys(GOOD, anything)))
def test_a_message_of_another_shape_is_ignored(message):
    assert answer(TRACE, message) == ({}, {})


@pytest.mark.parametrize(
    "forged",
    [{"kernel": digest(KERNEL) + 1}, {"kernel": None}, {"kernel": str(digest(KERNEL))},
     {"layer": "logits"}, {"layer": "conv1"}, {"layer": "flatten"},
     {"layer": ["dense1"]},
     {"unit": -1}, {"unit": UNITS}, {"unit": "7"}, {"unit": 7.0}, {"unit": True}, {"unit": math.nan}, {"unit": 10**30},
     {"unit": None}, {"count": 0}, {"count": -1}, {"count": MOST + 1}, {"count": 10**9}, {"count": math.inf},
     {"unit": UNITS - 1, "count": 2}, {"number": "1"}, {"number": -1}, {"number": 2**60}, {"number": {}}],
)  # fmt: skip
def test_a_forged_message_is_ignored(forged):
    assert answer(TRACE, {**GOOD, **forged}) == ({}, {})
    incomplete = {name: value for name, value in GOOD.items() if name not in forged}
    assert answer(TRACE, incomplete) == ({}, {})

"""Every number that the stepper computes or shows is TensorFlow's: to 1e-5 of the layer's largest value."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_network import random_trace
from walking import CHOSEN, choose_layer, close, expect_place, go, grid, number, opened, random_cells, truth, until

from cnnviz.arithmetic import field
from cnnviz.nets.presets import PRESETS

COMPONENTS = Path(__file__).resolve().parents[2] / "cnnviz" / "components"
TIMES = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

sides = st.integers(1, 9)
paddings = st.sampled_from(["valid", "same"])


@pytest.fixture(scope="module")
def script(browser):
    """A page that holds the stepper's arithmetic and nothing else."""
    page = browser.new_page()
    page.add_script_tag(content=(COMPONENTS / "windows.js").read_text())
    yield page
    page.close()


def layer_of(image, k, stride, padding, dilation, **more):
    rows, columns, channels = image.shape
    return {"n": [rows, columns], "k": k, "s": stride, "d": dilation, "padding": padding, "channels": channels,
            "input": image.ravel().tolist(), **more}  # fmt: skip


BUILD = """given => {
  const [rows, columns] = [0, 1].map((i) => axis(given.n[i], given.k[i], given.s, given.d, given.padding));
  const [input, kernel] = [given.input, given.kernel ?? []].map((values) => Float32Array.from(values));
  const layer = { ...given, rows, columns, input, kernel };
"""
CONVOLVE = (
    BUILD
    + """
  const cells = [];
  for (let cell = 0; cell < rows.out * columns.out; cell++) {
    for (let filter = 0; filter < given.filters; filter++) {
      let sum = given.bias[filter];
      for (let channel = 0; channel < given.channels; channel++) {
        sum += convChannel(layer, filter, Math.floor(cell / columns.out), cell % columns.out, channel);
      }
      cells.push(sum);
    }
  }
  return { shape: [rows.out, columns.out], cells, all: [...convolve(layer)] };
}"""
)
POOL = BUILD + "return { shape: [rows.out, columns.out], all: [...pool({ ...layer, filters: layer.channels })] }; }"


@TIMES
@given(n=st.tuples(sides, sides), k=st.tuples(st.integers(1, 5), st.integers(1, 5)),
       stride=st.integers(1, 3), dilation=st.integers(1, 2), padding=st.sampled_from(["valid", "same", "full"]),
       channels=st.integers(1, 4), filters=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))  # fmt: skip
def test_a_convolution_in_the_browser_is_tensorflows(script, n, k, stride, dilation, padding, channels, filters, seed):
    spans = [dilation * (side - 1) + 1 for side in k]
    if padding == "valid" and (n[0] < spans[0] or n[1] < spans[1]):
        n = (max(n[0], spans[0]), max(n[1], spans[1]))
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(*n, channels)).astype(np.float32)
    kernel = rng.normal(size=(*k, channels, filters)).astype(np.float32)
    bias = rng.normal(size=filters).astype(np.float32)
    padded, name = image, padding.upper()
    if padding == "full":
        padded, name = np.pad(image, [(span - 1, span - 1) for span in spans] + [(0, 0)]), "VALID"
    expected = tf.nn.conv2d(padded[None], kernel, stride, name, dilations=dilation)[0].numpy() + bias
    found = script.evaluate(CONVOLVE, layer_of(image, k, stride, padding, dilation, filters=filters,
                                               kernel=kernel.ravel().tolist(), bias=bias.tolist()))  # fmt: skip
    assert tuple(found["shape"]) == expected.shape[:2]
    largest = np.abs(expected).max()
    assume(largest > 1)  # else all that is left of the sums is TensorFlow's own round-off
    for cells in found["cells"], found["all"]:
        assert np.abs(np.reshape(cells, expected.shape) - expected).max() <= 1e-5 * largest


@TIMES
@given(n=st.tuples(sides, sides), k=st.tuples(st.integers(1, 4), st.integers(1, 4)), stride=st.integers(1, 3),
       padding=paddings, mode=st.sampled_from(["max", "average"]), channels=st.integers(1, 3),
       seed=st.integers(0, 2**32 - 1))  # fmt: skip
def test_pooling_in_the_browser_is_tensorflows(script, n, k, stride, padding, mode, channels, seed):
    if padding == "valid":
        n = (max(n[0], k[0]), max(n[1], k[1]))
    # All below zero: zeros of padding would win every maximum.
    image = -np.random.default_rng(seed).random((*n, channels), np.float32) - 0.1
    pooling = {"max": tf.nn.max_pool2d, "average": tf.nn.avg_pool2d}[mode]
    expected = pooling(image[None], k, stride, padding.upper())[0].numpy()
    found = script.evaluate(POOL, layer_of(image, k, stride, padding, 1, mode=mode))
    assert tuple(found["shape"]) == expected.shape[:2]
    assert np.abs(np.reshape(found["all"], expected.shape) - expected).max() <= 1e-5 * np.abs(expected).max()


stacks = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), paddings, st.integers(1, 2)), min_size=1, max_size=4)


@TIMES
@given(layers=stacks, n=st.integers(20, 40), data=st.data())
def test_receptive_fields_in_the_browser_are_pythons(script, layers, n, data):
    chain, size = [], n
    for k, s, padding, d in layers:
        if padding == "valid" and d * (k - 1) + 1 > size:
            continue
        out = script.evaluate("a => axis(...a).out", [size, k, s, d, padding])
        chain.append((size, k, s, padding, d))
        size = out
    index = data.draw(st.integers(0, size - 1))
    axes = [[n, k, s, d, padding] for n, k, s, padding, d in chain]
    found = script.evaluate("([axes, index]) => [...field(axes.map((a) => axis(...a)), index)]", [axes, index])
    assert sorted(found) == field(chain, index).tolist()


@pytest.mark.parametrize("model", CHOSEN)
def test_what_the_step_page_shows_is_tensorflows(page, model):
    opened(page, f"/step?model={model}&sample=two")
    check_every_layer(page, truth(model, "two"))


def test_what_the_stepper_shows_of_a_colour_network_is_its_trace(page, random_server):
    """With a kernel of even size, 64 maps and a dense layer whose weights come column by column."""
    opened(page, f"{random_server.url}/?page=step&model=book-cifar")
    check_every_layer(page, random_trace(PRESETS["book-cifar"]))


def check_every_layer(page, expected):
    """Every layer at random cells of random filters, read back from the page."""
    rng = np.random.default_rng(11)
    for record in expected.layers:
        layer, output, pre = record.layer, record.output, record.pre_activation
        choose_layer(page, layer.name)
        largest = float(np.abs(pre).max())
        if output.ndim == 3:
            rows, columns, filters = output.shape
            for filter in rng.integers(0, filters, 2).tolist():
                page.locator(f"[data-filter='{filter}']").click()
                for cell in random_cells(3, rows, columns, rng):
                    go(page, cell)
                    at = divmod(cell, columns)
                    expect_place(page, f"row {at[0]}, column {at[1]}")
                    assert np.float32(number(page, "output")) == output[(*at, filter)]
                    if layer.kind == "conv":
                        check_convolution(page, record, filter, at, largest)
                    else:
                        check_pooling(page, record, filter, at, largest)
            continue
        for cell in rng.integers(0, output.size, 4).tolist():
            go(page, cell)
            until(page.locator(".stage:not(:has(.loading))"))
            if layer.kind == "softmax":
                assert np.float32(number(page, "output")) == output[cell]
                assert np.float32(number(page, "logit")) == record.input[cell]
                exponential, total = (
                    page.locator(f"[data-number={name}]").text_content() for name in ("exponential", "total")
                )
                assert close(scientific(exponential) / scientific(total), float(output[cell]), 1)
            elif layer.kind == "flatten":
                assert np.float32(number(page, "output")) == output[cell]
            else:
                assert np.float32(number(page, "pre")) == pre[cell]
                if layer.activation != "linear":
                    assert np.float32(number(page, "output")) == output[cell]
                assert np.float32(number(page, "bias")) == record.bias[cell]
                assert close(number(page, "sum") + number(page, "bias"), float(pre[cell]), largest)


def check_convolution(page, record, filter, at, largest):
    pre = float(record.pre_activation[(*at, filter)])
    assert np.float32(number(page, "pre")) == record.pre_activation[(*at, filter)]
    assert np.float32(number(page, "bias")) == record.bias[filter]
    assert close(number(page, "sum") + number(page, "bias"), pre, largest)
    # The grids show two or three digits: each product is that of its two factors, as exactly as these are shown.
    patch, kernel, products = (np.array(grid(page, name)) for name in ("window", "kernel", "products"))
    assert patch.size == kernel.size == products.size == record.kernel[..., 0, 0].size
    assert np.abs(kernel - record.kernel[..., 0, filter].ravel()).max() <= 0.0051
    assert np.abs(patch * kernel - products).max() <= 0.006 * (1 + np.abs(patch).max() + np.abs(kernel).max())


def check_pooling(page, record, filter, at, largest):
    layer = record.layer
    patch = grid(page, "window")
    rows, columns = (slice(place * layer.stride, place * layer.stride + layer.window) for place in at)
    expected = record.input[rows, columns, filter].ravel()
    assert np.abs(np.array(patch) - expected).max() <= 0.0051 * max(1, np.abs(expected).max() / 10)
    if layer.mode == "average":
        assert close(number(page, "sum") / number(page, "count"), float(record.output[(*at, filter)]), largest)


def scientific(text: str) -> float:
    mantissa, _, power = text.replace("−", "-").partition("·10")
    digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
    return float(mantissa) * 10 ** int(power.translate(digits) or 0)

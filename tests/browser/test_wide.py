"""What the largest networks need: a wide dense layer's weights column by column, colours, long names of classes."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect
from random_network import random_trace
from walking import (
    as_number,
    choose_layer,
    close,
    expect_no_sideways_scrolling,
    expect_place,
    go,
    number,
    opened,
    until,
)

from cnnviz.components.columns import MOST
from cnnviz.nets.presets import PRESETS

CROWDED = """rows => rows.flatMap((row) => {
  const parts = [...row.children].filter((part) => part.offsetParent);
  const edge = row.getBoundingClientRect();
  const places = parts.map((part) => part.getBoundingClientRect());
  const across = (one, other) => one.right > other.left + 1 && other.right > one.left + 1;
  const down = (one, other) => one.bottom > other.top + 1 && other.bottom > one.top + 1;
  const overlap = places.some((one, at) => one.right > edge.right + 1
    || places.slice(at + 1).some((other) => across(one, other) && down(one, other)));
  const clipped = parts.some((part) => part.scrollWidth > part.clientWidth + 1);
  return overlap || clipped ? [row.textContent] : [];
})"""
PICTURE = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 32, 32).data]"
HOLD = """() => {
  const { send } = cnnvizColumns;
  cnnvizColumns.send = (wanted) => { window.held = () => send(wanted) };
}"""
SCRUB = """box => {
  for (let cell = 100; cell < 400; cell++) { box.value = cell; box.dispatchEvent(new Event("input")); }
}"""


@pytest.fixture(scope="module")
def book():
    return random_trace(PRESETS["book-cifar"])


def check_unit(page, record, unit):
    """The numbers of the sum, and the largest product, once the column is there."""
    until(page.locator(".falls:not(.loading) .fall.total"))
    pre = float(record.pre_activation[unit])
    assert np.float32(number(page, "pre")) == record.pre_activation[unit]
    assert np.float32(number(page, "bias")) == record.bias[unit]
    products = record.input.astype(float) * record.kernel[:, unit]
    assert close(number(page, "sum"), products.sum(), np.abs(record.pre_activation).max())
    assert close(number(page, "sum") + number(page, "bias"), pre, np.abs(record.pre_activation).max())
    largest = products[np.abs(products).argmax()]
    assert abs(as_number(page.locator(".fall b").first.text_content()) - largest) <= 0.0051


def test_the_weights_of_a_unit_come_when_somebody_looks_at_it(page, random_server, book):
    record = next(record for record in book.layers if record.layer.name == "dense1")
    sent, received = [], []

    def listen(socket):
        socket.on("framesent", lambda frame: sent.append(frame))
        socket.on("framereceived", lambda frame: received.append(frame))

    page.on("websocket", listen)
    opened(page, f"{random_server.url}/?page=step&layer=dense1&cell=7")
    expect_place(page, "unit 7")
    check_unit(page, record, 7)
    assert sum(map(len, received)) < 2_000_000  # the kernel has 17 MB
    page.get_by_text("All 4096 products").click()
    expect(page.locator("details li")).to_have_count(4096)
    page.get_by_text("All 4096 products").click()
    # Hold the question back: what is shown meanwhile is this unit's, or nothing.
    page.evaluate(HOLD)
    page.keyboard.press("ArrowRight")
    expect_place(page, "unit 8")
    page.wait_for_function("() => Boolean(window.held)")
    expect(page.locator(".coming")).to_have_text("Loading the weights of unit 8 …")
    assert page.locator("[data-number=sum]").text_content() == "…"
    assert np.float32(number(page, "pre")) == record.pre_activation[8]
    assert page.locator(".fall").first.is_hidden()
    expect(page.locator("[data-role=formula]")).to_contain_text("=⋯")
    with page.expect_download():
        page.get_by_role("button", name="Save picture").click()
    page.evaluate("() => window.held()")
    check_unit(page, record, 8)
    expect(page.locator(".coming")).to_be_empty()
    # What is there is not asked for again; who scrubs over many units is not taken to look at them.
    page.wait_for_url(re.compile("cell=8"))
    sent.clear()
    received.clear()
    page.keyboard.press("ArrowLeft")
    check_unit(page, record, 7)
    page.locator(".scrub").evaluate(SCRUB)
    expect_place(page, "unit 399")
    check_unit(page, record, 399)
    assert len(sent) == 1
    assert sum(map(len, received)) < 60_000  # neither the kernel nor the trace once more
    # Playing asks for runs of columns, and shows none before it is there.
    go(page, 0)
    check_unit(page, record, 0)
    page.locator(".pace").fill("7")
    sent.clear()
    page.keyboard.press("Space")
    page.wait_for_timeout(1500)
    page.keyboard.press("Space")
    unit = int(page.locator(".where").text_content().split()[0]) - 1
    check_unit(page, record, unit)
    assert unit >= 10
    assert len(sent) <= unit // MOST + 3
    # Layers whose weights are there already ask for nothing.
    page.wait_for_load_state("networkidle")
    sent.clear()
    for layer in "logits", "conv2", "softmax":
        choose_layer(page, layer)
        go(page, 5)
    page.wait_for_url(re.compile("layer=softmax"))
    assert sent == []


def test_a_colour_picture_is_shown_in_colour_and_its_channels_can_be_walked(page, random_server, book):
    opened(page, f"{random_server.url}/?page=step&layer=conv1&filter=3&cell=9,0")
    check_picture(page.locator("[data-map=image] canvas"), book)
    image = page.locator("[data-map=image]")
    box = image.bounding_box()
    image.hover(position={"x": box["width"] * 4.5 / 32, "y": box["height"] * 2.5 / 32})
    shown = re.findall(r"(red|green|blue) ([\d.e−]+)", page.locator("[role=tooltip] b").inner_text())
    assert [np.float32(as_number(text)) for _, text in shown] == book.image[2, 4].tolist()
    # A kernel of even size pads less before than behind.
    kernel = book.layers[0].kernel
    for channel, name in enumerate(("red", "green", "blue")):
        page.locator(f'[data-map="input {channel}"]').click()
        expect(page.get_by_text(f"Map {channel}, {name} (0 to 2)")).to_be_visible()
        grid = page.locator('[data-map="window"] .numbers > *').all_text_contents()
        patch = np.pad(book.image, [(1, 2), (1, 2), (0, 0)])[9:13, 0:4, channel]
        assert np.abs(np.array([as_number(text) for text in grid]) - patch.ravel()).max() <= 0.0051
        weights = [as_number(text) for text in page.locator('[data-map="kernel"] .numbers > *').all_text_contents()]
        assert np.abs(np.array(weights) - kernel[..., channel, 3].ravel()).max() <= 0.0051
    assert np.float32(number(page, "pre")) == book.layers[0].pre_activation[9, 0, 3]
    check_room(page, ["conv1", "pool1", "conv2", "flatten", "dense1", "logits", "softmax"])


def check_picture(canvas, trace):
    assert np.array_equal(np.reshape(canvas.evaluate(PICTURE), (32, 32, 4))[..., :3], np.floor(trace.image * 255 + 0.5))


def check_room(page, layers):
    """Nothing is clipped, laid over something else or wider than the window."""
    for layer in layers:
        choose_layer(page, layer)
        go(page, 1)
        if layer == "dense1":
            until(page.locator(".falls:not(.loading) .fall.total"))
        assert page.locator(".class, .fall, tr, .chips button").evaluate_all(CROWDED) == []
        expect_no_sideways_scrolling(page)


def test_kernels_on_colours_are_pictures_in_colour(page, random_server, book):
    """Red, green and blue of a pixel are the three weights, half as bright where a weight is 0; gaps are empty."""
    page.goto(f"{random_server.url}/?page=kernels")
    until(page.locator("[data-map=new] canvas"))
    kernel = book.layers[0].kernel
    k, filters = kernel.shape[0], kernel.shape[3]
    high = float(page.locator(".legend span").last.text_content())
    assert high >= np.abs(kernel).max()
    for part, factor in ("old", 1), ("new", 0.5):
        face = page.locator(f"[data-map={part}] canvas")
        flat, height, width = face.evaluate(
            "box => [[...box.getContext('2d').getImageData(0, 0, box.width, box.height).data], box.height, box.width]"
        )
        shown = np.reshape(flat, (height, width, 4))
        assert (height, width) == (filters // 8 * (k + 1) - 1, 8 * (k + 1) - 1)
        for filter in range(filters):
            y, x = filter // 8 * (k + 1), filter % 8 * (k + 1)
            wanted = (factor * kernel[..., filter] / high + 1) / 2 * 255
            assert np.abs(shown[y : y + k, x : x + k, :3] - wanted).max() <= 0.51
        assert (shown[..., 3] == 255).sum() == filters * k * k
        assert not shown[k, :, 3].any()
    face.scroll_into_view_if_needed()
    box = face.bounding_box()  # the last filter's last cell but one
    page.mouse.click(
        box["x"] + (width - 1.5) / width * box["width"], box["y"] + (height - 0.5) / height * box["height"]
    )
    weights = kernel[k - 1, k - 2, :, filters - 1]
    for text, factor in (
        (page.locator(".tip b").text_content(), 0.5),
        (page.locator(".worked p").first.text_content(), 1),
    ):
        said = [as_number(part) for part in re.findall("(?:red|green|blue) ([^ ]+)", text)]
        assert np.array_equal(np.float32(said[:3]), weights * np.float32(factor))


def test_long_names_have_room_on_a_phone(phone, random_server):
    opened(phone, f"{random_server.url}/?page=step&layer=logits")
    check_room(phone, ["logits", "softmax", "dense1"])
    phone.goto(f"{random_server.url}/")
    until(phone.locator(".row.top"))
    assert phone.locator(".row").evaluate_all(CROWDED) == []
    assert phone.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.parametrize("model", ["book-cifar", "small-cifar"])
def test_the_network_view_has_room_for_colours_names_and_many_maps(page, random_server, model):
    found = random_trace(PRESETS[model])
    page.goto(f"{random_server.url}/?model={model}")
    until(page.locator(".detail .figure"))
    view = page.locator(".st-key-network")
    check_picture(view.locator("canvas.picture"), found)
    assert view.locator(".row").evaluate_all(CROWDED) == []
    boxes = [layer.bounding_box() for layer in view.locator(".layer").all()]
    edges = [(box["x"], box["x"] + box["width"]) for box in boxes]
    assert all(right <= left for (_, right), (left, _) in zip(edges, edges[1:], strict=False))
    assert edges[-1][1] <= 1400
    tip = view.locator("[role=tooltip]")
    last = [record for record in found.layers if record.layer.kind == "pool"][-1]
    rows, columns, filters = last.output.shape
    for name, array, row, column, filter in [
        ("input, green", found.image, 5, 9, 1),
        (f"{last.layer.name}, filter {filters - 1}", last.output, rows - 1, columns - 1, filters - 1),
        ("conv2, filter 10", found.layers[2].output, 3, 4, 10),
    ]:
        button = view.get_by_role("button", name=name, exact=True)
        box = button.bounding_box()
        height, width, _ = array.shape
        x, y = (column + 0.5) / width, (row + 0.5) / height
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        expect(tip).to_contain_text(f"{name.replace(', ', ' · ')} · row {row}, column {column}")
        assert np.float32(as_number(tip.locator("b").inner_text())) == array[row, column, filter]
    view.get_by_role("button", name="input, blue", exact=True).click()
    expect(view.locator(".detail")).to_contain_text("input · blue")
    expect(page.get_by_text("Chosen: ('input', 2)")).to_be_visible()
    # A first kernel has a slice for each colour, and is told so.
    view.get_by_role("button", name="conv1, filter 7", exact=True).click()
    slices = view.locator(".kernels canvas")
    slices.scroll_into_view_if_needed()
    expect(view.locator(".detail")).to_contain_text("a slice each for red, green, blue")
    box = slices.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 3)
    expect(tip).to_contain_text("conv1 kernel · filter 7 · blue · row 0, column")
    view.get_by_role("button", name="conv2, filter 10", exact=True).click()
    slices.scroll_into_view_if_needed()
    box = slices.bounding_box()
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    expect(tip).to_contain_text("conv2 kernel · filter 10 · map 0 · row 0, column 0")
    assert np.float32(as_number(tip.locator("b").inner_text())) == found.layers[2].kernel[0, 0, 0, 10]
    beside = found.layers[2].kernel.shape[1] * 4  # four pixels a weight; there the first slice ends
    assert slices.evaluate("(canvas, x) => canvas.getContext('2d').getImageData(x, 0, 1, 1).data[3]", beside) > 0
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 3)
    expect(tip).to_contain_text("map 5 · row 0, column")

"""The convolution and the pooling lab: their numbers against TensorFlow's, and everything that one can change."""

import io
import re
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from playwright.sync_api import expect
from walking import close, expect_no_sideways_scrolling, expect_place, go, grid, number, opened, where

from cnnviz.inputs.pictures import MAP_SIDE, as_map
from cnnviz.inputs.samples import COLOURS
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import load_weights

TEXTBOOK = np.arange(1, 10, dtype=np.float32).reshape(3, 3)


def setting(page, name):
    return page.locator(f"[data-setting={name}]")


def slide(page, name, value):
    setting(page, name).fill(str(value))


def pick(page, name, value):
    setting(page, name).locator(f"label:has(input[value={value}])").click()


def link(image, kernel=None, **settings) -> str:
    def text(array):
        return ";".join(",".join(str(np.float32(value)) for value in row) for row in array)

    parts = [f"input={text(image)}"] if isinstance(image, np.ndarray) else [f"input={image}"]
    if kernel is not None:
        parts.append("kernel=" + "|".join(text(kernel[..., channel]) for channel in range(kernel.shape[2])))
    return "&".join([*parts, *(f"{name}={value}" for name, value in settings.items())])


def png(array) -> dict:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "png")
    return {"name": "picture.png", "mimeType": "image/png", "buffer": file.getvalue()}


def test_the_convolution_lab_opens_on_the_textbook(page):
    opened(page, "/convolution")
    assert grid(page, "input") == TEXTBOOK.ravel().tolist()
    assert grid(page, "kernel") == [-1, 0, 0, -1]
    assert grid(page, "output") == [-6, -8, -12, -14]
    expect(page.locator("[data-role=formula]")).to_contain_text("1·(−1)+2·0+4·0+5·(−1)+0=−6")


def test_it_plays_steps_and_jumps(page):
    opened(page, "/convolution")
    page.locator(".pace").fill("7")
    page.locator("[data-action=toggle]").click()
    expect_place(page, "row 1, column 1")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect_place(page, "row 0, column 1")
    assert grid(page, "window") == [2, 3, 5, 6]
    assert grid(page, "products") == [-2, 0, 0, -6]
    box = page.locator("[data-map=output]").bounding_box()
    page.locator("[data-map=output]").click(position={"x": box["width"] * 0.25, "y": box["height"] * 0.75})
    expect_place(page, "row 1, column 0")
    page.keyboard.press("]")  # the next kernel
    expect(setting(page, "kernel_")).to_have_value("identity")
    page.keyboard.press("[")
    expect(setting(page, "kernel_")).to_have_value("textbook")


def test_a_number_typed_changes_the_output_and_can_be_undone(page):
    opened(page, "/convolution")
    page.get_by_role("textbox", name="input row 0, column 0").fill("10")
    assert grid(page, "output") == [-15, -8, -12, -14]
    assert number(page, "pre") == -15
    page.get_by_role("textbox", name="kernel row 0, column 1").fill("-0.5")
    assert grid(page, "output") == [-16, -9.5, -14.5, -17]
    bad = page.get_by_role("textbox", name="kernel row 1, column 1")
    bad.fill("x")
    expect(bad).to_have_attribute("aria-invalid", "true")
    assert grid(page, "output") == [-16, -9.5, -14.5, -17]
    page.locator("[data-action=undo]").click()
    page.locator("[data-action=undo]").click()
    assert grid(page, "output") == [-6, -8, -12, -14]
    page.locator("[data-action=redo]").click()
    assert grid(page, "output") == [-15, -8, -12, -14]
    page.locator("[data-action=reset]").click()
    assert grid(page, "output") == [-6, -8, -12, -14]


def test_a_size_typed_digit_by_digit_keeps_the_numbers(page):
    opened(page, "/convolution?padding=same")
    page.get_by_role("spinbutton", name="Rows of the input").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("12", delay=50)
    assert grid(page, "input") == [*range(1, 10), *[0] * 27]


def test_a_cell_shows_its_number_to_the_last_digit_while_it_is_edited(page):
    opened(page, "/convolution?kernel=0.0625,123.456")
    cell = page.get_by_role("textbox", name="kernel row 0, column 0")
    expect(cell).to_have_value("0.06")
    cell.focus()
    expect(cell).to_have_value("0.0625")


def test_another_network_changes_nothing_but_the_kernels_to_choose_from(page):
    opened(page, "/convolution?stride=2&padding=same&bias=1.5")
    before = grid(page, "output")
    page.get_by_role("combobox").first.click()
    page.get_by_role("option", name="lenet5-1998").click()
    option = page.locator("[data-setting=kernel_] option", has_text=f"{PRESETS['lenet5-1998'].title}, conv1 filter 0")
    expect(option).to_have_count(1)
    assert grid(page, "output") == before
    assert [setting(page, name).input_value() for name in ("rows", "stride", "bias")] == ["3", "2", "1.5"]
    expect(setting(page, "padding").locator("input[value=same]")).to_be_checked()


def test_a_kernel_of_a_network_that_sees_colours_has_a_slice_for_each(page):
    opened(page, "/convolution?model=small-cifar&input=colours")
    setting(page, "kernel_").select_option(label=f"{PRESETS['small-cifar'].title}, conv1 filter 4")
    kernel = load_weights(PRESETS["small-cifar"])["conv1"][0]
    expect(page).to_have_url(re.compile("kernel="))
    link = parse_qs(urlsplit(page.url).query)["kernel"][0]
    slices = [[row.split(",") for row in one.split(";")] for one in link.split("|")]
    assert np.array_equal(np.float32(slices), kernel[..., 4].transpose(2, 0, 1))


def test_another_input_of_the_same_size_is_another_input(page):
    opened(page, "/convolution?input=two")
    setting(page, "input_").select_option("five")
    expect(page.get_by_text("Input: 28×28 (sample: 5)")).to_be_visible()


def test_a_link_that_opens_on_an_impossible_choice_can_be_mended(page):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"/convolution?kernel={';'.join([','.join('1' * 7)] * 7)}&dilation=3&stride=9")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The link's stride makes no sense", timeout=60_000)
    expect(alert).to_contain_text("spans 19 rows")
    page.keyboard.press("Space")
    pick(page, "padding", "same")
    assert len(grid(page, "output")) == 9
    expect(alert).to_be_hidden()
    assert errors == []


def test_a_slider_that_moves_on_is_undone_in_one_step(page):
    opened(page, "/convolution")
    for value in 1, 2, 3:
        slide(page, "bias", value)
    page.locator("[data-action=undo]").click()
    assert number(page, "bias") == 0


def test_a_lab_is_as_one_left_it(page):
    opened(page, "/convolution")
    setting(page, "kernel_").select_option("identity")
    page.get_by_role("link", name="Pooling lab").click()
    expect(page.locator("[data-setting=shift]")).to_be_visible()
    page.get_by_role("link", name="Convolution lab").click()
    expect(setting(page, "kernel_")).to_have_value("identity")


def test_settings_change_the_output_and_the_formula(page):
    opened(page, "/convolution")
    facts = page.locator(".formulas")
    pick(page, "padding", "full")
    assert len(grid(page, "output")) == 16
    expect(facts).to_contain_text("3+2−1·(2−1)−11⌋+1=4")
    slide(page, "stride", 2)
    assert len(grid(page, "output")) == 4
    slide(page, "bias", 2.5)
    assert number(page, "bias") == 2.5
    setting(page, "activation_").select_option("relu")
    assert grid(page, "output") == [1.5, 0, 0, 0]
    assert number(page, "pre") == 1.5


def test_an_impossible_choice_says_which_number_to_change(page):
    opened(page, "/convolution")
    slide(page, "dilation", 3)
    problem = page.get_by_role("alert")
    advice = "spans 4 {0}s (2 taps, 3 apart), the input has 3. Choose a kernel of at most 1 {0}, dilation 2, "
    advice += "an input of 4 {0}s or padding same or padding full."
    for name in "row", "column":
        expect(problem).to_contain_text(advice.format(name))
    slide(page, "dilation", 2)
    expect(problem).to_be_hidden()
    assert grid(page, "output") == [-10]


def test_every_size_has_its_limit(page):
    opened(page, "/convolution?padding=same")
    for name, low, high in [("rows", 1, 12), ("columns", 1, 12), ("height", 1, 7), ("width", 1, 7)]:
        for value in low, high:
            setting(page, name).fill(str(value))
            expect(setting(page, name)).to_have_attribute("aria-invalid", "false")
            expect(page.get_by_role("alert")).to_be_hidden()
        for value in low - 1, high + 1, 2.5:
            setting(page, name).fill(str(value))
            expect(page.get_by_role("alert")).to_contain_text(f"a whole number from {low} to {high}")
        setting(page, name).blur()
        expect(setting(page, name)).to_have_value(str(high))
        expect(page.get_by_role("alert")).to_be_hidden()


def test_true_convolution_flips_the_kernel(page):
    kernel = np.float32([[1, 2], [3, 4]])
    opened(page, f"/convolution?{link(TEXTBOOK, kernel[..., None])}")
    correlated = tf.nn.conv2d(TEXTBOOK[None, ..., None], kernel[..., None, None], 1, "VALID").numpy().ravel()
    assert grid(page, "output") == correlated.tolist()
    setting(page, "flip").check()
    flipped = tf.nn.conv2d(TEXTBOOK[None, ..., None], kernel[::-1, ::-1, None, None], 1, "VALID").numpy().ravel()
    assert grid(page, "output") == flipped.tolist()
    assert grid(page, "kernel") == [4, 3, 2, 1]
    page.get_by_role("textbox", name="kernel row 0, column 0").fill("9")  # in the flipped one: the last of one's own
    setting(page, "flip").uncheck()
    assert grid(page, "kernel") == [1, 2, 3, 9]


# What the browser computes is proved in test_exact.py for all of them; here some are read back from the page.
CASES = [(1, 1, "valid", (3, 3)), (2, 1, "same", (2, 2)), (3, 2, "same", (3, 2)), (2, 2, "valid", (2, 3)),
         (3, 1, "same", (4, 5)), (1, 2, "same", (2, 2))]  # fmt: skip


@pytest.mark.parametrize(("stride", "dilation", "padding", "k"), CASES)
def test_what_the_lab_shows_is_tensorflows(page, stride, dilation, padding, k):
    rng = np.random.default_rng(stride * 100 + dilation * 10 + sum(k))
    image = rng.integers(-9, 10, (7, 8)).astype(np.float32)
    kernel = rng.integers(-9, 10, (*k, 1)).astype(np.float32)
    expected = tf.nn.conv2d(image[None, ..., None], kernel[..., None], stride, padding.upper(), dilations=dilation)[
        0, ..., 0
    ].numpy()
    opened(page, f"/convolution?{link(image, kernel, stride=stride, dilation=dilation, padding=padding)}")
    assert grid(page, "output") == expected.ravel().tolist()
    columns = expected.shape[1]
    for cell in {0, columns - 1, expected.size - columns, expected.size - 1, int(rng.integers(expected.size))}:
        go(page, cell)
        expect_place(page, f"row {cell // columns}, column {cell % columns}")
        assert number(page, "pre") == expected.flat[cell]
        assert sum(grid(page, "products")) == number(page, "sum") == expected.flat[cell]


def test_colour_three_slices_give_one_map(page):
    rng = np.random.default_rng(3)
    image = as_map(COLOURS.read_bytes())
    kernel = rng.normal(size=(3, 3, 3)).astype(np.float32).round(2)
    expected = tf.nn.conv2d(image[None], kernel[..., None], 1, "SAME")[0, ..., 0].numpy()
    opened(page, f"/convolution?{link('colours', kernel, padding='same')}")
    assert page.locator(".inputs .mapview").count() == 3
    assert page.locator(".partials .mapview").count() == 4
    rows, columns = expected.shape
    for cell in [0, columns - 1, 20 * columns + 20, rows * columns - 1]:
        go(page, cell)
        expect_place(page, f"row {cell // columns}, column {cell % columns}")
        assert close(number(page, "pre"), expected.flat[cell], np.abs(expected).max())
        assert abs(sum(grid(page, "channel sums")) - expected.flat[cell]) <= 0.016
    page.locator('[data-map="input 2"]').click()
    expect(page.get_by_text("Map 2, blue (0 to 2)")).to_be_visible()
    assert np.allclose(grid(page, "kernel"), kernel[..., 2].ravel(), atol=0.0051)
    setting(page, "grey").check()
    expect(page.locator(".inputs .mapview")).to_have_count(1)


def test_a_kernel_of_the_network_gives_its_first_layer(page):
    from walking import truth

    record = truth("lenet5", "two").layers[0]
    opened(page, "/convolution?model=lenet5&input=two&padding=same")
    setting(page, "kernel_").select_option(f"{PRESETS['lenet5'].title}, conv1 filter 3")
    for cell in 0, 14 * 28 + 14:
        go(page, cell)
        expected = record.pre_activation.reshape(-1, 6)[cell, 3] - record.bias[3]
        assert close(number(page, "pre"), expected, np.abs(record.pre_activation).max())


def test_a_link_holds_everything(page, new_page):
    opened(page, "/convolution")
    setting(page, "rows").fill("4")
    setting(page, "kernel_").select_option("Sobel, vertical")
    pick(page, "padding", "same")
    slide(page, "bias", -1.5)
    setting(page, "activation_").select_option("tanh")
    setting(page, "flip").check()
    page.keyboard.press("Escape")
    page.locator("[data-action=last]").click()
    page.wait_for_url(re.compile("cell=3%2C2"))
    other = new_page()
    opened(other, page.url)
    assert where(other) == "row 3, column 2"
    for name in "pre", "output", "sum", "bias":
        assert number(other, name) == number(page, name)
    assert grid(other, "output") == grid(page, "output")
    assert setting(other, "kernel_").input_value() == "Sobel, vertical"


# Forged in one link: each gets a sentence of its own.
FORGED = [
    {"input": "<script>", "kernel": "1,a", "stride": "0", "bias": "1e9", "activation": "constructor", "flip": "2"},
    {"input": ";".join(["1"] * 13), "kernel": ",".join("1" * 8), "stride": "0x2"},
]


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_link_opens_the_lab_with_a_sentence(page, forged):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    opened(page, "/convolution?" + "&".join(f"{name}={value}" for name, value in forged.items()))
    for name in forged:
        expect(page.get_by_role("alert")).to_contain_text(f"The link's {name} makes no sense here")
    assert grid(page, "output") == [-6, -8, -12, -14]
    assert errors == []


def test_a_picture_of_ones_own(page):
    rng = np.random.default_rng(4)
    opened(page, "/convolution?padding=same&kernel=1")
    upload = page.locator("[data-testid=stFileUploader] input[type=file]")
    upload.set_input_files(png(rng.integers(0, 256, (40, 30, 3), np.uint8)))
    expect(page.get_by_text("Input: 3 maps of 40×30 (your picture)")).to_be_visible()
    upload.set_input_files(png(rng.integers(0, 256, (300, 200), np.uint8)))
    expect(page.get_by_text(f"Input: {MAP_SIDE}×85 (your picture)")).to_be_visible()
    upload.set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    expect(page.locator("[data-testid=stAlert]")).to_contain_text("no picture")
    expect(page.get_by_text(f"Input: {MAP_SIDE}×85 (your picture)")).to_be_visible()  # nothing is lost
    page.wait_for_url(re.compile("input=upload"))


def test_an_uploaded_pictures_link_says_what_is_missing(page):
    opened(page, "/convolution?input=upload")
    expect(page.get_by_role("alert")).to_contain_text("upload it below")


def test_the_drawing_of_the_first_page_can_be_slid_over(page):
    page.goto("/?sample=five")
    expect(page.locator(".st-key-prediction")).to_have_text(re.compile("^5"), timeout=60_000)
    page.get_by_role("link", name="Convolution lab").click()
    setting(page, "input_").select_option("drawing")
    expect(page.get_by_text("Input: 28×28 (your drawing)")).to_be_visible()


def test_the_pooling_lab_opens_on_the_textbook(page):
    opened(page, "/pooling")
    assert grid(page, "output") == [5, 6, 8, 9]
    page.keyboard.press("]")
    assert grid(page, "output") == [3, 4, 6, 7]
    assert (number(page, "sum"), number(page, "count"), number(page, "output")) == (12, 4, 3)
    page.locator(".pace").fill("7")
    page.keyboard.press("Space")
    expect_place(page, "row 1, column 1")
    page.locator("[data-action=back]").click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    expect_place(page, "row 0, column 1")
    box = page.locator("[data-map=output]").bounding_box()
    page.locator("[data-map=output]").click(position={"x": box["width"] * 0.25, "y": box["height"] * 0.75})
    expect_place(page, "row 1, column 0")
    setting(page, "global").check()
    assert grid(page, "output") == [5]
    page.keyboard.press("[")
    assert grid(page, "output") == [9]


POOLINGS = [
    ("max", 1, "same", (2, 2)),
    ("average", 2, "same", (3, 2)),
    ("max", 3, "same", (4, 4)),
    ("average", 2, "valid", (3, 3)),
]


@pytest.mark.parametrize(("mode", "stride", "padding", "k"), POOLINGS)
def test_what_the_pooling_lab_shows_is_tensorflows(page, mode, stride, padding, k):
    image = -np.random.default_rng(5).integers(1, 40, (7, 8)).astype(np.float32)
    pooling = {"max": tf.nn.max_pool2d, "average": tf.nn.avg_pool2d}[mode]
    expected = pooling(image[None, ..., None], k, stride, padding.upper())[0, ..., 0].numpy()
    settings = {"mode": mode, "stride": stride, "padding": padding, "height": k[0], "width": k[1]}
    opened(page, f"/pooling?{link(image, **settings)}")
    assert np.allclose(grid(page, "output"), expected.ravel(), atol=0.051)  # shown with one digit from 10 on
    columns = expected.shape[1]
    for cell in {0, columns - 1, expected.size - columns, expected.size - 1, expected.size // 2}:
        go(page, cell)
        expect_place(page, f"row {cell // columns}, column {cell % columns}")
        assert close(number(page, "output"), expected.flat[cell], np.abs(expected).max())


def test_a_shift_by_a_pixel_is_counted(page):
    opened(page, "/pooling?input=two&stride=2")
    from cnnviz.session import thumbnails

    image = thumbnails()["two"][1].astype(np.float32) / 255
    for shift in 0, 1, 4:
        slide(page, "shift", shift)
        moved = np.pad(image, [(0, 0), (shift, 0)])[:, :28]
        pooled, after = (tf.nn.max_pool2d(one[None, ..., None], 2, 2, "VALID").numpy() for one in (image, moved))
        for role, a, b in (("before", image, moved), ("after", pooled, after)):
            words = page.locator(f"[data-role={role}]")
            expect(words).to_contain_text(f"{np.count_nonzero(a != b)} of {a.size} cells differ")
            expect(words).to_contain_text(f"{np.abs(a - b).sum() / np.abs(a).sum() * 100:.0f} %")
    expect(page.locator("[data-role=before]")).to_contain_text("3,136 bytes")
    expect(page.locator("[data-role=after]")).to_contain_text("784 bytes: 25 %")


def test_the_pooling_labs_link_finds_the_same_numbers(page):
    opened(page, "/pooling")
    page.locator("text=random").click()
    pick(page, "mode", "average")
    pick(page, "padding", "same")
    slide(page, "stride", 2)
    page.keyboard.press("Escape")
    page.locator("[data-action=last]").click()
    page.wait_for_url(re.compile("cell=1%2C1"))
    before = grid(page, "input"), grid(page, "output"), number(page, "output")
    page.reload()
    expect(page.locator("[data-role=formula] math").first).to_be_attached()
    assert (grid(page, "input"), grid(page, "output"), number(page, "output")) == before


@pytest.mark.parametrize("name", ["convolution", "pooling"])
def test_a_lab_works_with_a_thumb(phone, name):
    opened(phone, f"/{name}")
    expect_no_sideways_scrolling(phone)
    phone.locator("[data-action=forward]").tap()
    expect_place(phone, "row 0, column 1")
    cell = phone.get_by_role("textbox", name="input row 0, column 1")
    cell.tap()
    cell.fill("7")
    first = grid(phone, "output")[0]
    assert first == {"convolution": -6, "pooling": 7}[name]
    setting(phone, "input_").select_option("colours")
    expect_no_sideways_scrolling(phone)

"""Drawing in a real browser: mouse, finger, keys, and what comes of it."""

import base64
import re

import numpy as np
import pytest
from playwright.sync_api import expect
from walking import CHOSEN, answered, number, opened

from cnnviz.components.sketchpad import MAX_HISTORY
from cnnviz.inputs import normalise, parse_strokes, rasterise
from cnnviz.inputs.samples import samples
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import load_weights, shipped
from cnnviz.trace import assemble
from cnnviz.trace.tracer import trace

TWO, SEVEN = "two", "crossed-seven"
READY = 60_000  # TensorFlow may still be starting under the first test


def sample(name):
    return [np.reshape(stroke["points"], (-1, 2)).tolist() for stroke in samples()[name].strokes]


def answer(page):
    return page.locator(".st-key-prediction")


def expect_answer(page, digit):
    answered(page, f"^{digit}")


def ink(page):
    """How many pixels of the canvas are inked."""
    return page.locator(".st-key-sketchpad canvas").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".filter((value, i) => i % 4 === 3 && value > 127).length"
    )


def button(page, action):
    return page.locator(f".st-key-sketchpad [data-action={action}]")


def test_a_seven_drawn_with_the_mouse_is_read(page, draw):
    page.goto("/")
    # The sketchpad says what it is for.
    expect(page.get_by_text("Draw a digit here")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Sketchpad: draw one digit"))).to_be_visible()
    for action in ("undo", "redo", "clear"):
        expect(button(page, action)).to_be_disabled()
    draw(page, sample(SEVEN))
    expect_answer(page, 7)
    expect(page.locator(".st-key-outcome .bar.top")).to_contain_text("7")
    expect(page.get_by_text("centred in 28×28")).to_be_visible()
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def test_a_two_drawn_with_a_finger_is_read_on_a_phone(phone, draw_touch):
    phone.goto("/")
    draw_touch(phone, sample(TWO))
    expect_answer(phone, 2)
    wide = phone.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390


def test_undo_redo_and_clear(page, draw):
    page.goto("/")
    draw(page, sample(SEVEN))
    expect_answer(page, 7)
    full = ink(page)
    button(page, "undo").click()
    expect(button(page, "redo")).to_be_enabled()
    assert 0 < ink(page) < full
    button(page, "redo").click()
    expect(button(page, "redo")).to_be_disabled()
    assert ink(page) == full
    button(page, "clear").click()
    expect(answer(page)).to_contain_text("Draw a digit")
    assert ink(page) == 0
    button(page, "undo").click()
    expect_answer(page, 7)
    assert ink(page) == full
    # By key, with one stroke.
    page.keyboard.press("Delete")
    expect(answer(page)).to_contain_text("Draw a digit")
    draw(page, sample(TWO))
    expect_answer(page, 2)
    page.keyboard.press("Delete")
    expect(answer(page)).to_contain_text("Draw a digit")
    page.keyboard.press("Control+z")
    expect_answer(page, 2)
    page.keyboard.press("Control+z")
    expect(answer(page)).to_contain_text("Draw a digit")
    page.keyboard.press("Control+Shift+z")
    expect_answer(page, 2)


def test_as_many_steps_as_are_kept_can_be_undone_and_no_more(page, draw):
    page.goto("/")
    draw(page, [[(0.5, 0.3), (0.5, 0.7)]])
    box = page.locator(".st-key-sketchpad canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for _ in range(MAX_HISTORY // 2):
        page.keyboard.press("Delete")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x, y + 40)
        page.mouse.up()
    undo, undone = button(page, "undo"), 0
    while undo.is_enabled():
        page.keyboard.press("Control+z")
        page.evaluate("() => new Promise(done => setTimeout(() => requestAnimationFrame(() => setTimeout(done))))")
        undone += 1
    assert undone == MAX_HISTORY
    expect(answer(page)).to_contain_text("Draw a digit")


def test_live_answers_while_the_pen_is_down(page, draw):
    page.goto("/")
    draw(page, sample(TWO))
    expect_answer(page, 2)
    button(page, "clear").click()
    expect(answer(page)).to_contain_text("Draw a digit")
    page.locator(".st-key-sketchpad [data-setting=live]").check()
    box = page.locator(".st-key-sketchpad canvas").bounding_box()
    stroke = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in sample(TWO)[0]]
    page.mouse.move(*stroke[0])
    page.mouse.down()
    for point in stroke[1::3]:
        page.mouse.move(*point, steps=5)
        page.wait_for_timeout(60)  # a pen takes its time
    page.mouse.move(*stroke[-1])
    expect_answer(page, 2)  # the pen is still down
    page.mouse.up()
    expect_answer(page, 2)
    expect(button(page, "redo")).to_be_disabled()
    button(page, "undo").click()
    expect(button(page, "redo")).to_be_enabled()
    assert ink(page) == 0


def test_a_drawing_outlives_other_inputs_another_page_and_another_network(page, draw):
    page.goto("/")
    draw(page, sample(SEVEN))
    expect_answer(page, 7)
    before = ink(page)
    page.get_by_text("Picture", exact=True).click()
    expect(page.locator("[data-testid=stFileUploader]")).to_be_visible()
    page.get_by_text("Draw", exact=True).last.click()
    expect(button(page, "undo")).to_be_enabled()
    assert ink(page) == before
    expect_answer(page, 7)
    page.get_by_test_id("stSelectbox").locator("input").click()
    page.get_by_role("option", name="lenet5-1998").click()
    page.wait_for_url(re.compile("model=lenet5-1998"))
    expect(page.locator(".st-key-network")).to_contain_text("tanh")
    expect_answer(page, 7)
    assert ink(page) == before
    page.get_by_role("link", name="Layers").click()
    expect(page.get_by_text("61,706 parameters")).to_be_visible()
    page.get_by_role("link", name="Draw").click()
    expect_answer(page, 7)
    assert ink(page) == before
    button(page, "undo").click()
    expect(button(page, "redo")).to_be_enabled()
    assert 0 < ink(page) < before


def test_a_sample_is_one_click_and_can_be_shared(page, new_page):
    page.goto("/")
    page.get_by_role("button", name=samples()[SEVEN].title).click()
    expect_answer(page, 7)
    page.wait_for_url(re.compile(f"sample={SEVEN}"))
    other = new_page()
    other.goto(page.url)
    expect_answer(other, 7)
    expect(answer(other)).to_contain_text("sure")  # comes behind the digit
    assert answer(other).inner_text() == answer(page).inner_text()


def test_strokes_stop_at_their_limit_with_a_sentence(page, draw):
    from cnnviz.inputs.strokes import MAX_STROKES

    # A link to all strokes but one: dots 0.05 wide at (0.0032, 0.0032), as `toLink` in the sketchpad writes them.
    dots = base64.urlsafe_b64encode(bytes([50, 1, 64, 64]) * (MAX_STROKES - 1)).decode().rstrip("=")
    page.goto(f"/?drawing={dots}")
    expect(answer(page)).to_have_text(re.compile(r"^\d"), timeout=READY)
    alone = ink(page)
    draw(page, [[(0.5, 0.2), (0.5, 0.8)]])
    expect(page.get_by_text("This sketch is full")).to_be_hidden()
    before = ink(page)
    assert before > alone
    draw(page, [[(0.1, 0.97), (0.9, 0.97)]])
    expect(page.get_by_text("This sketch is full")).to_be_visible()
    assert ink(page) == before
    expect(page.locator(".stAlert")).to_have_count(0)


def test_every_layer_shows_all_its_maps_without_scrolling_sideways(page):
    page.goto(f"/?sample={SEVEN}")
    expect_answer(page, 7)
    network = page.locator(".st-key-network")
    expect(network.locator(".layer")).to_have_count(10)
    sizes = network.locator(".layer").evaluate_all(
        "layers => layers.map(layer => [layer.querySelector('h3').textContent,"
        " layer.querySelectorAll('.map, .row').length])"
    )
    assert sizes == [["input", 1], ["conv1", 6], ["pool1", 6], ["conv2", 16], ["pool2", 16], ["flatten", 1],
                     ["dense1", 1], ["dense2", 1], ["logits", 10], ["softmax", 10]]  # fmt: skip
    edges = network.locator(".layer").evaluate_all("layers => layers.map(l => l.getBoundingClientRect().right)")
    assert max(edges) <= 1400
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= 1400


def test_the_last_picture_is_what_the_network_is_given(page):
    page.goto("/?sample=crossed-seven&model=small-digits", wait_until="commit")
    expect(page.locator(".st-key-outcome figcaption").last).to_have_text("as 8×8×1", timeout=60_000)
    page.goto("/?sample=crossed-seven&model=lenet5", wait_until="commit")
    expect(page.locator(".st-key-outcome figcaption").last).to_have_text("centred in 28×28", timeout=60_000)


def test_on_a_phone_a_wide_table_scrolls_and_not_the_page(phone):
    phone.goto("/layers", wait_until="commit")
    table = phone.locator(".st-key-layer-table")
    expect(table).to_contain_text("conv1", timeout=60_000)
    assert table.evaluate("box => box.scrollWidth > box.clientWidth")
    assert phone.locator(".stMain").evaluate("main => main.scrollWidth <= innerWidth")


def traced(name, model="lenet5"):
    image = normalise(rasterise(parse_strokes(samples()[name].strokes))).pixels
    network = PRESETS[model]
    found = assemble(network, load_weights(network), image, trace(shipped(network), image[None])[0])
    return {record.layer.name: record for record in found.layers}


def as_shown(text):
    return np.float32(text.replace("−", "-"))


@pytest.mark.parametrize("model", CHOSEN)
def test_the_number_under_the_pointer_is_the_networks_own(page, model):
    page.goto(f"/?sample={SEVEN}&model={model}")
    expect_answer(page, 7)
    expect(page.get_by_text("centred in 28×28")).to_be_visible()  # the page is whole: nothing moves any more
    layers = traced(SEVEN, model)
    for part in "Activation", "Pre-activation":
        page.get_by_text(part, exact=True).first.click()
        check_numbers_under_the_pointer(page, layers, part)
    for unit in 7, 1:
        page.locator(".st-key-outcome .bar").nth(unit).hover()
        shown = page.locator(".st-key-outcome [role=tooltip] b").inner_text()
        assert as_shown(shown) == layers["softmax"].output[unit]


def check_numbers_under_the_pointer(page, layers, part):
    maps = [(name, layers[name].output.shape) for name in ("conv1", "pool1", "conv2", "pool2")]
    corners = [(name, 0, 0, 0) for name, _ in maps]
    corners += [(name, filters - 1, rows - 1, columns - 1) for name, (rows, columns, filters) in maps]
    for name, filter, row, column in [*corners, ("conv1", 2, 13, 9), ("conv2", 7, 4, 5)]:
        button = page.get_by_role("button", name=f"{name}, filter {filter}", exact=True)
        array = layers[name].output if part == "Activation" else layers[name].pre_activation
        box = button.bounding_box()
        x, y = (column + 0.5) / array.shape[1], (row + 0.5) / array.shape[0]
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        tip = page.locator(".st-key-network [role=tooltip]")
        expect(tip).to_contain_text(f"{name} · filter {filter} · row {row}, column {column}")
        assert as_shown(tip.locator("b").inner_text()) == array[row, column, filter]
    for name, unit in [("logits", 3), ("softmax", 7), ("softmax", 1)]:
        layer = page.locator(".st-key-network .layer", has=page.get_by_role("heading", name=name))
        layer.locator(".row").nth(unit).hover()
        expect(tip).to_contain_text(f"{name} · class {unit}")
        assert as_shown(tip.locator("b").inner_text()) == layers[name].output[unit]


def test_a_chosen_map_is_shown_large_and_the_link_keeps_it(page):
    page.goto(f"/?sample={SEVEN}")
    expect_answer(page, 7)
    page.get_by_role("button", name="conv2, filter 9", exact=True).click()
    detail = page.locator(".st-key-network .detail")
    expect(detail).to_contain_text("conv2 · filter 9")
    expect(detail.locator(".kernels[data-slices='6'] canvas")).to_be_visible()
    page.wait_for_url(re.compile("layer=conv2.*filter=9"))
    bias = load_weights(PRESETS["lenet5"])["conv2"][1][9]
    assert as_shown(detail.get_by_text("bias").inner_text().split()[1]) == bias
    page.keyboard.press("]")
    expect(detail).to_contain_text("conv2 · filter 10")
    page.wait_for_url(re.compile("filter=10"))
    page.reload()
    expect_answer(page, 7)
    expect(detail).to_contain_text("conv2 · filter 10")
    # Another network's map of the same name has that network's kernel.
    page.get_by_test_id("stSelectbox").locator("input").click()
    page.get_by_role("option", name="lenet5-1998").click()
    bias = load_weights(PRESETS["lenet5-1998"])["conv2"][1][10]
    expect(detail.get_by_text("bias")).to_have_text("bias " + str(bias).replace("-", "−"))


def test_a_drawing_survives_a_reload_and_travels_in_a_link(page, new_page, draw):
    page.goto("/")
    draw(page, sample(SEVEN))
    expect_answer(page, 7)
    page.wait_for_url(re.compile("drawing="))
    drawn = ink(page)
    page.reload()
    expect_answer(page, 7)
    assert ink(page) == drawn
    page.get_by_role("link", name="Step through").click()
    expect(page.locator("[data-role=formula] math").first).to_be_attached()
    page.wait_for_url(re.compile("drawing=.*cell="))
    numbers = [number(page, name) for name in ("sum", "pre")]
    other = new_page()
    opened(other, page.url)
    assert [number(other, name) for name in ("sum", "pre")] == numbers
    other.get_by_role("link", name="Draw").click()
    expect_answer(other, 7)
    button(other, "clear").click()
    expect(other).not_to_have_url(re.compile("drawing="))


def test_a_sample_replaces_the_drawing_in_the_link(page, draw):
    page.goto("/")
    draw(page, sample(TWO))
    page.wait_for_url(re.compile("drawing="))
    page.get_by_role("button", name="5", exact=True).click()
    expect_answer(page, 5)
    page.wait_for_url(re.compile("sample=five"))
    expect(page).not_to_have_url(re.compile("drawing="))
    draw(page, [[(0.1, 0.9), (0.9, 0.95)]])
    page.wait_for_url(re.compile("drawing="))
    expect(page).not_to_have_url(re.compile("sample="))


def test_dark_is_dark(dark_page):
    dark_page.goto(f"/?sample={TWO}")
    expect_answer(dark_page, 2)
    colours = dark_page.evaluate(
        "[getComputedStyle(document.querySelector('.stApp')).backgroundColor,"
        " getComputedStyle(document.querySelector('.st-key-prediction h1')).color]"
    )
    page, text = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours]
    assert page < 150
    assert text > 600
    pixel = dark_page.locator(".st-key-sketchpad canvas").evaluate(
        "c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        " const i = d.findIndex((v, i) => i % 4 === 3 && v === 255); return d.slice(i - 3, i).reduce((a, b) => a + b) }"
    )
    assert pixel > 600  # pale ink on dark paper


def test_strokes_that_interrupt_an_answer_leave_the_page_whole(page, draw):
    """Each on a fresh page, where the first answer is still on its way when the next stroke is done."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    for _ in range(5):
        page.goto("/")
        draw(page, sample(SEVEN))
        expect_answer(page, 7)
        expect(page.locator(".st-key-outcome .bar.top")).to_be_visible()
        assert errors == []

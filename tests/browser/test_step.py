"""The page "Step through": playing, keys, jumping, links, what is saved, and that nothing of it asks the server."""

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from walking import choose_layer, expect_no_sideways_scrolling, expect_place, go, number, opened, truth, where

WATCH = """box => {
  window.seen = [];
  new MutationObserver(() => window.seen.push(box.textContent)).observe(box, { childList: true });
}"""
LINK = "/step?sample=two&layer=conv2&filter=4&cell=3,4"


def test_it_opens_ready_on_a_sample(page):
    opened(page, "/step")
    expect(page.locator("[data-layer=conv1]")).to_have_attribute("aria-pressed", "true")
    assert where(page) == "row 14, column 14"
    # Nobody has drawn it: it is not on the sketchpad.
    page.get_by_role("link", name="Draw").click()
    expect(page.get_by_text("Draw a digit here")).to_be_visible(timeout=60_000)
    assert "sample" not in page.url


def test_keys_step_jump_change_the_filter_and_are_heard(page):
    opened(page, LINK)
    page.keyboard.press("ArrowRight")
    live = page.locator("[aria-live][data-role=step]")
    expect(live).to_contain_text("conv2, filter 4, row 3, column 5: 150 products add up to")
    page.keyboard.press("ArrowLeft")
    keys = "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "End", "ArrowRight", "Home", "ArrowLeft"
    places = (3, 5), (4, 5), (4, 4), (3, 4), (9, 9), (9, 9), (0, 0), (0, 0)
    for key, (row, column) in zip(keys, places, strict=True):
        page.keyboard.press(key)
        expect_place(page, f"row {row}, column {column}")
    expected = truth("lenet5", "two").layers[2]
    for key, filter in [("]", 5), ("[", 4), ("[", 3)]:
        page.keyboard.press(key)
        expect(page.locator(f"[data-filter='{filter}']")).to_have_attribute("aria-pressed", "true")
        assert np.float32(number(page, "pre")) == expected.pre_activation[0, 0, filter]


def test_space_plays_to_the_end_along_the_rows_and_pauses(page):
    opened(page, "/step?sample=two&layer=pool2&filter=0&cell=0,0")
    page.locator(".where").evaluate(WATCH)
    page.locator(".pace").fill("5")
    page.keyboard.press("Space")
    expect_place(page, "row 4, column 4")
    expect(page.locator("[data-action=toggle]")).to_have_attribute("aria-label", "Play (space)")
    order = [int(text.split()[0]) for text in page.evaluate("window.seen")]
    assert order == sorted(order)
    assert len(order) >= 20
    page.keyboard.press("Space")  # from the beginning again
    expect(page.locator("[data-action=toggle]")).to_have_attribute("aria-label", "Pause (space)")
    page.keyboard.press("Space")
    expect(page.locator("[data-action=toggle]")).to_have_attribute("aria-label", "Play (space)")
    place = where(page)
    page.wait_for_timeout(400)
    assert where(page) == place


def test_a_slow_step_lights_products_and_lands_the_sum_last(page):
    opened(page, "/step?sample=two&layer=conv1&filter=0&cell=14,13")
    page.locator(".pace").fill("0")
    page.keyboard.press("Space")
    unlit = page.locator('[data-map="products"] .unlit')
    expect(page.locator(".term.waiting [data-number=pre]")).to_be_attached()
    expect(unlit).not_to_have_count(0)
    page.keyboard.press("Space")
    expect(unlit).to_have_count(0)
    expect(page.locator(".term.waiting")).to_have_count(0)


def test_pointing_or_clicking_at_an_output_cell_goes_there(page):
    opened(page, LINK)
    output = page.locator("[data-map=output]")
    box = output.bounding_box()
    output.hover(position={"x": box["width"] * 0.75, "y": box["height"] * 0.25})
    expect_place(page, "row 2, column 7")
    page.mouse.move(5, 5)
    expect_place(page, "row 3, column 4")
    page.keyboard.press("Space")
    output.click(position={"x": box["width"] * 0.05, "y": box["height"] * 0.95})
    expect_place(page, "row 9, column 0")
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
    page.mouse.move(5, 5)
    expect_place(page, "row 9, column 0")
    choose_layer(page, "softmax")
    page.locator(".class").nth(4).hover()
    expect_place(page, "class 4")
    # Space plays after a click with the mouse.
    choose_layer(page, "conv1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("[data-action=toggle]")).to_have_attribute("aria-label", "Pause (space)")
    page.keyboard.press("]")  # goes on with the next filter
    expect(page.locator("[data-filter='1']")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-action=toggle]")).to_have_attribute("aria-label", "Pause (space)")


def test_the_link_opens_to_the_same_numbers_elsewhere(page, new_page):
    opened(page, "/step?model=lenet5-1998&sample=three&layer=conv2&filter=7&cell=2,6")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("]")
    page.wait_for_url(re.compile(r"layer=conv2&filter=8&cell=3%2C6"))
    numbers = [number(page, name) for name in ("sum", "bias", "pre", "output")]
    other = new_page()
    opened(other, page.url)
    assert where(other) == "row 3, column 6"
    assert [number(other, name) for name in ("sum", "bias", "pre", "output")] == numbers
    page.reload()
    expect(page.locator("[data-role=formula] math").first).to_be_attached()
    assert [number(page, name) for name in ("sum", "bias", "pre", "output")] == numbers


def test_nothing_is_sent_while_stepping_and_playing(page):
    messages = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: messages.append(frame)))
    opened(page, LINK)
    page.wait_for_url(re.compile("cell=3%2C4"))
    page.wait_for_load_state("networkidle")
    messages.clear()
    for key in ["Space", "ArrowRight", "End", "]", "Home"]:
        page.keyboard.press(key)
    choose_layer(page, "dense1")
    go(page, 100)
    page.locator(".pace").fill("7")
    page.keyboard.press("Space")
    expect_place(page, "unit 119")
    page.wait_for_url(re.compile("layer=dense1"))
    assert messages == []


def test_the_receptive_field_is_drawn_both_ways(page):
    opened(page, "/step?sample=two&layer=conv2&filter=0&cell=0,0")
    caption = page.locator("[data-role=field]")
    # Rows 0 to 4 of pool1 are rows 0 to 9 of conv1, which see rows -2 to 11 of the image: two of them are padding.
    expect(caption).to_contain_text("rows 0 to 11, columns 0 to 11 (12×12)")
    page.keyboard.press("End")
    expect(caption).to_contain_text("rows 16 to 27, columns 16 to 27")
    choose_layer(page, "conv1")
    image = page.locator("[data-map=image]")
    box = image.bounding_box()
    image.hover(position={"x": box["width"] * 10.5 / 28, "y": box["height"] * 0.5 / 28})
    # Pixel row 0, column 10 reaches rows 0 to 2 and columns 8 to 12.
    path = page.locator("[data-map=output] .tint path").get_attribute("d")
    lit = {tuple(map(int, match)) for match in re.findall(r"M(\d+),(\d+)h1", path)}
    assert lit == {(column, row) for row in range(3) for column in range(8, 13)}
    page.mouse.move(5, 5)
    expect(page.locator("[data-map=output] .tint")).to_have_count(0)


def test_reduced_motion_steps_without_gliding(calm_page):
    page = calm_page
    opened(page, LINK)
    page.keyboard.press("ArrowRight")
    moved = page.locator(".window").first.evaluate("box => box.style.transform")
    page.wait_for_timeout(300)
    assert page.locator(".window").first.evaluate("box => box.style.transform") == moved
    page.keyboard.press("Space")
    expect(page.locator(".where")).not_to_have_text(re.compile("row 3, column 5$"))
    assert page.locator(".term.waiting").count() == 0


def test_one_of_many_maps_opens_to_its_grid(page):
    opened(page, "/step?model=tf-tutorial&sample=two&layer=conv3&filter=63&cell=1,1")
    assert page.locator(".inputs .mapview").count() == 64
    record = truth("tf-tutorial", "two").layers[4]
    page.locator('[data-map="input 37"]').click()
    expect(page.get_by_text("Map 37 (0 to 63)")).to_be_visible()
    kernel = page.locator('[data-map="kernel"] .numbers').evaluate("box => [...box.children].map((c) => c.textContent)")
    shown = [float(text.replace("−", "-").replace("≈", "")) for text in kernel]
    assert np.abs(np.array(shown) - record.kernel[..., 37, 63].ravel()).max() <= 0.0051


def test_all_products_of_a_dense_unit_on_demand(page):
    opened(page, "/step?sample=two&layer=dense1&cell=7")
    page.get_by_text("All 400 products").click()
    expect(page.locator("details li")).to_have_count(400)
    record = truth("lenet5", "two").layers[5]
    products = record.input * record.kernel[:, 7]
    texts = page.locator("details li").all_text_contents()
    shown = [float(text.rpartition("= ")[2].replace("−", "-")) for text in texts]
    assert np.allclose(shown, sorted(products, key=abs, reverse=True), rtol=1e-6)
    assert abs(sum(shown) + record.bias[7] - record.pre_activation[7]) < 1e-4


def test_a_map_on_the_draw_page_leads_here(page):
    page.goto("/?sample=two&layer=conv2&filter=3")
    page.get_by_role("button", name="Step through it").click()
    expect(page.locator("[data-role=formula] math").first).to_be_attached(timeout=60_000)
    expect(page.locator("[data-layer=conv2]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-filter='3']")).to_have_attribute("aria-pressed", "true")
    page.wait_for_url(re.compile("sample=two"))
    page.get_by_role("link", name="Draw").click()
    expect(page.locator(".st-key-prediction")).to_have_text(re.compile("^2"))
    page.get_by_role("link", name="Step through").click()
    expect(page.locator("[data-filter='3']")).to_have_attribute("aria-pressed", "true")  # where one was
    page.wait_for_url(re.compile("sample=two"))


def test_another_sample_and_another_network_keep_the_place(page):
    opened(page, LINK)
    page.get_by_role("button", name="5", exact=True).click()
    page.wait_for_url(re.compile("sample=five"))
    expect_place(page, "row 3, column 4")
    expected = truth("lenet5", "five").layers[2].pre_activation[3, 4, 4]
    page.wait_for_function(
        "n => [...document.querySelectorAll('*')].some((e) => e.shadowRoot?.querySelector('[data-number=pre]')"
        "?.textContent.replace('−', '-').startsWith(n))", arg=str(expected)[:6])  # fmt: skip
    assert np.float32(number(page, "pre")) == expected


@pytest.mark.parametrize(
    "query",
    [
        "layer=conv9&filter=1e9&cell=x",
        "layer=conv2&filter=99&cell=99,99",
        "layer=conv2&cell=-1,-1",
        "layer=<script>&cell=1",
        "layer=softmax&filter=3&cell=12",
    ],
)
def test_a_forged_link_opens_on_what_there_is(page, query):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    opened(page, f"/step?{query}")
    assert page.locator("[data-layer][aria-pressed=true]").count() == 1
    assert errors == []


def test_a_picture_and_an_animation_can_be_saved(page, tmp_path):
    opened(page, "/step?sample=two&layer=conv1&filter=2&cell=10,10")
    with page.expect_download() as picture:
        page.get_by_role("button", name="Save picture").click()
    assert picture.value.suggested_filename == "cnnviz-conv1-filter-2-row-10-column-10.png"
    with Image.open(picture.value.path()) as image:
        assert image.size == (1920, 880)
        assert len(image.convert("RGB").getcolors(2**20)) > 50
    with page.expect_download(timeout=120_000) as animation:
        page.get_by_role("button", name="Save as animation").click()
        expect(page.locator("progress")).to_be_visible()
    path = animation.value.path()
    assert path.stat().st_size < 2_000_000
    with Image.open(path) as film:
        frames = film.n_frames
        assert frames >= 100
        film.seek(0)
        first = np.asarray(film.convert("RGB"), int)
        film.seek(frames - 1)
        assert np.abs(np.asarray(film.convert("RGB"), int) - first).mean() > 1  # the map has filled
    expect(page.locator("progress")).to_be_hidden()
    # Another one, cancelled.
    page.get_by_role("button", name="Save as animation").click()
    expect(page.locator("progress")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("progress")).to_be_hidden()
    expect(page.get_by_role("button", name="Save as animation")).to_be_enabled()


def test_a_thumb_is_enough(phone):
    opened(phone, LINK)
    expect_no_sideways_scrolling(phone)
    bar = phone.locator(".transport")
    box = bar.bounding_box()
    assert box["y"] + box["height"] <= 844  # within reach before anything is scrolled
    phone.locator("[data-action=forward]").tap()
    expect_place(phone, "row 3, column 5")
    phone.locator("[data-layer=pool2]").tap()
    output = phone.locator("[data-map=output]")
    output.scroll_into_view_if_needed()
    box = output.bounding_box()
    phone.touchscreen.tap(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.3)
    expect_place(phone, "row 1, column 2")
    for name in ["conv1", "dense1", "logits", "softmax", "flatten"]:
        phone.locator(f"[data-layer={name}]").tap()
        expect_no_sideways_scrolling(phone)


IN_SIGHT = """item => {
  const [own, row] = [item, item.parentElement].map((part) => part.getBoundingClientRect());
  return own.left >= row.left && own.right <= row.right;
}"""


def test_on_a_phone_the_chosen_layer_and_filter_are_in_sight(phone):
    opened(phone, "/step?sample=two&layer=conv2&filter=4&cell=3,2")
    filter = phone.locator(".filters .filter[aria-pressed=true]")
    for _ in range(6):
        assert filter.evaluate(IN_SIGHT)
        phone.keyboard.press("]")
    expect(filter).to_have_attribute("data-filter", "10")
    assert phone.locator("[data-layer=conv2]").evaluate(IN_SIGHT)


def test_a_sum_of_nine_products_fits_beside_the_network(page):
    opened(page, "/step?model=fashion&sample=two&layer=conv1&cell=9,9")
    formula = page.locator("[data-role=formula]")
    expect(formula.locator("math")).to_have_count(4)  # in letters; five products; four and what they come to; ReLU
    assert formula.evaluate("box => box.scrollWidth <= box.clientWidth")


def test_nothing_is_wider_than_the_window(page):
    opened(page, "/step?sample=two")
    for layer in ["conv1", "pool1", "conv2", "flatten", "dense1", "logits", "softmax"]:
        choose_layer(page, layer)
        expect_no_sideways_scrolling(page)

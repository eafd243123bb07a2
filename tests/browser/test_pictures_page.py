"""Pictures through the page: good ones are read, bad ones get a sentence and the last good answer stays."""

import io
import re

import psutil
import pytest
from PIL import Image
from playwright.sync_api import expect
from uploads import MOST, SIDE, digit, rle_bmp, saved, strange
from walking import answered, until

from cnnviz.inputs import parse_strokes, rasterise
from cnnviz.inputs.pictures import MAX_BYTES
from cnnviz.inputs.samples import samples


def picture(name="two", format="PNG"):
    ink = Image.fromarray(255 - rasterise(parse_strokes(samples()[name].strokes)))
    file = io.BytesIO()
    ink.convert("RGB").save(file, format)
    return file.getvalue()


def upload(page, name, content, kind="image/png"):
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(
        {"name": name, "mimeType": kind, "buffer": content}
    )


def upload_large(page, path, content):
    """From the disk: through Playwright's own messages, 10 MB take seconds."""
    path.write_bytes(content)
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(path)


@pytest.fixture
def uploader(page):
    page.goto("/")
    page.get_by_role("radio", name="Picture").or_(page.get_by_role("button", name="Picture")).first.click()
    until(page.locator("[data-testid=stFileUploader]"))
    return page


PICTURES = {"PNG": ("two", 2), "JPEG": ("three", 3), "WEBP": ("five", 5), "BMP": ("six", 6), "GIF": ("eight", 8)}


def test_a_picture_is_read(uploader):
    for format, (name, shown) in PICTURES.items():
        upload(uploader, f"{name}.{format.lower()}", picture(name, format), f"image/{format.lower()}")
        answered(uploader, f"^{shown}")
    expect(uploader.get_by_text("centred in 28×28")).to_be_visible()


BAD = {
    "empty.png": b"",
    "text.png": b"This is no picture.",
    "truncated.png": picture()[:300],
    "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "paper.png": b"%PDF-1.7 and so on",
}


def test_a_bad_picture_gets_a_sentence_and_the_last_good_answer_stays(uploader):
    upload(uploader, "two.png", picture())
    answered(uploader, "^2")
    for name, content in BAD.items():
        upload(uploader, name, content)
        alert = uploader.locator("[data-testid=stAlert]")
        expect(alert).to_have_count(1)
        assert len(alert.inner_text().split()) > 4
        expect(uploader.locator(".st-key-prediction")).to_have_text(re.compile("^2"))
        expect(uploader.locator("[data-testid=stException]")).to_have_count(0)
        upload(uploader, "two.png", picture())
        expect(alert).to_have_count(0)


def test_what_is_no_picture_or_too_large_is_refused_by_the_uploader(uploader, tmp_path):
    upload(uploader, "drawing.svg", b"<svg/>", "image/svg+xml")
    expect(uploader.get_by_text(re.compile("not allowed"))).to_be_visible()
    upload_large(uploader, tmp_path / "large.bmp", b"BM" + bytes(MAX_BYTES))
    expect(uploader.get_by_text(re.compile("10.*MB or smaller", re.I))).to_be_visible()
    largest = picture("six", "BMP")
    upload_large(uploader, tmp_path / "largest.bmp", largest + bytes(MAX_BYTES - len(largest)))
    answered(uploader, "^6")


NAMES = ["../../etc/passwd.png", "..\\..\\x.png", "a\nb\tc.png", "\x1b[31m.png", "\u202egnp.exe.png", "two.PNG",
         "two.png.jpg", f"{'long' * 60}.png", "<img src=x onerror=hacked=1>.png", "' OR 1=1; --.png", ".png", "CON.png",
         "🖊.png"]  # fmt: skip
NO_PICTURES = ["two.svg", "two.png.exe", "two", "two.png/", "two.png\0.svg", "two.png "]


def test_a_file_may_have_any_name(uploader):
    digits = {"three": 3, "five": 5}
    for number, name in enumerate(NAMES):
        drawn = list(digits)[number % 2]
        upload(uploader, name, picture(drawn))
        answered(uploader, f"^{digits[drawn]}")
    for number, name in enumerate(NO_PICTURES, 1):  # the uploader says why it takes none of these
        upload(uploader, name, picture("two"))
        until(uploader.locator("[data-testid=stFileChipIconError]").nth(number - 1))
    expect(uploader.locator("[data-testid=stException], [data-testid=stAlert]")).to_have_count(0)
    assert uploader.evaluate("window.hacked") is None


def worst():
    """What costs most of each kind, and what is none."""
    jpeg = saved(digit(), "JPEG")
    yield "laughs.png", dict(strange())["a billion laughs"]
    yield "large.webp", saved(Image.new("RGBA", (SIDE, SIDE)), "WEBP", lossless=True, method=0)
    yield "filled.jpg", jpeg[:2] + b"\xff" * MOST + jpeg[2:]
    yield "runs.bmp", rle_bmp(SIDE, SIDE, b"\1\0" * (MOST // 2), 4)


def test_the_worst_pictures_get_a_sentence_and_the_page_goes_on(uploader, server, tmp_path):
    web = psutil.Process(server.pid)
    upload(uploader, "two.png", picture())
    answered(uploader, "^2")
    before = web.memory_info().rss
    alert = uploader.locator("[data-testid=stAlert]")
    for name, content in worst():
        upload_large(uploader, tmp_path / name, content)
        until(alert)
        assert alert.inner_text().endswith(".")
        expect(uploader.locator("[data-testid=stException]")).to_have_count(0)
        upload(uploader, "two.png", picture())
        expect(alert).to_have_count(0)
        answered(uploader, "^2")
    assert web.memory_info().rss - before < 200e6  # the memory is given back, too

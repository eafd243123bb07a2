"""Pictures through the page: good ones are read, bad ones get a sentence and the last good answer stays."""

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import expect
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


@pytest.fixture
def uploader(page):
    page.goto("/")
    page.get_by_role("radio", name="Picture").or_(page.get_by_role("button", name="Picture")).first.click()
    until(page.locator("[data-testid=stFileUploader]"))
    return page


PICTURES = {"PNG": ("two", 2), "JPEG": ("three", 3), "WEBP": ("five", 5), "BMP": ("six", 6), "GIF": ("eight", 8)}


def test_a_picture_is_read(uploader):
    for format, (name, digit) in PICTURES.items():
        upload(uploader, f"{name}.{format.lower()}", picture(name, format), f"image/{format.lower()}")
        answered(uploader, f"^{digit}")
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


def test_what_is_no_picture_or_too_large_is_refused_by_the_uploader(uploader):
    upload(uploader, "drawing.svg", b"<svg/>", "image/svg+xml")
    expect(uploader.get_by_text(re.compile("not allowed"))).to_be_visible()
    upload(uploader, "large.bmp", b"BM" + bytes(MAX_BYTES), "image/bmp")
    expect(uploader.get_by_text(re.compile("10.*MB or smaller", re.I))).to_be_visible()

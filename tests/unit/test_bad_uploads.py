"""Hundreds of bad uploads, in a process of their own whose memory and CPU time are watched."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from uploads import KINDS, cut_and_flipped, digit, png, rle_bmp, saved, segment, strange, uploads

from cnnviz.inputs import InputError, pictures
from cnnviz.inputs.pictures import HOW, MAX_READS, MAX_SCANNED, Pieces, as_map, decode, from_picture

SECONDS = 2.0  # of CPU time: on a machine that others use too, the clock says little
MEGABYTES = 500
LONGEST = 250  # characters of a sentence

pytest.importorskip("resource", reason="the peak of memory is not told on this system")


@pytest.fixture
def taste(tmp_path):
    """taste(data, at_once=1): what reading an upload cost, as uploads.py tells it."""
    here, log = Path(__file__).resolve(), tmp_path / "log.txt"
    environment = os.environ | {"PYTHONPATH": str(here.parents[2]), "PYTHONWARNINGS": "default"}
    with log.open("wb") as errors:
        process = subprocess.Popen([sys.executable, here.parents[1] / "uploads.py"], env=environment, stderr=errors,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip

    def tasted(data: bytes, at_once: int = 1) -> dict:
        process.stdin.write(len(data).to_bytes(4, "little") + bytes([at_once]) + data)
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield tasted
    process.stdin.close()
    assert process.wait(20) == 0
    assert not log.read_text()  # nobody fills the server's log


def is_sentence(text: str) -> bool:
    return text.isprintable() and text.endswith(".") and 20 < len(text) <= LONGEST and "<" not in text


def test_every_bad_upload_gets_an_answer_or_a_sentence_in_time_and_within_memory(taste):
    before = taste(saved(digit(), "PNG"))["megabytes"]
    count = read = refused = 0
    slowest = []
    for name, data in uploads():
        told = taste(data)
        assert not told["errors"], (name, told)
        assert all(map(is_sentence, told["said"])), (name, told)
        assert told["seconds"] < SECONDS, (name, told)
        assert told["megabytes"] - before < MEGABYTES, (name, told)
        count, refused = count + 1, refused + bool(told["said"])
        read += bool(told["answers"])
        slowest.append((told["seconds"], told["wall"], name))
    for seconds, wall, name in sorted(slowest)[-5:]:
        print(f"{seconds:.2f} s of CPU time, {wall:.2f} s by the clock: {name}")
    assert count >= 500
    # Not all of them are refused out of hand: many are pictures after all.
    assert read > 100
    assert refused > 300


def test_several_that_upload_at_once_take_the_memory_of_one(taste):
    before = taste(saved(digit(), "PNG"), 4)["megabytes"]
    data = saved(Image.new("RGBA", (3_500, 3_500), "white"), "WEBP", lossless=True, method=0)
    alone = taste(data)["megabytes"] - before
    assert alone > 150
    told = taste(data, 4)
    assert not told["errors"]
    assert told["megabytes"] - before < 1.5 * alone, told


def test_a_small_picture_does_not_wait_for_a_large_one():
    waiting = threading.Thread(target=decode, args=[saved(Image.new("L", (1_001, 1_000)), "PNG")], daemon=True)
    with pictures._alone:
        waiting.start()
        assert decode(saved(Image.new("L", (1_000, 1_000)), "PNG")).shape == (800, 800)
        assert waiting.is_alive()
    waiting.join(20)
    assert not waiting.is_alive()


def test_a_large_picture_waits_for_its_turn_and_not_for_ever(monkeypatch):
    monkeypatch.setattr(pictures, "PATIENCE", 0.1)
    large = saved(Image.new("L", (1_001, 1_000)), "PNG")
    with pictures._alone, pytest.raises(InputError, match="Many large pictures"):
        decode(large)
    assert decode(large).shape[1] == 800
    assert not pictures._alone.locked()


def test_the_same_seed_makes_the_same_uploads():
    assert list(cut_and_flipped()) == list(cut_and_flipped())
    names = [name for name, _ in [*cut_and_flipped(), *strange()]]
    assert len(set(names)) == len(names)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_is_changed_in_a_picture_is_read_or_told(data):
    file = bytearray(saved(digit().convert("RGB"), data.draw(st.sampled_from(KINDS))))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(file) - 1), st.integers(0, 255)), max_size=8)):
        file[at] = value
    start, end = (data.draw(st.integers(0, len(file))) for _ in range(2))
    moved = bytes(file[:end] + data.draw(st.binary(max_size=20)) + file[start:])
    for read in (*(lambda content, how=how: from_picture(content, how) for how in HOW), as_map):
        with contextlib.suppress(InputError):
            read(moved)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_told(content):
    with contextlib.suppress(InputError):
        decode(content)


# The limits, at their number and past it


def test_as_many_pieces_as_are_read_and_one_more():
    file = Pieces(b"x" * 10)
    for _ in range(MAX_READS):
        file.read(0)
    with pytest.raises(InputError, match="too many pieces"):
        file.read(0)


def test_as_many_scans_as_are_decoded_and_one_more(monkeypatch):
    whole = saved(digit(), "JPEG", progressive=True)
    scans = whole.count(b"\xff\xda")
    monkeypatch.setattr("cnnviz.inputs.pictures.MAX_SCANNED", scans * 64 * 64)
    assert decode(whole).shape == (64, 64)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    with pytest.raises(InputError, match="too many scans"):
        decode(whole[:-2] + last + whole[-2:])
    assert MAX_SCANNED >= 10 * 25_000_000  # the largest progressive JPEG of the usual ten scans


def test_16_bits_are_scaled_and_not_cut_off():
    levels = np.arange(0, 65_536, 16, dtype=np.uint16).reshape(64, 64)
    import zlib

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    assert np.array_equal(decode(png(64, 64, 16, 0, zlib.compress(rows))), levels // 257)


def test_a_narrow_jpeg_is_read_however_long_it_is():
    assert decode(saved(Image.new("L", (65_500, 8), 200), "JPEG")).shape == (1, 800)


def test_what_only_looks_like_a_bomb_is_read():
    """A few comments, runs and chunks are in many files."""
    jpeg = saved(digit(), "JPEG")
    assert decode(jpeg[:2] + segment(b"\xfe", b"x" * 1_000) * 100 + jpeg[2:]).shape == (64, 64)
    assert decode(rle_bmp(64, 64, b"\x40\0\0\0" * 64 + b"\0\1")).shape == (64, 64, 3)

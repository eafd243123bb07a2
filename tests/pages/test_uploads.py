"""Uploads through the real endpoint and a real websocket, by somebody whose browser checks nothing."""

import re
import sys
import zlib
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from uploads import SIDE, bombs, cut_and_flipped, digit, peak, png, saved, strange
from visiting import Visitor, state

pytestmark = pytest.mark.usefixtures("nothing_written")
SMALL = 20_000  # bytes; what is larger is read in tests/unit/test_bad_uploads.py
SECONDS, MEGABYTES = 2, 500  # of CPU time; more than before
EVERY = 5  # of some 1,300; all of them take a minute and more


def chosen(widget: str, option: str) -> WidgetState:
    return WidgetState(id=widget, string_array_value={"data": [option]})


@pytest.fixture
def visitor(server):
    """Somebody who has chosen to give a picture."""
    with Visitor(server.url, "sample=two") as someone:
        someone.rerun(chosen(someone.id_of("source"), "Picture"))
        yield someone


def give(visitor: Visitor, name: str, content: bytes, /, **more) -> None:
    visitor.rerun(visitor.upload(visitor.id_of("upload"), name, content, **more))


def answered(visitor: Visitor) -> list[str]:
    """The alerts; everything else is as it should be."""
    assert not visitor.said("exception")
    assert len(visitor.answers()) == 1
    alerts = visitor.said("alert")
    assert len(alerts) < 2
    for sentence in alerts:
        assert sentence.isprintable()
        assert sentence.endswith(".")
        assert "<" not in sentence
    return alerts


def test_every_small_bad_upload_gets_an_answer_or_one_sentence(visitor):
    files = [content for _, content in (*cut_and_flipped(), *strange()) if len(content) <= SMALL][::EVERY]
    refused = 0
    for content in files:
        give(visitor, "digit.png", content)
        refused += len(answered(visitor))
    assert 100 < refused < len(files)
    give(visitor, "digit.png", saved(digit(), "PNG"))
    assert answered(visitor) == []
    assert visitor.answers() == ["7"]


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of another process's memory is not told on this system")
def test_bombs_get_an_answer_or_one_sentence_in_time_and_within_memory(visitor, server):
    web = psutil.Process(server.pid)
    helpers = web.children(recursive=True)
    for process in web, *helpers:
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # its peak begins anew
    before = {process.pid: peak(process.pid) for process in (web, *helpers)}
    for name, content in bombs():
        cpu = sum(web.cpu_times()[:2])
        give(visitor, "digit.png", content)
        answered(visitor)
        assert sum(web.cpu_times()[:2]) - cpu < SECONDS, name
    assert sum(peak(pid) - then for pid, then in before.items()) < MEGABYTES


def test_of_many_uploads_only_the_last_one_is_kept(fresh_server):
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    content = cv2.imencode(".png", noise)[1].tobytes()
    with Visitor(fresh_server.url, page="convolution") as visitor:
        for visitor.page in ("convolution", "pooling", "convolution"):  # where nobody waits for TensorFlow
            visitor.hash = ""
            visitor.rerun()
            uploader = visitor.id_of("lab_upload")
            for _ in range(2):
                visitor.rerun(visitor.upload(uploader, "noise.png", content))
                assert not visitor.said("exception", "alert")
            visitor.upload(uploader, "noise.png", content)  # of which the page is never told
        said = httpx.get(f"{fresh_server.url}/_stcore/metrics").text
    (kept,) = re.findall(r'cache_memory_bytes{cache_type="UploadedFileManager".*?} (\d+)', said)
    assert int(kept) == len(content)


NAMES = ["../../etc/passwd.png", "..\\..\\x.png", "a\nb\tc.png", "\x1b[31m.png", "\u202egnp.exe.png", ".PNG",
         f"{'long' * 5_000}.png", "<img src=x onerror=alert(1)>.png", "CON.png", "🖊.png", "\0.png", "two.svg",
         "two.png.exe", "two", "two.png/", "two.png\0.svg", "two.png ", "", "/etc/passwd", "<b>"]  # fmt: skip


def test_a_name_is_never_believed(visitor):
    seven = saved(digit(), "PNG")
    for name in NAMES:
        visitor.rerun(visitor.upload(visitor.id_of("upload"), "x.png", seven, name=name))
        assert answered(visitor) == []
        assert visitor.answers() == ["7"]
        give(visitor, "x.png", b"")
        assert answered(visitor) != []
        give(visitor, name, seven)  # none, or one of thousands of letters, is refused at the endpoint: nothing is there
        assert answered(visitor) == [], name


def test_what_the_uploader_is_said_to_hold_is_never_believed(visitor, server):
    seven = saved(digit(), "PNG")
    for more in ({"size": 0}, {"size": 2**63}, {"file_id": "../../x"}, {"file_id": ""}, {"file_id": "<b>"}):
        give(visitor, "x.png", seven, **more)
        answered(visitor)
    for forged in ("../x", "<b>", "", "scan"):
        reading = chosen(visitor.id_of("reading"), forged)
        visitor.rerun(visitor.upload(visitor.id_of("upload"), "x.png", seven), reading)
        answered(visitor)
    # What is no uploader's state at all, Streamlit itself can't read: that forger alone is told, without details.
    for forged in ({"json_value": "[1]"}, {"double_value": 1}, {"string_value": "<b>"}):
        with Visitor(server.url, "sample=two") as forger:
            forger.rerun(chosen(forger.id_of("source"), "Picture"))
            forger.rerun(WidgetState(id=forger.id_of("upload"), **forged))
            assert "Traceback" not in "".join(forger.said("exception"))
    give(visitor, "x.png", seven)
    assert answered(visitor) == []


def test_a_large_picture_is_read_once_and_not_at_every_click(visitor, server):
    web = psutil.Process(server.pid)

    def seconds(rerun, *states) -> float:
        before = sum(web.cpu_times()[:2])
        rerun(*states)
        return sum(web.cpu_times()[:2]) - before

    slow = png(SIDE, SIDE, 16, 6, zlib.compress((b"\4" + bytes(SIDE * 8)) * SIDE, 1))  # no ink on it: told again, too
    file = visitor.upload(visitor.id_of("upload"), "x.png", slow)
    first = seconds(visitor.rerun, file)
    (sentence,) = answered(visitor)
    again = seconds(visitor.rerun, state(visitor.id_of("network"), {"chosen": {"layer": "conv1", "filter": 1}}))
    assert answered(visitor) == [sentence]
    assert again < first / 2, (first, again)
    # Read in another way, it is read anew.
    visitor.rerun(visitor.upload(visitor.id_of("upload"), "x.png", saved(digit(), "PNG")))
    seven = visitor.answers()
    visitor.rerun(chosen(visitor.id_of("reading"), "raw"))
    assert seven == ["7"]
    answered(visitor)


@pytest.mark.parametrize("page", ["convolution", "pooling"])
def test_a_lab_takes_an_upload_or_says_why_not(page, server):
    with Visitor(server.url, "", page) as someone:
        uploader = someone.id_of("lab_upload")
        for name, content in (*strange(), ("good", saved(digit(), "PNG"))):
            if len(content) <= SMALL:
                someone.rerun(someone.upload(uploader, "x.png", content))
                assert not someone.said("exception")
                assert len(alerts := someone.said("alert")) < 2, name
                assert all(sentence.endswith(".") for sentence in alerts)
        assert not alerts

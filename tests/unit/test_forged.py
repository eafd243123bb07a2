"""Files, links and messages that somebody forged: taken as what they are or refused in a sentence, nothing executed,
nothing written, and no more memory than what was asked for."""

import ast
import base64
import contextlib
import io
import json
import math
import pickle
import tracemalloc
import zipfile
from datetime import datetime
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cnnviz.__main__ import UsageError, parser
from cnnviz.__main__ import settings as settings_of
from cnnviz.components.network import as_choice, as_place
from cnnviz.components.sketchpad import EMPTY, checked, replaced, strokes
from cnnviz.data.arrays import MOST_BYTES, Unfit, read_arrays
from cnnviz.data.datasets import DATASETS
from cnnviz.figures.training import curves
from cnnviz.inputs import InputError
from cnnviz.inputs.links import MAX_CHARACTERS, from_link
from cnnviz.nets.describe import table
from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import WeightsError, load_weights, read_weights, weight_shapes
from cnnviz.run_view import progress_line
from cnnviz.training import one_step, runs
from cnnviz.training.config import MAX_SETTINGS, ConfigError, TrainingConfig, from_json
from cnnviz.training.results import results, verdict

ROOT = Path(__file__).resolve().parents[2]
NETWORK = PRESETS["small-digits"]
CONFIG = TrainingConfig("digits", preset="small-digits", epochs=3)
HTML = "<img src=x onerror=alert(1)>"
quickly = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from([10**400, -(10**400), "\ud800", HTML])
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6,
)  # fmt: skip


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that nobody has worked on yet."""
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))
    return runs.create(CONFIG, "mine", "0" * 32)


@contextlib.contextmanager
def memory(most: int):
    """Whatever is done in here takes at most so many bytes."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


# Weights


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


def header(shape, kind: str) -> bytes:
    """The beginning of an array that is not there."""
    file = io.BytesIO()
    np.lib.format.write_array_header_2_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue()


def archive(path: Path, members: dict[str, bytes], more: dict[str, bytes] | None = None) -> Path:
    """The weights of NETWORK as a zip, some members changed, others added."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for layer, pair in load_weights(NETWORK).items():
            for part, array in zip(("kernel", "bias"), pair, strict=True):
                name = f"{layer}/{part}.npy"
                file.writestr(name, members.get(name, npy(array)))
        for name, content in (more or {}).items():
            file.writestr(name, content)
    return path


class Trap:
    """A pickle that touches a file when somebody opens it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


FIRST = "conv1/bias.npy"
BIAS = load_weights(NETWORK)["conv1"][1]
CODE = b"\x93NUMPY\x01\x00\x46\x00{'descr': __import__('os').getcwd(), 'shape': (8,), 'fortran_order': 0}"
FORGED_ARRAYS = {
    "no array": b"",
    "text": HTML.encode(),
    "code in its header": CODE.ljust(80) + bytes(100),
    "another shape": npy(np.zeros(BIAS.size + 1, np.float32)),
    "another rank": npy(BIAS[None]),
    "nearly endless": header((2**40,), "<f4") + bytes(1_000),
    "a shape below zero": header((-1,), "<f4") + bytes(1_000),
    "a wide kind": header(BIAS.shape, "<U1000000") + bytes(1_000),
    "bytes": header(BIAS.shape, "|V100000000") + bytes(1_000),
    "whole numbers": npy(BIAS.astype(np.int32)),
    "complex numbers": npy(BIAS.astype(np.complex64)),
    "fields": npy(np.zeros(BIAS.shape, [("a", "f4")])),
    "cut": npy(BIAS)[:-1],
    "NaN": npy(np.full_like(BIAS, np.nan)),
    "one infinity": npy(np.where(np.arange(BIAS.size) == 1, np.inf, BIAS)),
    "more than 32 bits hold": npy(np.full(BIAS.shape, 1e300)),
}


@pytest.mark.parametrize("name", FORGED_ARRAYS)
def test_forged_weights_are_refused_in_a_sentence(name, tmp_path):
    path = archive(tmp_path / "weights.npz", {FIRST: FORGED_ARRAYS[name]})
    with memory(5_000_000), pytest.raises(WeightsError) as told:
        read_weights(NETWORK, path)
    assert str(told.value).endswith(".")
    assert len(str(told.value)) < 200


def test_nothing_in_forged_weights_is_executed(tmp_path):
    trap = tmp_path / "touched"
    packed = np.array([Trap(trap)] * BIAS.size, dtype=object)
    for path in (archive(tmp_path / "weights.npz", {FIRST: npy(packed)}), tmp_path / "plain.npz"):
        if not path.exists():
            path.write_bytes(pickle.dumps(Trap(trap)))
        with pytest.raises(WeightsError):
            read_weights(NETWORK, path)
    assert not trap.exists()
    np.load(io.BytesIO(npy(packed)), allow_pickle=True)
    assert trap.exists()  # it would have been


def test_a_zip_bomb_takes_no_memory_and_a_path_writes_nothing(tmp_path):
    bomb = bytes(100_000_000)
    evil = {f"{up}evil.npy": npy(BIAS) for up in ("", "../", "../../../", "/", "/tmp/", "C:\\")}
    path = archive(tmp_path / "weights.npz", {FIRST: npy(BIAS) + bomb}, {"more.npy": bomb, **evil})
    assert path.stat().st_size < 2_000_000
    before = {*tmp_path.rglob("*"), *tmp_path.parent.glob("*")}
    with memory(5_000_000):
        read = read_weights(NETWORK, path)
    assert np.array_equal(read["conv1"][1], BIAS)
    assert {*tmp_path.rglob("*"), *tmp_path.parent.glob("*")} == before
    archive(path, {FIRST: header((25_000_000,), "<f4") + bomb})
    with memory(5_000_000), pytest.raises(WeightsError, match="conv1 differs"):
        read_weights(NETWORK, path)


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"PK\5\6" + bytes(18), npy(BIAS), header((2**40,), "<f4"),
                                     HTML.encode(), pickle.dumps([1])])  # fmt: skip
def test_what_is_no_archive_of_weights_is_refused(content, tmp_path):
    path = tmp_path / "weights.npz"
    path.write_bytes(content)
    with memory(5_000_000), pytest.raises(WeightsError):
        read_weights(NETWORK, path)
    path.unlink()
    path.mkdir()
    with pytest.raises(WeightsError):
        read_weights(NETWORK, path)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6), st.booleans())
@quickly
def test_flipped_bytes_in_weights_are_noticed(tmp_path, flips, directory):
    path = tmp_path / "flipped.npz"
    data = bytearray(archive(path, {}).read_bytes())
    start = data.rindex(b"PK\1\2") - 2_000 if directory else 0  # the zip's own list stands at its end
    for at, value in flips:
        data[start + int(at * (len(data) - start - 1))] = value
    path.write_bytes(data)
    with contextlib.suppress(WeightsError):
        read = read_weights(NETWORK, path)
        assert all(np.isfinite(array).all() for pair in read.values() for array in pair)
        assert [array.shape for pair in read.values() for array in pair] == [*weight_shapes(NETWORK).values()]


def test_an_item_of_text_has_a_limit(tmp_path):
    for length, fits in ((MOST_BYTES["U"] // 4, True), (MOST_BYTES["U"] // 4 + 1, False)):
        np.savez(tmp_path / "text.npz", facts=np.array("x" * length))
        with contextlib.nullcontext() if fits else pytest.raises(Unfit):
            assert read_arrays(tmp_path / "text.npz", {"facts": ((), "U")})["facts"] == "x" * length


def saved_answers(run: runs.Run, chances: np.ndarray, labels: np.ndarray) -> None:
    np.savez(run.folder / "predictions.npz", probabilities=chances, labels=labels)


def test_forged_answers_are_refused(run):
    count = DATASETS["digits"].test
    chances, labels = np.full((count, 10), 0.1, np.float32), np.zeros(count, np.uint8)
    saved_answers(run, chances, labels)
    assert results(run).confusion().sum() == count
    nan = chances.copy()
    nan[3, 3] = np.nan
    for forged in ((chances[:-1], labels[:-1]), (chances[:, :9], labels), (chances[:, 0], labels), (nan, labels),
                   (chances, labels + np.uint8(10)), (chances, labels.astype(float)),
                   (chances.astype(object), labels)):  # fmt: skip
        saved_answers(run, *forged)
        with pytest.raises(runs.RunError, match="damaged"):
            results(run)
    path = run.folder / "predictions.npz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(runs.RunError, match="damaged"):
        results(run)


# Settings


@pytest.mark.parametrize("forged", [
    {"epochs": 10**400}, {"epochs": -(10**400)}, {"learning_rate": 10**400}, {"seed": 1e300}, {"share": math.nan},
    {"batch_size": math.inf}, {"preset": "x" * 90_000}, {"dataset": "\ud800"}, {"device": HTML * 100}, {HTML * 100: 1},
    {"preset": "", "blocks": [{"filters": 10**400, "kernel": 3}]}, {"preset": "../../x"}, {"dataset": "/etc/passwd"},
    {"preset": "", "blocks": [{"filters": 8, "kernel": 3}] * 4}, {"title": "x"}, {"blocks": {}}, {"hidden": [[]]},
    {"preset": "", "blocks": [{"filters": 8, "kernel": 3, "pool": HTML}]},
])  # fmt: skip
def test_forged_settings_get_a_short_sentence(forged):
    with pytest.raises(ConfigError) as told:
        from_json(json.dumps(forged))
    said = str(told.value)
    assert said.endswith(".")
    assert said.isprintable()
    assert len(said) < 450


def test_settings_of_the_most_bytes_and_one_more(tmp_path):
    text = json.dumps(CONFIG.as_json())
    fits = text + " " * (MAX_SETTINGS - len(text))
    assert from_json(fits) == CONFIG
    with pytest.raises(ConfigError, match="more than 100,000 bytes"):
        from_json(fits + " ")
    path = tmp_path / "settings.json"
    path.write_text(fits)
    assert settings_of(parser().parse_args(["train", "--config", str(path)])) == CONFIG


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"{" * 50_000, b"[" * 50_000,
                                     b'{"hidden":' * 500 + b"1" + b"}" * 500,
                                     b'{"epochs": ' + b"9" * 5_000 + b"}", b"\xff\xfe{}", b" " * 200_000,
                                     b'{"dataset": "\\ud800"}', b'{"epochs": 1e999}'])  # fmt: skip
def test_a_forged_file_for_the_command_line_is_refused(content, tmp_path, capsys):
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(UsageError) as told:
        settings_of(parser().parse_args(["train", "--config", str(path)]))
    assert len(str(told.value)) < 450 + len(str(path))
    str(told.value).encode()


def test_forged_blocks_on_the_command_line_are_refused(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["train", "--blocks", "[" * 5_000])
    assert "Traceback" not in capsys.readouterr().err


FORGED_RUNS = {
    "a day that never was": {"created": math.nan},
    "the end of days": {"created": math.inf},
    "a day too far": {"created": 1e300},
    "a day of 400 digits": {"created": 10**400},
    "a day before all": {"created": -1e18},
    "a day in words": {"created": HTML},
    "no day": {"created": None},
    "settings of text": {"config": HTML},
    "settings past a limit": {"config": {"epochs": 10**400}},
    "a network of another data set": {"config": {"dataset": "cifar10", "preset": "lenet5"}},
}


@pytest.mark.parametrize("name", FORGED_RUNS)
def test_a_run_with_forged_settings_is_passed_over_and_the_others_are_there(name, run):
    other = runs.create(CONFIG, "other")
    kept = json.loads((run.folder / "settings.json").read_text())
    (run.folder / "settings.json").write_text(json.dumps(kept | FORGED_RUNS[name]))
    with pytest.raises(runs.RunError, match="damaged"):
        runs.find(run.id)
    assert [one.id for one in runs.all_runs()] == [other.id]


@pytest.mark.parametrize("content", [b"[" * 50_000, b'{"title":' * 900 + b"1" + b"}" * 900, b" " * (MAX_SETTINGS + 1)])
def test_a_run_with_deep_or_long_settings_is_passed_over(content, run):
    (run.folder / "settings.json").write_bytes(content)
    with memory(5_000_000):
        assert runs.all_runs() == []


@given(
    st.fixed_dictionaries({}, optional={"title": anything, "owner": anything, "created": anything, "config": anything})
)
@example({"title": "\ud800" + HTML + "\n\x1b[31m\u202e" + "x" * 10_000})
@quickly
def test_what_is_shown_of_a_forged_run_can_be_shown(run, forged):
    kept = {"title": "mine", "owner": "", "created": 1.0, "config": CONFIG.as_json()}
    (run.folder / "settings.json").write_text(json.dumps(kept | forged))
    runs._read.cache_clear()
    for one in runs.all_runs():
        one.title.encode()
        assert len(one.title) <= runs.MAX_TITLE
        assert one.title.isprintable()
        assert datetime.fromtimestamp(one.created)
        one.config.check()


@pytest.mark.parametrize(("typed", "shown"), [
    (HTML, HTML), ("**bold** [x](http://y)", "**bold** [x](http://y)"), ("a\nb\tc", "a b c"), ("\ud800x", "x"),
    ("\u202egnp.exe", "gnp.exe"), ("  7  ", "7"), ("سه\u200cشنبه 👩\u200d🏫", "سه\u200cشنبه 👩\u200d🏫"),
    ("x" * 100, "x" * runs.MAX_TITLE), ("\0\x1b[31m", "[31m"),
])  # fmt: skip
def test_a_title_is_kept_as_it_was_typed_but_for_what_is_not_shown(typed, shown, run):
    assert runs.create(CONFIG, typed).title == shown
    assert run.rename(typed).title == shown
    assert runs.find(run.id).title == shown


# Events

STARTED = {"event": "started", "device": "CPU", "backend": "tensorflow", "batches": 10, "batch_size": 32, "epochs": 3,
           "from_epoch": 0}  # fmt: skip
BATCH = {"event": "batch", "epoch": 1, "batch": 5, "loss": 2.0, "accuracy": 0.5, "images_per_second": 100.0}
EPOCH = {
    "event": "epoch",
    "epoch": 1,
    "loss": 2.0,
    "accuracy": 0.5,
    "val_loss": 2.0,
    "val_accuracy": 0.5,
    "seconds": 1.0,
}
DONE = {"event": "done", "epoch": 1, "test_accuracy": 0.5, "test_loss": 2.0, "message": ""}
DOWNLOAD = {"event": "download", "what": "MNIST", "done": 1, "of": 2}
NOTE = {"event": "note", "text": "well"}


def told(run: runs.Run, *events: dict | bytes) -> runs.Story:
    """What the pages make of events: every number and word of it is asked for."""
    lines = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    (run.folder / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    runs._stories.clear()
    runs.beat(run.folder)
    story = runs.story(run)
    assert 0 <= story.done <= 1
    if story.state in ("waiting", "running"):
        progress_line(run, story)
    verdict(story)
    for name in ("loss", "accuracy"):
        curves({run.title: story, "another": story}, name).to_json()
    if story.epochs:
        round(sum(epoch["seconds"] for epoch in story.epochs))
        f"{story.best['val_accuracy']:.2%} {story.epochs[-1]['val_accuracy']:.2%}"
    if "test_accuracy" in story.end:
        f"{story.end['test_accuracy']:.2%} {story.end['test_loss']:.4f}"
    "".join([story.message, *story.notes, story.started.get("device", "")])
    return story


def test_true_events_are_believed(run):
    story = told(run, DOWNLOAD, STARTED, NOTE, BATCH, {**BATCH, "loss": math.nan}, EPOCH, {**EPOCH, "epoch": 2}, DONE)
    assert (len(story.batches), len(story.epochs), story.state, story.notes) == (2, 2, "done", ["well"])
    assert story.end["test_accuracy"] == 0.5


FORGED_EVENTS = [
    {**STARTED, "epochs": 0}, {**STARTED, "epochs": 101}, {**STARTED, "batches": 0}, {**STARTED, "batches": 10**400},
    {**STARTED, "device": 7}, {**STARTED, "backend": None}, {**STARTED, "batch_size": 1.5},
    {**STARTED, "from_epoch": -1}, {**BATCH, "epoch": 0}, {**BATCH, "epoch": True}, {**BATCH, "batch": -1},
    {**BATCH, "accuracy": math.nan},
    {**BATCH, "accuracy": "0.5"}, {**BATCH, "loss": None}, {**BATCH, "loss": 10**400},
    {**BATCH, "images_per_second": math.inf}, {**EPOCH, "seconds": math.nan}, {**EPOCH, "seconds": -1.0},
    {**EPOCH, "val_accuracy": 1.01}, {**EPOCH, "epoch": 101}, {**EPOCH, "epoch": 1.0}, {**DONE, "test_accuracy": HTML},
    {**DONE, "test_loss": [2.0]}, {**DONE, "message": 7}, {**DOWNLOAD, "of": 0}, {**DOWNLOAD, "what": None},
    {**NOTE, "text": [HTML]}, {"event": "note"}, {"event": None}, {"event": ["epoch"]}, {"event": {"epoch": 1}}, [], 7,
    b"[" * 10_000, b'{"event":' * 500, b'{"event": "note", "text": ' + b"9" * 5_000 + b"}", b"\xff",
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FORGED_EVENTS)))
def test_a_forged_event_is_passed_over_and_what_was_said_stays(number, run):
    before = told(run, STARTED, BATCH, EPOCH)
    after = told(run, STARTED, BATCH, EPOCH, FORGED_EVENTS[number])
    assert (after.started, after.batches, after.epochs, after.end) == (
        before.started, before.batches, before.epochs, before.end)  # fmt: skip
    assert after.notes == []


def test_forged_events_are_not_kept_without_end(run):
    again = [{**EPOCH, "epoch": 1 + number % 3} for number in range(3_000)]
    long = json.dumps({**NOTE, "text": "x" * runs.MAX_LINE}).encode()
    story = told(run, STARTED, *again, *[NOTE] * 100, long)
    assert [epoch["epoch"] for epoch in story.epochs] == [1, 2, 3]
    assert story.notes == ["well"] * runs.MAX_NOTES
    fits = {**NOTE, "text": ""}
    fits["text"] = "x" * (runs.MAX_LINE - len(json.dumps(fits)))
    assert told(run, fits).notes == [fits["text"]]
    assert told(run, {**fits, "text": fits["text"] + "x"}).notes == []


def test_events_are_read_once_however_often_somebody_looks(run, monkeypatch):
    """A long run's page looks at it all the time."""
    said = [DOWNLOAD, STARTED, BATCH, EPOCH, NOTE, DONE, {"event": "waiting"}, {**STARTED, "from_epoch": 1},
            *[{**BATCH, "epoch": 2, "batch": number % 10} for number in range(3 * runs.SHOWN)], DONE]  # fmt: skip
    lines = [json.dumps(one).encode() + b"\n" for one in said]
    file, read = run.folder / "events.jsonl", []
    file.write_bytes(b"")
    monkeypatch.setattr(runs, "json", Mock(loads=lambda line: read.append(line) or json.loads(line)))
    runs.beat(run.folder)
    for line in lines:
        with file.open("ab", buffering=0) as events:
            events.write(line[:9])
            runs.story(run)
            events.write(line[9:])
        now = runs.story(run)
    assert read == lines
    assert runs.SHOWN / 2 < len(now.batches) <= runs.SHOWN
    assert now.batches[-1]["batch"] == said[-2]["batch"]
    monkeypatch.undo()
    assert told(run, *said) == now
    file.write_bytes(lines[1])
    runs.beat(run.folder)
    assert (runs.story(run).batches, runs.story(run).state) == ([], "running")  # another file by the same name


def test_what_is_kept_of_all_runs_is_bounded(run, monkeypatch):
    monkeypatch.setattr(runs, "KEPT_POINTS", 100)
    for one in runs.create(run.config), runs.create(run.config), run:
        assert len(told_of(one, 60).batches) == 60
    assert list(runs._stories) == [run.folder / "events.jsonl"]
    run.delete()
    assert runs._stories == {}


def told_of(run: runs.Run, count: int) -> runs.Story:
    """The story of a run that has said so many batches."""
    (run.folder / "events.jsonl").write_bytes(b"".join(
        json.dumps(one).encode() + b"\n" for one in [STARTED, *[BATCH] * count]))  # fmt: skip
    return runs.story(run)


names = st.sampled_from(["event", "epoch", "epochs", "batch", "batches", "batch_size", "loss", "accuracy", "val_loss",
                         "val_accuracy", "seconds", "done", "of", "what", "text", "device", "message", "from_epoch",
                         "images_per_second", "test_accuracy", "test_loss"])  # fmt: skip
TRUE = [STARTED, BATCH, EPOCH, DONE, DOWNLOAD, NOTE, {"event": "waiting"}]


@given(st.lists(st.tuples(st.sampled_from(TRUE), st.dictionaries(names, anything, max_size=2)), max_size=6))
@settings(quickly, max_examples=30)  # a figure takes its time
def test_no_event_breaks_a_page(run, forged):
    told(run, *({**true, **changes} for true, changes in forged))


# Links


def test_a_link_with_a_number_of_many_digits_is_damaged():
    """Found by reading: 1,100 bits are more than a float holds, and the division by 10,000 raised OverflowError."""
    for number in (b"\xff" * 200 + b"\1", b"\xff" * 2_900 + b"\1", b"\x80" * 5 + b"\1"):
        text = base64.urlsafe_b64encode(bytes([60, 1]) + number + b"\0").decode().rstrip("=")
        assert len(text) <= MAX_CHARACTERS
        with pytest.raises(InputError, match="damaged"):
            from_link(text)


@given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda some: some * 100))
def test_whatever_a_link_holds_can_be_drawn_or_is_damaged(content):
    text = base64.urlsafe_b64encode(content).decode().rstrip("=")
    with contextlib.suppress(InputError):
        strokes(replaced(EMPTY, from_link(text)))


def test_steps_that_go_on_and_on_take_no_memory():
    text = "_".join(["0.1x999"] * 100_000)
    with memory(20_000_000):
        assert one_step.from_link(text) == ()
    assert len(one_step.from_link("0.1x200")) == one_step.LIMIT
    assert one_step.from_link("0.1x200_0.1") == one_step.from_link("0.1x201") == ()


@given(st.text(max_size=60) | st.from_regex("([0-9.]{1,4}(x[0-9]{1,4})?_){1,8}", fullmatch=True))
def test_any_text_of_steps_is_some_or_none(text):
    assert len(one_step.from_link(text)) <= one_step.LIMIT


# Messages (those sent through a real websocket are in tests/pages/test_forged_messages.py)

points = st.lists(st.floats(-2, 3) | st.integers(-1, 2), min_size=2, max_size=8)
some_strokes = st.fixed_dictionaries({"points": points | anything, "width": st.floats(0, 1) | anything}) | anything
sketches = st.fixed_dictionaries(
    {"history": st.lists(st.none() | some_strokes, max_size=4) | anything, "cursor": st.integers(-1, 5) | anything},
    optional={"width": anything, "live": anything, "link": anything, "more": anything},
)


@given(sketches | anything)
def test_a_sketch_that_is_kept_can_be_drawn_on_and_sent_back(message):
    with contextlib.suppress(InputError):
        sketch = checked(message)
        text = json.dumps(sketch, allow_nan=False)
        assert checked(json.loads(text)) == checked(json.loads(text), sketch) == sketch
        assert sketch.keys() == {*EMPTY, "link"}
        strokes(replaced(sketch, sketch["history"][:0]))
        for cursor in range(len(sketch["history"]) + 1):  # undo and redo
            strokes({**sketch, "cursor": cursor})


@given(
    anything
    | st.fixed_dictionaries({"layer": st.just("conv1"), "filter": st.integers(-1, 9) | anything, "cell": anything})
)
def test_a_map_or_place_is_one_that_there_is_or_none(message):
    chosen, place = as_choice(NETWORK, message), as_place(NETWORK, message)
    if chosen:
        shapes = dict(zip((layer.name for layer in NETWORK.layers), NETWORK.shapes(), strict=True))
        shapes["input"] = NETWORK.input_shape
        assert 0 <= chosen[1] < shapes[chosen[0]][-1]
    for value in (place or {}).values():
        assert value.encode()
        assert len(value) <= 9


# What the code itself may not do

SOURCES = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "cnnviz").rglob("*.py")]
NEVER = {
    "unsafe_allow_html", "extractall", "unpack_archive", "enable_unsafe_deserialization", "pickle", "marshal", "shelve",
    "dill", "joblib", "cloudpickle", "yaml", "models", "saving", "system", "popen", "shell", "iframe",
}  # fmt: skip
"""Calls, modules and arguments that would execute, unpack or show what somebody else has written. `models` and `saving`
are Keras's: the app offers .keras files to download, and reads none."""
HTML_OF = {("app.py", "st.html(ASSETS / 'style.css')")}
"""The only HTML that the pages hold: the app's own style sheet."""


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_unpacked_or_executed_and_no_html_is_built(path):
    for node in ast.walk(parsed(path)):
        match node:
            case ast.Import(names=found) | ast.ImportFrom(names=found):
                modules = [one.name for one in found] + [getattr(node, "module", None) or ""]
                assert not NEVER & {part for module in modules for part in module.split(".")}, ast.unparse(node)
            case ast.Call(func=ast.Attribute(attr="html")):
                # html.escape makes text of HTML; st.html makes HTML of text.
                assert (path.name, ast.unparse(node)) in HTML_OF
            case ast.Call(func=ast.Attribute(value=ast.Name("np"), attr="load"), keywords=given):
                assert "allow_pickle=False" in [f"{one.arg}={ast.unparse(one.value)}" for one in given]
            case ast.Call(func=ast.Name("eval" | "exec" | "compile" | "__import__")):
                pytest.fail(ast.unparse(node))
            case ast.Call(func=ast.Name(name) | ast.Attribute(attr=name), keywords=given):
                assert not NEVER & {name, *(one.arg for one in given)}, ast.unparse(node)
            case ast.Attribute(attr="models" | "saving"):
                pytest.fail(ast.unparse(node))


INSERTS = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "srcdoc", "eval(", "new Function",
           "DOMParser", "createContextualFragment", "setHTML", "javascript:", "dangerouslySetInnerHTML")  # fmt: skip
FORMULAS = {"box.lastChild.innerHTML = formulas.join(\"\");",
            'this.cellFormula.innerHTML = `<h4>This cell</h4>${this.stage.formula(this.cell).join("")}`;'}  # fmt: skip
"""Formulas in MathML: signs, and numbers that `compact` and its like have written."""


def test_no_script_makes_html_of_what_it_is_given():
    found = set()
    for path in (ROOT / "cnnviz" / "components").rglob("*.js"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if any(name in line for name in INSERTS):
                found.add(line.strip())
    assert found == FORMULAS
    # What a formula takes from the server: the rest is made of numbers in the browser.
    for network in PRESETS.values():
        for row in table(network):
            assert set(row["Formula"]) <= set("0123456789(+)· ")

"""Links that somebody forged, on every page, and a run's folder that somebody filled with what is none; the server and
the websocket are the real ones."""

import json
import os
import shutil
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.proto.WidgetStates_pb2 import WidgetState
from visiting import Visitor, state

from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import SHIPPED, load_weights, write_weights
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig

pytestmark = pytest.mark.usefixtures("nothing_written")
PAGES = ["", "step", "convolution", "pooling", "learning", "layers", "training", "runs", "sweeps"]
HTML = "<img src=x onerror=alert(1)>"
TITLE = f"{HTML} **b** [x](http://y)"
FORGED = {
    "model": ["../../x", HTML, "run-../../etc", "run-20261121-000000-0000", "lenet5\0", ["lenet5", "../x"], "", "é"],
    "sample": ["../../etc/passwd", HTML, "mnist:99999", "mnist:-1", "mnist:٣", "digits:360", "../mnist:1", "cifar10:"],
    "drawing": ["A", HTML, "PA" + "_" * 3_000, "A" * 50_000, "____", "PAH_____________________________AQ", "é", "AAAA"],
    "layer": ["conv1", HTML, "conv9", "conv1", "", ["conv1", "conv2"], "input", "softmax"],
    "filter": ["-1", HTML, "9" * 5_000, "nan", "0x1", ["1", "2"], "1e9", "6"],
    "cell": ["9999,9999", HTML, "inf,1e9", "-1,-1", "1", "1,1,1", "9" * 5_000, ","],
    "run": ["../../x", HTML, "run-x", ["a", "b"], "", "20261121-000000-0000", "\0", "x" * 50_000],
    "sweep": ["../../x", HTML, "sweep-x", ["a", "b"], "", "20261121-000000-0000", "\0", "x" * 50_000],
    "epoch": ["99", HTML, "1e400", "-1", "nan", "", "1.5", ["0", "1"]],
    "steps": ["_".join(["0.1x999"] * 2_000), HTML, "0.1x", "x5", "nan", "1e400", "_", "0.1x201"],
    "step_seed": ["9" * 400, HTML, "1e400", "-1", "nan", "", "0.5", "inf"],
    "step_filter": ["inf", HTML, "1e400", "-1", "nan", "", "99", "9" * 400],
    "step_unit": ["1024", HTML, "1e400", "-1", "nan", "", "1.5", "9" * 400],
    "step_image": ["128", HTML, "1e400", "-1", "nan", "", "1.5", "9" * 400],
    "step_rate": ["nan", HTML, "1e400", "-1", "0", "", "inf", "10"],
    "step_by": ["adam", HTML, "adamw", "", "nan", "sgd", ["adam", "sgd"], "x" * 1_000],
    "step_layer": ["conv2", HTML, "conv3", "", "conv2", "nan", "conv2", "logits"],
    "kernel": ["nan", HTML, "1e400", "", "-1", "1,2;3", "[[[[", "x" * 1_000],
    "stride": ["0", HTML, "1e400", "-1", "nan", "", "1.5", "999"],
    HTML: [HTML] * 8,
}  # fmt: skip
"""What a link may hold: eight forged values of every name, and one that no page knows."""
RAW = ["%", "%ff%fe=%ff&%ed%a0%80=x", "&&&model&=&model[]=x", "?model=x;a=b#x", "\n", "é", "a" * 100_000]


def well(someone: Visitor) -> None:
    assert not someone.said("exception")
    for text in someone.said("markdown", "alert", "heading"):
        assert "onerror" not in text or "&#60;img" in text
        assert len(text) < 5_000


@pytest.fixture(scope="module")
def run():
    """A run of the server's that is done; its name is HTML."""
    made = runs.create(TrainingConfig("digits", preset="small-digits", epochs=2), TITLE)
    for name in ("weights.npz", "epochs/000.npz", "epochs/001.npz", "epochs/002.npz"):
        shutil.copy(SHIPPED / "small-digits.npz", made.folder / name)
    log = runs.Log(made.folder)
    log.say("started", device=TITLE, backend="tensorflow", batches=9, batch_size=128, epochs=2, from_epoch=0)
    for epoch in 1, 2:
        log.say("epoch", epoch=epoch, loss=0.2, accuracy=0.9, val_loss=0.3, val_accuracy=0.9, seconds=1.0)
    log.say("done", epoch=1, test_accuracy=0.91, test_loss=0.3, message=TITLE)
    assert str(made.folder).startswith(os.environ["CNNVIZ_RUNS"])
    yield made
    made.delete()


@pytest.mark.parametrize("page", PAGES)
def test_a_forged_link_opens_the_page_as_it_is(page, server, run):
    rows = (dict(zip(FORGED, row, strict=True)) for row in zip(*FORGED.values(), strict=True))
    for query in [*(urlencode(row, doseq=True) for row in rows), *RAW]:
        with Visitor(server.url, query, page) as someone:
            well(someone)
            assert len(someone.said("markdown")) > 1


@pytest.mark.parametrize("page", PAGES)
def test_what_a_forged_run_says_is_shown_as_text(page, server, run):
    for query in ({"epoch": "1"}, {"epoch": HTML}, {"epoch": "-1"}, {"layer": HTML, "filter": "7"}):
        with Visitor(
            server.url, urlencode({"model": f"run-{run.id}", "run": run.id, "sample": "two", **query}), page
        ) as it:
            well(it)
            assert TITLE not in "".join(it.said("markdown", "heading", "alert", "progress"))


FORGED_WEIGHTS = {
    "text": HTML.encode(),
    "a zip of nothing": b"PK\5\6" + bytes(18),
    "numbers that overflow": None,
}


@pytest.mark.parametrize("name", FORGED_WEIGHTS)
def test_forged_weights_get_a_sentence_on_every_page_that_reads_them(name, server):
    made = runs.create(TrainingConfig("digits", preset="small-digits", epochs=2), "forged")
    try:
        for file in (
            "weights.npz",
            "epochs/000.npz",
            "epochs/001.npz",
            "live.npz",
            "checkpoint.npz",
            "predictions.npz",
        ):
            path: Path = made.folder / file
            if FORGED_WEIGHTS[name] is None:
                given = load_weights(PRESETS["small-digits"])
                write_weights(
                    path, {layer: (np.full_like(kernel, 1e38), bias) for layer, (kernel, bias) in given.items()}
                )
            else:
                path.write_bytes(FORGED_WEIGHTS[name])
        runs.Log(made.folder).say("stopped", test_accuracy=0.5, test_loss=1.0)
        for page in PAGES:
            with Visitor(server.url, f"model=run-{made.id}&run={made.id}&sample=two", page) as someone:
                well(someone)
                if page in ("", "step") and FORGED_WEIGHTS[name]:
                    assert someone.said("alert")[0].startswith("The weights file 001.npz ")
    finally:
        made.delete()


keys = st.sampled_from(["model", "sample", "drawing", "layer", "filter", "cell", "run", "epoch", "steps", "step_seed"])
texts = (
    st.text(max_size=30)
    | st.sampled_from(["lenet5", "run-", "mnist:1", "conv1", "-1", "1e9", "nan", HTML, "0.1x5"])
    | st.integers().map(str)
    | st.floats().map(str)
)


@given(st.sampled_from(PAGES), st.dictionaries(keys | st.text(max_size=5), texts, max_size=4))
@settings(max_examples=40, deadline=None)
def test_any_link_opens_a_page(server, page, query):
    text = urlencode({key.encode("utf-8", "replace"): value.encode("utf-8", "replace") for key, value in query.items()})
    with Visitor(server.url, text, page) as someone:
        well(someone)


def test_what_is_no_choice_of_the_form_is_not_taken(server):
    with Visitor(server.url, "sample=two") as someone:
        opened = WidgetState(id=someone.id_of("retrain"), bool_value=True)
        someone.rerun(opened)
        for name in (
            "dataset",
            "preset",
            "optimizer",
            "schedule",
            "augmentation",
            "initializer",
            "device",
            "precision",
        ):
            for forged in (HTML, "", "../x", "x" * 100_000):
                someone.rerun(opened, WidgetState(id=someone.id_of(f"t_{name}"), string_value=forged))
                well(someone)
        for name in ("epochs", "seed", "steps"):
            for forged in (-1, 1e300, 0.5):
                someone.rerun(opened, WidgetState(id=someone.id_of(f"t_{name}"), double_value=forged))
                well(someone)
        someone.rerun(opened, WidgetState(id=someone.id_of("t_title"), string_value=HTML * 1_000))
        well(someone)
        someone.rerun(opened, WidgetState(id=someone.id_of("model"), string_value="run-../../x"))
        well(someone)


FORGED_SWEEP = {
    "s_axes": [{"string_array_value": {"data": data}} for data in (["../x"], [HTML] * 9, ["learning_rate"] * 3, [""])],
    "s_learning_rate": [{"string_array_value": {"data": data}} for data in (["nan", "inf"], [HTML, HTML], ["0.1"], [])],
    "s_method": [{"string_value": text} for text in (HTML, "", "../x", "x" * 100_000)],
    "s_count": [{"double_value": number} for number in (1e300, -1.0, 0.5)],
    "s_halving": [{"string_value": HTML}],
    "s_title": [{"string_value": HTML * 1_000}, {"string_value": "\0\x1b[31m"}],
}
NO_NUMBERS = [{"double_value": float(text)} for text in ("nan", "inf", "-inf")]
"""Streamlit itself can't make these a whole number: whoever sends them is told so, without details."""


def test_what_is_no_choice_of_a_sweep_is_not_taken(server):
    for name, forged in FORGED_SWEEP.items():
        for value in forged:
            with Visitor(server.url, "", "sweeps") as someone:
                someone.rerun(WidgetState(id=someone.id_of(name), **value))
                well(someone)
    for name, method in (("s_count", "random"), ("s_points", "grid")):
        for value in NO_NUMBERS:
            with Visitor(server.url, "", "sweeps") as someone:
                someone.rerun(WidgetState(id=someone.id_of("s_method"), string_value=method))
                someone.rerun(WidgetState(id=someone.id_of(name), **value))
                assert "Traceback" not in "".join(someone.said("exception"))
    with Visitor(server.url, "", "sweeps") as someone:
        well(someone)
    assert not list(Path(os.environ["CNNVIZ_RUNS"]).glob("sweeps/*"))


def test_a_row_or_a_cell_that_is_not_there_is_not_chosen(server, run):
    chances, labels = np.full((360, 10), 0.1, np.float32), np.zeros(360, np.uint8)
    np.savez(run.folder / "predictions.npz", probabilities=chances, labels=labels)
    with Visitor(server.url, "", "runs") as someone:
        (table,) = [element.id for kind, element in someone.elements if "-table-" in getattr(element, "id", "")]
        for rows in ([-1], [10**9], ["0"], [None], [0.5], [[0]], [True, 0, 0]):
            selected = {"selection": {"rows": rows, "columns": [], "cells": []}}
            someone.rerun(WidgetState(id=table, string_value=json.dumps(selected)))
            well(someone)
    with Visitor(server.url, f"run={run.id}", "training") as someone:
        chart = someone.id_of("confusion-chart")
        for point in (
            {"x": HTML, "y": "0"},
            {"x": 0, "y": 1},
            {"x": ["0"], "y": {}},
            {},
            None,
            7,
            {"x": "0", "y": "1"},
        ):
            selected = {"selection": {"points": [point], "point_indices": [], "box": [], "lasso": []}}
            someone.rerun(state(chart, selected), WidgetState(id=chart, string_value=json.dumps(selected)))
            well(someone)

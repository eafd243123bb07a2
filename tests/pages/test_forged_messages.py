"""What a browser sends that is none: forged states of every component, over a real websocket to the real server."""

import json

import pytest
from visiting import Visitor, state, trigger

from cnnviz.components.sketchpad import MAX_HISTORY
from cnnviz.inputs.strokes import MAX_POINTS, MAX_STROKES

pytestmark = pytest.mark.usefixtures("nothing_written")
STROKE = {"points": [0.5, 0.2, 0.5, 0.8], "width": 0.05}  # a 1


def sketch(*history, **more):
    return {"sketch": {"history": list(history), "cursor": len(history), "width": 0.06, "live": False, **more}}


def with_points(text: str) -> str:
    return '{"sketch":{"history":[{"points":[' + text + '],"width":0.05}],"cursor":1}}'


NO_SKETCH = {
    "a text": {"sketch": "<img src=x onerror=alert(1)>"},
    "a list": {"sketch": [STROKE]},
    "a number": {"sketch": 7},
    "a history that is none": {"sketch": {"history": "abc", "cursor": 1}},
    "half a cursor": sketch(STROKE, cursor=0.5),
    "a cursor before all": sketch(STROKE, cursor=-1),
    "a cursor behind all": sketch(STROKE, cursor=2),
    "a cursor far behind": sketch(STROKE, cursor=10**400),
    "a cursor that is true": sketch(STROKE, cursor=True),
    "a stroke that is a text": sketch("<b>"),
    "a stroke that is a number": sketch(1),
    "no width": sketch({"points": [0, 0]}),
    "no points": sketch({"width": 0.05}),
    "an odd number of them": sketch({"points": [0.1, 0.2, 0.3], "width": 0.05}),
    "none of them": sketch({"points": [], "width": 0.05}),
    "points in points": sketch({"points": [[0, 0]], "width": 0.05}),
    "ragged points": sketch({"points": [[0], 0], "width": 0.05}),
    "texts": sketch({"points": ["0.5", "0.5"], "width": 0.05}),
    "HTML": sketch({"points": ["<b>", "x"], "width": "<i>"}),
    "nothing in points": sketch({"points": [None, None], "width": 0.05}),
    "a width of text": sketch({**STROKE, "width": "0.05"}),
    "a width that is no number": '{"sketch":{"history":[{"points":[0,0],"width":NaN}],"cursor":1}}',
    "an infinite width": '{"sketch":{"history":[{"points":[0,0],"width":1e999}],"cursor":1}}',
    "no numbers": with_points("NaN,0"),
    "infinities": with_points("1e999,-1e999"),
    "more digits than a float has": with_points("9" * 400 + ",1"),
    "points 200 deep": with_points("[" * 200 + "]" * 200),
    "a history 200 deep": '{"sketch":{"history":[' + "[" * 200 + "]" * 200 + '],"cursor":1}}',
    "a bad stroke that is undone": sketch(STROKE, {"points": ["<b>"], "width": 1}, cursor=1),
    "a bad stroke that is cleared": sketch({"points": [None], "width": 1}, None, STROKE),
    "too many strokes": sketch(*[STROKE] * (MAX_STROKES + 1)),
    "too many strokes that are cleared": sketch(*[STROKE] * (MAX_STROKES + MAX_HISTORY - 1), None, STROKE),
    "too many points that are cleared": sketch({"points": [0.5] * (2 * MAX_POINTS + 2), "width": 0.05}, None, STROKE),
    "too many points": sketch({"points": [0.5] * (2 * MAX_POINTS + 2), "width": 0.05}),
}
STRANGE = {
    "as many steps as there may be": sketch(*[STROKE] * (MAX_STROKES + MAX_HISTORY - 2), None, STROKE),
    "a long link": sketch(STROKE, link="A" * 100_000),
    "a link of HTML": sketch(STROKE, link="<script>"),
    "a link that is half a letter": '{"sketch":{"history":[{"points":[0.5,0.2,0.5,0.8],"width":0.05}],"cursor":1,'
                                    '"link":"\\ud800"}}',
    "a wide pen": sketch({**STROKE, "width": 10**30}, width="<b>", live="<b>"),
    "far out": sketch(STROKE, {"points": [1e300, -1e300, 9e18, 0], "width": 0.05}),
    "more than there is": {**sketch({**STROKE, "more": [[[["x"]]]]}, more="<b>"), "chosen": 1},
}  # fmt: skip
NOTHING = ["null", "[1]", {"sketch": None}]
UNREADABLE = ["", '{"sketch":', "[" * 100_000 + "]" * 100_000, "9" * 5_000]


@pytest.fixture
def visitor(server):
    with Visitor(server.url, "sample=two") as someone:
        yield someone


def well(visitor: Visitor) -> None:
    assert not visitor.said("exception")


def test_what_is_no_sketch_gets_a_sentence_and_the_last_answer_stays(visitor):
    pad, samples = visitor.id_of("sketchpad"), visitor.id_of("samples")
    visitor.rerun(state(pad, sketch(STROKE)))
    assert visitor.answers() == ["1"]
    for name, forged in NO_SKETCH.items():
        visitor.rerun(state(pad, forged))
        well(visitor)
        assert visitor.answers() == ["1"], name
        (sentence,) = visitor.said("alert")
        assert sentence.endswith("."), name
        assert "<" not in sentence
    # A sample is drawn behind what is there: the forged sketch has left no trace.
    visitor.rerun(state(pad, sketch(STROKE)), trigger(samples, "picked", "three"))
    well(visitor)
    assert visitor.answers() == ["3"]


def test_what_is_strange_in_a_sketch_is_left_out(visitor):
    pad = visitor.id_of("sketchpad")
    for name, forged in STRANGE.items():
        visitor.rerun(state(pad, sketch({"points": [0.2, 0.2, 0.8, 0.2, 0.5, 0.8], "width": 0.05})))
        assert visitor.answers() == ["7"]
        visitor.rerun(state(pad, forged))
        well(visitor)
        assert not visitor.said("alert"), name
        assert visitor.answers(), name
        assert "drawing=" not in visitor.query
    for forged in NOTHING:
        visitor.rerun(state(pad, forged))
        well(visitor)


PICKED = ["<b>", "../../x", "mnist:3", ["two"], {"two": 1}, 7, True, [[[[]]]], "x" * 1_000_000, None]
CHOSEN = ["conv1", {"layer": "conv9", "filter": 0}, {"layer": ["conv1"], "filter": 0}, {"layer": "conv1"},
          {"layer": "conv1", "filter": -1}, {"layer": "conv1", "filter": 6}, {"layer": "conv1", "filter": "9" * 5_000},
          {"layer": "conv1", "filter": float("inf")}, {"layer": "conv1", "filter": float("nan")},
          {"layer": "\ud800", "filter": 0}, {"layer": "<b>", "filter": "<b>"}, [], 7]  # fmt: skip
CELLS = ["<img src=x onerror=alert(1)>", "\ud800", {"row": 1}, ["1,1"], 10**30, "1,1,1", "1,1&model=x", "9" * 100]


def test_a_picture_that_is_not_there_is_not_picked(visitor):
    samples = visitor.id_of("samples")
    visitor.rerun(trigger(samples, "picked", "two"))
    assert visitor.answers() == ["2"]
    for forged in PICKED:
        visitor.rerun(trigger(visitor.id_of("samples"), "picked", forged))
        well(visitor)
        assert visitor.answers() == ["2"]


def test_a_map_or_a_cell_that_is_not_there_is_not_chosen(visitor, server):
    visitor.rerun(trigger(visitor.id_of("samples"), "picked", "two"))
    maps = visitor.id_of("network")
    for forged in CHOSEN:
        visitor.rerun(state(maps, {"chosen": forged}))
        well(visitor)
        visitor.rerun(trigger(maps, "step", forged))
        well(visitor)
        assert visitor.answers() == ["2"]
    for forged in CELLS:
        with Visitor(server.url, "sample=two") as other:
            other.rerun(trigger(other.id_of("network"), "step", {"layer": "conv1", "filter": 1, "cell": forged}))
            well(other)
            assert "layer=conv1&filter=1" in other.query
            assert "cell" not in other.query


COMPONENTS = {
    "": ("sketchpad", "outcome", "samples", "network", "visitor-cookie"),
    "step": ("step-samples", "walk", "walk-columns"),
    "convolution": ("convolution",),
    "pooling": ("pooling",),
    "learning": ("batch-images", "kernel-maps"),
    "sweeps": ("visitor-cookie",),
}
NAN, ENDLESS = float("nan"), float("inf")
ANY = [None, True, -1, 1e308, NAN, ENDLESS, -ENDLESS, [NAN], "<b>", [], {}, [[[[]]]], {"wanted": {"layer": "dense1"}},
       {"layer": "conv1", "filter": NAN}, {"layer": "conv1", "filter": -ENDLESS},
       {"layer": "dense1", "kernel": 1, "unit": 10**30, "count": -1, "number": "x"},
       {"layer": "dense1", "kernel": 1, "unit": NAN, "count": ENDLESS, "number": NAN},
       {"history": [{"points": [NAN, ENDLESS], "width": NAN}], "cursor": NAN, "width": ENDLESS}]  # fmt: skip


@pytest.mark.parametrize("page", COMPONENTS)
def test_no_component_of_any_page_believes_what_it_is_sent(page, server):
    model = "model=book-mnist-sgd&" if page == "step" else ""  # wide layers: the browser asks for columns
    with Visitor(server.url, f"{model}sample=two", page) as someone:
        well(someone)
        for name in COMPONENTS[page]:
            for value in ANY:
                fields = dict.fromkeys(("sketch", "chosen", "wanted", "picked", "value"), value)
                someone.rerun(state(someone.id_of(name), fields))
                well(someone)
            someone.rerun(state(someone.id_of(name), "[[]]"), trigger(someone.id_of(name), "picked", ANY))
            well(someone)


def test_what_streamlit_itself_can_not_read_harms_nobody_else(visitor, server):
    for text in UNREADABLE:
        with Visitor(server.url, "sample=two") as forger:
            forger.rerun(state(forger.id_of("sketchpad"), text))
            assert "Traceback" not in "".join(forger.said("exception"))
        visitor.rerun(trigger(visitor.id_of("samples"), "picked", "two"))
        well(visitor)
        assert visitor.answers() == ["2"]


def test_a_message_past_the_limit_ends_that_connection_alone(visitor, server):
    from websockets.exceptions import ConnectionClosed

    with Visitor(server.url, "sample=two") as forger, pytest.raises(ConnectionClosed):
        forger.rerun(state(forger.id_of("sketchpad"), json.dumps({"sketch": "x" * 40_100_000})))
    visitor.rerun(state(visitor.id_of("sketchpad"), json.dumps({"more": "x" * 1_000_000, **sketch(STROKE)})))
    well(visitor)
    assert visitor.answers() == ["1"]

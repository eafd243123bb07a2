"""The pages, run as Streamlit runs them but without a browser; the worker and its TensorFlow are the real ones."""

import json
import shutil

import pytest
from opening import ROOT, opened
from streamlit.testing.v1 import AppTest

from cnnviz.crowd import TURN
from cnnviz.figures import percent
from cnnviz.inputs.samples import samples
from cnnviz.nets.presets import PRESETS
from cnnviz.training import runs
from cnnviz.workers import TRACER


def drawn(app: AppTest, *points) -> AppTest:
    """Put one stroke on the sketchpad, as the browser's message does."""
    stroke = {"points": list(points), "width": 0.04}
    app.session_state["sketch"] = {"history": [stroke], "cursor": 1, "width": 0.06, "live": False}
    return app.run()


def said(app: AppTest) -> str:
    return " ".join(element.value for element in [*app.markdown, *app.error])


def answer(app: AppTest) -> str:
    """The class that the page says it reads; none while nothing is drawn."""
    return next((one.value.partition("\n")[0][2:] for one in app.markdown if one.value.startswith("# ")), "")


def test_the_first_page_asks_for_a_digit():
    app = opened()
    assert "Draw a digit" in said(app)
    assert not answer(app)


@pytest.mark.parametrize("name", samples())
def test_a_link_with_a_sample_opens_with_its_answer(name):
    digit = {"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
             "eight": "8", "nine": "9"}  # fmt: skip
    expected = next(figure for word, figure in digit.items() if word in name)
    assert answer(opened(sample=name)) == expected


@pytest.mark.parametrize("model", PRESETS)
def test_every_network_answers(model):
    app = opened(sample="crossed-seven", model=model)
    assert app.session_state["model_shown"] == model
    network = PRESETS[model]
    assert answer(app) in (["7"] if network.dataset == "mnist" else network.classes)
    assert app.session_state["trace"].network.name == model


def test_a_network_that_is_not_there_is_told_and_its_name_is_text():
    app = opened(model="<b>x\u202e")
    assert not app.exception
    (info,) = app.info
    assert info.value.startswith("There is no network &#60;b&#62;x. What you see is lenet5")
    assert "model" not in app.query_params
    assert not opened(model="fashion").info


def test_the_pages_begin_with_something_that_is_not_on_the_sketchpad():
    app = opened()
    app.switch_page("pages/step.py").run()
    assert not app.exception
    assert app.session_state["trace"].label == "7"
    app.switch_page("pages/draw.py").run()
    assert "Draw a digit, and the answer appears here." in said(app)
    assert "sample" not in app.query_params
    app.session_state["model"] = "fashion"
    assert "Choose a sample or a picture, and the answer appears here." in said(app.run())


def test_nobody_waits_for_a_turn_while_an_answer_is_waited_for(monkeypatch):
    def free() -> int:
        turns = 0
        while TURN.acquire(blocking=False):
            turns += 1
        TURN.release(turns)
        return turns

    before, meanwhile, trace = free(), [], TRACER.trace
    monkeypatch.setattr(TRACER, "trace", lambda *asked: meanwhile.append(free()) or trace(*asked))
    assert answer(opened(sample="crossed-seven")) == "7"
    assert [before, *meanwhile, free()] == [3, 3, 3]


def test_an_unsure_answer_says_so():
    # A scribble that is no digit.
    app = drawn(opened(), *[0.2, 0.8, 0.3, 0.2, 0.4, 0.8, 0.5, 0.2, 0.6, 0.8, 0.7, 0.2, 0.8, 0.8, 0.2, 0.5, 0.8, 0.5])
    sure = float(app.session_state["trace"].probabilities.max())
    assert ("Not sure" in said(app)) == (sure < 0.8)
    assert percent(sure) in said(app)


@pytest.mark.parametrize(
    "query", [{"model": "../../x"}, {"model": "<script>"}, {"sample": "../secret"}, {"layer": "conv9", "filter": "1e9"},
              {"layer": "<b>x</b>", "filter": "-1"}, {"filter": "٣"}, {"layer": ""}, {"drawing": "../../x"},
              {"drawing": "A"}],
)  # fmt: skip
def test_a_forged_link_opens_the_page_as_it_is(query):
    app = opened(**query)
    assert app.session_state["model_shown"] == "lenet5"
    assert "Draw a digit" in said(app)


def test_a_forged_sketch_gets_a_sentence_and_the_last_answer_stays():
    app = drawn(opened(sample="two"), "<script>", 0)
    assert not app.exception
    assert "could not be read" in app.error[0].value
    assert answer(app) == "2"


def test_the_layers_page_counts_the_parameters():
    app = opened(model="lenet5-1998")
    app.switch_page("pages/layers.py").run()
    assert not app.exception
    assert "61,706" in app.subheader[0].value
    assert "| conv2 |" in said(app)
    assert len(app.metric) >= 1


def test_the_step_page_takes_the_drawing_along():
    app = opened(sample="five")
    app.switch_page("pages/step.py").run()
    assert not app.exception
    assert app.session_state["trace"].label == "5"
    assert "five" in app.query_params["sample"]


def test_the_step_page_has_something_to_show_when_nothing_is_drawn():
    app = opened()
    app.switch_page("pages/step.py").run()
    assert not app.exception
    assert app.session_state["trace"].label == "7"


def test_a_changed_drawing_leaves_no_sample_in_the_address():
    app = opened(sample="five")
    app = drawn(app, 0.5, 0.2, 0.5, 0.8)
    app.switch_page("pages/step.py").run()
    assert app.session_state["trace"].label == "1"


@pytest.mark.parametrize("page", ["step", "convolution", "pooling"])
@pytest.mark.parametrize(
    "model", ["lenet5", "lenet5-1998", "fashion", "book-cifar", "small-digits"]
)  # one of each kind
def test_every_page_opens_with_every_network(page, model):
    app = opened(model=model)
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    assert not app.error
    assert app.session_state["model_shown"] == model


def test_how_a_network_learned_is_shown_with_a_word_where_it_overfits():
    app = opened(model="fashion-20")
    app.switch_page("pages/layers.py").run()
    assert not app.exception
    assert "How it learned" in [heading.value for heading in app.subheader]
    assert "It overfits" in said(app)
    losses = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
    assert len(losses[1]["x"]) == 20


def test_a_network_without_weights_says_how_to_get_them(monkeypatch):
    from cnnviz.nets import weights

    app = opened()
    monkeypatch.setattr(weights, "SHIPPED", ROOT / "nowhere")
    monkeypatch.setattr(weights.load_weights, "__defaults__", (ROOT / "nowhere",))
    weights._read.clear()
    app.switch_page("pages/step.py").run()
    weights._read.clear()
    assert not app.exception
    assert "make weights" in app.error[0].value


def test_a_run_is_a_network_on_every_page_and_its_settings_fill_the_form(finished):
    app = opened(sample="two", model=f"run-{finished.id}", epoch="1")
    assert answer(app) == "2"
    assert app.session_state["trace"].network.name == f"run-{finished.id}"
    assert app.session_state["epoch"] == 1
    for page in "step", "convolution", "pooling", "layers", "training", "runs":
        app.switch_page(f"pages/{page}.py").run()
        assert not app.exception, page
        assert not app.error, page
    app.switch_page("pages/training.py").run()
    assert "It overfits" in said(app)
    assert "answers to the test images are not there" in app.info[0].value  # predictions.npz is missing here
    app.button(key="fill").click().run()
    assert not app.exception
    assert app.session_state["t_preset"] == "quick-mnist"
    assert app.session_state["t_epochs"] == 2


def test_a_run_that_can_not_be_read_hides_no_other(finished, monkeypatch):
    broken = runs.create(finished.config, "broken")
    (broken.folder / "events.jsonl").mkdir()
    app = opened().switch_page("pages/runs.py").run()
    assert not app.exception
    assert not app.error
    shown = app.dataframe[0].value
    assert dict(zip(shown["name"], shown["state"], strict=True)) == {finished.title: "done", "broken": "unreadable"}
    shutil.copy(finished.weights(), broken.folder)
    app.query_params["model"] = f"run-{broken.id}"
    app.switch_page("pages/layers.py").run()
    assert not app.exception
    assert app.subheader[0].value.startswith("broken")
    assert [error.value for error in app.error] == ["The run's events can't be read: Is a directory."]
    # Nor does a folder of which nothing can be read break a page.
    monkeypatch.setenv("CNNVIZ_RUNS", str(finished.folder / ("x" * 300)))
    assert "runs folder can't be read" in app.switch_page("pages/runs.py").run().error[0].value
    assert not app.exception
    assert not app.switch_page("pages/draw.py").run().exception
    assert not app.error


@pytest.mark.parametrize("query", [{"model": "run-20261121-000000-0000"}, {"model": "run-../../etc"}, {"epoch": "99"},
                                   {"epoch": "<b>"}])  # fmt: skip
def test_a_forged_run_or_epoch_opens_the_page_as_it_is(query, finished):
    app = opened(sample="two", **{"model": f"run-{finished.id}", **query})
    assert not app.exception
    assert answer(app) == "2"


def test_a_deleted_run_is_told_and_the_first_network_is_there_again(finished):
    app = opened(sample="two", model=f"run-{finished.id}")
    finished.delete()
    app.run()
    assert not app.exception
    assert answer(app) == "2"
    assert app.session_state["trace"].network.name == "lenet5"
    app.switch_page("pages/training.py").run()
    assert "There are no runs yet" in app.info[-1].value

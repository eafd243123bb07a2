"""The page of one step of learning, without a browser; the worker and its numbers are the real ones."""

import pytest
from opening import opened

from cnnviz import data
from cnnviz.training import one_step

HERE = pytest.mark.skipif(not data.is_here("mnist"), reason="MNIST is not here: run `python -m cnnviz datasets mnist`")


def learning(**query):
    app = opened(**query)
    app.switch_page("pages/learning.py").run()
    assert not app.exception
    assert not app.error
    return app


def button(app, label):
    return next(button for button in app.button if button.label == label)


def losses(app) -> str:
    return next(text.value for text in app.markdown if text.value.startswith("####"))


@HERE
def test_steps_are_taken_undone_and_begun_anew():
    app = learning(step_layer="conv2", step_filter="7")
    first = losses(app)
    assert app.subheader[0].value == "Step 1"
    button(app, "Take the step").click().run()
    assert app.subheader[0].value == "Step 2"
    assert app.query_params["steps"] == "0.1"
    assert losses(app) != first
    button(app, "Undo").click().run()
    assert losses(app) == first
    assert "steps" not in app.query_params
    app.select_slider[0].set_value(10.0).run()
    assert "too far" in app.warning[0].value
    assert losses(app).split(" → ")[0] == first.split(" → ")[0]
    assert not app.exception


@HERE
def test_it_ends_at_the_limit(monkeypatch):
    monkeypatch.setattr(one_step, "LIMIT", 2)
    app = learning(steps="0.1x3", step_seed="-4", step_rate="7", step_layer="conv9")
    assert app.subheader[0].value == "Step 1"  # what makes no sense in the address is ignored
    for _ in range(2):
        button(app, "Take the step").click().run()
    assert app.subheader[0].value == "Step 3"
    assert button(app, "Take the step").disabled
    assert "no more" in app.info[0].value


def test_without_mnist_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path))
    app = learning()
    assert "python -m cnnviz datasets mnist" in app.info[0].value

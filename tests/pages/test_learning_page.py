"""The page of one step of learning, without a browser; the worker and its numbers are the real ones."""

import re
from dataclasses import replace

import numpy as np
import pytest
from opening import opened

from cnnviz import data
from cnnviz.training import one_step
from cnnviz.workers import LEARNER, WorkerError

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
    # The label's probability is 0 in float32 after it; its logarithm is taken from the logits.
    button(app, "Take the step").click().run()
    step = app.session_state.one_step[1]
    worst = step.before.losses.argmax()
    assert step.before.probabilities[worst][step.labels[worst]] == 0
    assert np.isfinite(step.before.losses[worst])
    text = next(text.value for text in app.markdown if "cross-entropy is" in text.value)
    assert "too small for float32" in text
    assert "−ln 0" not in text
    assert not app.exception


@HERE
def test_an_image_is_worked_through():
    app = learning(step_seed="2")
    step = app.session_state.one_step[1]
    worst = int(step.before.losses.argmax())  # what one begins with
    label = step.labels[worst]
    right = [int((step.labels == forward.logits.argmax(axis=1)).sum()) for forward in (step.before, step.after(0.1))]
    assert "**{} of 128** right (✓), after the step **{}**".format(*right) in " ".join(
        text.value for text in app.markdown
    )
    text = next(text.value for text in app.markdown if "cross-entropy is" in text.value)
    shown = [float(number.replace("−", "-")) for number in re.search("#### (.+) → (.+)", text).groups()]
    assert np.array_equal(np.float32(shown), [step.before.losses[worst], step.after(0.1).losses[worst]])
    table = next(text.value for text in app.markdown if text.value.startswith("| class"))
    rows = [[cell.strip(" *").replace("−", "-") for cell in row.split("|")[1:-1]] for row in table.split("\n")[2:]]
    assert [row[0] for row in rows] == list("0123456789")
    after = step.after(0.1)
    columns = [step.before.logits, step.before.probabilities, after.logits, after.probabilities]
    assert np.array_equal(np.float32([row[1:] for row in rows]).T, [column[worst] for column in columns])
    assert f"| **{label}** |" in table
    app.session_state.step_image = step.history, 5
    app.run()
    assert f"a {step.labels[5]}" in next(text.value for text in app.markdown if "one image" in text.value)
    button(app, "Take the step").click().run()  # other images: again the worst
    worst = int(app.session_state.one_step[1].before.losses.argmax())
    label = app.session_state.one_step[1].labels[worst]
    assert f"a {label}" in next(text.value for text in app.markdown if "one image" in text.value)


@HERE
def test_images_without_numbers_are_told_as_such():
    app = learning()
    history, step = app.session_state.one_step
    lost = one_step.Forward(*(np.full_like(array, np.nan) for array in (
        step.before.logits, step.before.probabilities, step.before.losses)), float("nan"),
        np.full_like(step.labels, one_step.NO_ANSWER))  # fmt: skip
    app.session_state.one_step = history, replace(step, before=lost, afters=(lost,) * len(step.afters))
    app.run()
    assert not app.exception
    said = " ".join(text.value for text in app.markdown)
    assert "**0 of 128** right" in said
    assert "#### no number → no number" in said
    assert "| no number | no number | no number | no number |" in said


@HERE
@pytest.mark.parametrize("optimizer", one_step.OPTIMIZERS)
def test_every_layer_has_its_kernels(optimizer):
    app = learning(step_by=one_step.OPTIMIZERS[optimizer])  # as the address has it
    assert app.session_state.one_step[1].history.optimizer == optimizer
    for name in ("conv2", "dense1", "logits"):
        app.segmented_control(key="step_layer").set_value(name).run()
        assert not app.exception
        assert not app.error
        if name == "dense1":  # the steepest, until another one is chosen
            assert app.number_input(key="step_unit").value == app.session_state.one_step[1].layers[2].largest.index[1]
            app.number_input(key="step_unit").set_value(7).run()
            assert app.session_state.unit_step[0][1] == 7


@HERE
@pytest.mark.parametrize(("unit", "expected"), [("12", 12), ("9999", None), ("-3", None), ("x", None)])
def test_a_link_names_a_unit(unit, expected):
    app = learning(step_layer="dense1", step_unit=unit)
    assert not app.exception
    steepest = app.session_state.one_step[1].layers[2].largest.index[1]
    assert app.number_input(key="step_unit").value in ([expected] if expected else [0, 1023, steepest])


@HERE
@pytest.mark.parametrize(("image", "named"), [("127", True), ("0", True), ("128", False), ("-3", False), ("x", False)])
def test_a_link_names_an_image_of_the_batch(image, named):
    app = learning(step_image=image)
    assert not app.exception
    step = app.session_state.one_step[1]
    shown = int(image) if named else int(step.before.losses.argmax())
    assert f"a {step.labels[shown]}" in next(text.value for text in app.markdown if "one image" in text.value)
    assert ("step_image" in app.query_params) == named
    button(app, "Take the step").click().run()  # the next batch has other images
    assert "step_image" not in app.query_params


@HERE
def test_a_worker_that_is_lost_at_a_unit_is_told_of(monkeypatch):
    app = learning()
    monkeypatch.setattr(LEARNER, "one_step", lost)
    app.segmented_control(key="step_layer").set_value("dense1").run()
    assert not app.exception
    assert "lost" in app.error[0].value
    assert "Every layer's kernel" in " ".join(text.value for text in app.markdown)


def lost(*_):
    raise WorkerError("It was lost.")


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

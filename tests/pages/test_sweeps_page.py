"""The page of sweeps, without a browser; the training is real."""

import time

import pytest
from opening import opened

from cnnviz.nets.blocks import Block
from cnnviz.training import runs, sweeps
from cnnviz.training.config import TrainingConfig
from cnnviz.workers import TRAINERS

SMALL = TrainingConfig("digits", preset="", blocks=(Block(8, 3),), epochs=4, batch_size=32, learning_rate=2e-3)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path / "runs"))


def page(base: TrainingConfig = SMALL):
    app = opened()
    app.session_state["form_says"] = base
    app.switch_page("pages/sweeps.py").run()
    assert not app.exception
    return app


def until(found, what: str) -> None:
    deadline = time.monotonic() + 120
    while not found():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_sweep_is_started_watched_stopped_gone_on_with_and_deleted(monkeypatch):
    app = page()
    assert "no sweeps yet" in app.info[0].value
    assert any("your own blocks** on digits" in text.value for text in app.markdown)
    assert "filters" in app.multiselect(key="s_axes").options[-3]
    app.number_input(key="s_count").set_value(4).run()
    assert "4 runs, 8 epochs together instead of 16." in [caption.value for caption in app.caption]
    app.button(key="s_start").click().run()
    assert not app.exception
    sweep = sweeps.find(runs.all_runs()[0].sweep)
    assert app.query_params["sweep"] in (sweep.id, [sweep.id])
    until(lambda: sum(bool(told.epochs) for _, told in sweeps.standing(sweep).stories.values()) >= 2, "two runs")
    app.run()
    assert not app.exception
    assert "running" in app.subheader[0].value
    assert "Best validation accuracy" in [metric.label for metric in app.metric]
    assert app.button(key="s_start").disabled, "one at a time"
    assert len(app.dataframe[0].value) == 4
    app.button(key="stop-sweep").click().run()
    until(lambda: sweeps.standing(sweep).state == "stopped", "the stop")
    app.run()
    assert "stopped" in app.subheader[0].value
    app.button(key="go-on-sweep").click().run()
    assert not app.exception
    until(lambda: sweeps.standing(sweep).state == "done", "the end")
    app.run()
    assert "done" in app.subheader[0].value
    assert app.dataframe[0].value["state"].iloc[0] == "best of all"
    (lines,) = app.get("plotly_chart")
    assert '"parcoords"' in lines.proto.spec
    assert "Jamieson and Talwalkar 2016" in " ".join(caption.value for caption in app.caption)
    # The best run is one click away.
    best = sweeps.standing(sweep).best[0]
    app.button(key="use-best").click().run()
    assert app.session_state["model"] == f"run-{best.id}"
    app.switch_page("pages/sweeps.py").run()
    # Nobody else sees it.
    assert "no sweeps yet" in page().info[0].value
    # Its runs go with it, out of the queue too.
    until(lambda: not TRAINERS.holds(best), "the trainer")
    monkeypatch.setattr(TRAINERS.where, "room", lambda *_: False)
    TRAINERS.submit(best)
    app.checkbox(key="sweep-runs-too").check().run()
    app.button(key="delete-sweep").click().run()
    assert not app.exception
    assert runs.all_runs() == []
    assert not TRAINERS.holds(best)
    assert "no sweeps yet" in app.info[0].value


def test_a_sweep_that_would_be_more_runs_than_a_day_allows_is_not_begun(monkeypatch):
    app = page()
    app.number_input(key="s_count").set_value(4).run()
    monkeypatch.setenv("CNNVIZ_MAX_RUNS_A_DAY", "3")
    app.button(key="s_start").click().run()
    assert not app.exception
    assert "3 runs a day" in app.error[0].value
    assert runs.all_runs() == []


def test_what_can_not_be_searched_gets_a_sentence_and_no_start():
    app = page(TrainingConfig("digits", preset="small-digits"))
    assert "dropout" not in app.multiselect(key="s_axes").options
    app.multiselect(key="s_axes").set_value(["learning_rate"]).run()
    assert not app.exception
    assert "goes from 2 to 3" in app.error[0].value
    assert app.button(key="s_start").disabled
    app.multiselect(key="s_axes").set_value(["learning_rate", "batch_size", "seed"]).run()
    app.radio(key="s_method").set_value("grid").run()
    app.number_input(key="s_points").set_value(4).run()
    assert "64 runs, and 30 are the most" in app.error[0].value
    assert not app.exception

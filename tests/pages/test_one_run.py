"""One run at a time for each visitor, and who may go on with which."""

import pytest
from opening import opened
from streamlit.testing.v1 import AppTest
from test_access import OWNER, TOKEN, keys, opened_by

from cnnviz import settings
from cnnviz.sidebar import ONE
from cnnviz.training import runs
from cnnviz.workers import TRAINERS


@pytest.fixture(autouse=True)
def full(monkeypatch):
    """All that is started waits: the only trainer has something else to do."""
    monkeypatch.setattr(TRAINERS.where, "room", lambda run, begun: False)
    yield
    for run in runs.all_runs():
        TRAINERS.withdraw(run)


@pytest.fixture
def interrupted(finished):
    """A run from the command line, on which nobody works any more."""
    file = finished.folder / "events.jsonl"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if '"done"' not in line))
    (finished.folder / "alive").unlink()
    assert runs.story(finished).state == "interrupted"
    return finished


def failing(*_):
    raise runs.RunError("It can't be written.")


def said(app):
    assert not app.exception
    return [error.value for error in app.error]


def training(app, run):
    app.query_params["run"] = run.id
    return app.switch_page("pages/training.py").run()


def form():
    """The visitor's form without its box, which without a browser closes in every run."""
    app = AppTest.from_string("""
import streamlit as st
from cnnviz import sidebar
from cnnviz.training.recipes import RECIPES
st.session_state.setdefault("form_says", RECIPES["small-digits"])
sidebar.form()
""", default_timeout=60)  # fmt: skip
    app.session_state["visitor"] = TOKEN
    return app.run()


def captions(app):
    return [caption.value for caption in app.caption]


def forged(call, token=TOKEN):
    """What a page says when its own function is called without the button."""
    app = AppTest.from_string(f"""
import streamlit as st
from cnnviz import sidebar
from cnnviz.training import runs
try:
    {call}
except runs.RunError as error:
    st.error(str(error))
""", default_timeout=60)  # fmt: skip
    app.session_state["visitor"] = token
    return said(app.run())


def test_who_has_a_run_in_progress_can_not_start_another(interrupted):
    early, other_tab = form(), form()
    assert not early.button(key="t_start").disabled
    other_tab.button(key="t_start").click().run()
    assert said(other_tab) == []
    (first,) = (run for run in runs.all_runs() if run.owner == OWNER)
    # The button was drawn before that one began.
    early.button(key="t_start").click().run()
    assert said(early) == []
    assert early.button(key="t_start").disabled
    assert ONE in captions(early)
    # The form's own function, for what begins between the look and the click.
    assert forged("sidebar.start(runs.all_runs()[0].config, '')") == [ONE]
    assert {run.id for run in runs.all_runs()} == {first.id, interrupted.id}
    assert TRAINERS.waiting() == 1


def test_who_has_a_run_in_progress_can_not_go_on_with_another(interrupted):
    app = training(opened_by(TOKEN), interrupted)
    assert not app.button(key="go-on").disabled
    assert ONE not in captions(app)
    runs.create(interrupted.config, owner=OWNER)
    app.button(key="go-on").click().run()
    assert said(app) == []
    assert app.button(key="go-on").disabled
    assert ONE in captions(app)
    assert forged(f'sidebar.go_on(runs.find("{interrupted.id}"))') == [ONE]
    assert runs.story(interrupted).state == "interrupted"
    assert runs.find(interrupted.id).owner == ""


def test_a_run_that_would_fail_again_can_be_finished_as_it_is(interrupted):
    log = runs.Log(interrupted.folder)
    log.say("failed", message="The loss became nan.", hopeless=True)
    log.file.close()
    app = training(opened_by(TOKEN), interrupted)
    assert "go-on" not in keys(app)
    app.button(key="finish").click().run()
    assert said(app) == []
    assert interrupted.finishing
    assert TRAINERS.waiting() == 1
    assert "Being tested, as it is now." in [bar.proto.text for bar in app.get("progress")]


def test_a_run_from_the_command_line_becomes_the_visitor_s_who_goes_on_with_it(interrupted, monkeypatch):
    late = training(opened(), interrupted)
    assert "go-on" in keys(late)
    app = training(opened_by(TOKEN), interrupted)
    with runs.Log(interrupted.folder).file:  # its process was only suspended
        app.button(key="go-on").click().run()
        assert said(app) == ["The run goes on already: another process works on it."]
    assert runs.find(interrupted.id).owner == ""
    with monkeypatch.context() as disk:
        disk.setattr(runs, "write", failing)
        app.button(key="go-on").click().run()
    assert said(app) == ["It can't be written."]
    assert (runs.find(interrupted.id).owner, TRAINERS.waiting()) == ("", 0)
    (interrupted.folder / "alive").unlink()  # which it is by itself after some seconds
    app.button(key="go-on").click().run()
    assert said(app) == []
    assert runs.story(interrupted).state == "waiting"
    assert runs.find(interrupted.id).owner == OWNER
    assert "stop-run" in keys(app)
    # Somebody else has seen the button, too.
    late.button(key="go-on").click().run()
    assert not late.exception
    assert "go-on" not in keys(late)
    assert runs.find(interrupted.id).owner == OWNER


def test_going_on_with_another_s_run_is_refused(interrupted):
    run = interrupted.own(OWNER).publish(True)
    stranger = training(opened(), run)
    assert "was interrupted" in stranger.subheader[0].value
    assert "go-on" not in keys(stranger)
    # Also to who knew it when it was nobody's.
    for owner in OWNER, "":
        call = f'sidebar.go_on(runs.replace(runs.find("{run.id}"), owner="{owner}"))'
        assert forged(call, "f" * 32) == ["Only who started a run can go on with it."]
    # On another server somebody got it after the page had looked.
    with pytest.raises(runs.RunError, match="Only who started"):
        runs.ask_again(interrupted, "somebody")
    assert runs.find(run.id) == run
    assert runs.story(run).state == "interrupted"
    assert TRAINERS.waiting() == 0


def test_the_bounds_of_the_queue_and_the_disk_hold_for_going_on(interrupted, monkeypatch):
    app = training(opened_by(TOKEN), interrupted)

    def refused(bound):
        monkeypatch.setenv(bound.variable, "1")
        app.button(key="go-on").click().run()
        assert said(app) == [bound.sentence]
        monkeypatch.delenv(bound.variable)
        assert runs.find(interrupted.id).owner == ""
        assert runs.story(interrupted).state == "interrupted"

    other = runs.create(interrupted.config, owner="somebody")
    TRAINERS.submit(other)
    refused(settings.QUEUE)
    TRAINERS.withdraw(other)
    with (other.folder / "model.keras").open("wb") as file:
        file.truncate(10**9)  # a hole: it takes no room
    runs.forget()  # this process has changed it behind the page's back
    assert not runs.is_full()
    refused(settings.DISK)

"""Whose a run is, who sees it, and the server's bounds."""

import os
import time
from types import SimpleNamespace

import pytest
from opening import opened
from streamlit.testing.v1 import AppTest

from cnnviz import access, run_view, session, settings, sidebar
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig
from cnnviz.workers import TRAINERS, Trainers

TOKEN = "0123456789abcdef" * 2
OWNER = access.identity("cookie", TOKEN)
CONFIG = TrainingConfig(preset="quick-mnist")


def opened_by(token, **query):
    """The app, once as a stranger and then as who has the token."""
    app = opened(**query)
    app.session_state["visitor"] = token
    return app.run()


@pytest.mark.parametrize(("said", "teacher"), [
    *[({"email_verified": yes}, True) for yes in (True, "true", "True")],
    *[({"email_verified": no}, False) for no in (False, None, "", "false", "False", 0, 1, "yes", [True])], ({}, False),
    *[({"sub": sub}, sub == "Two") for sub in ("Two", "two", "sub:Two", "grace@example.org", "", None)],
    ({"sub": "Two", "email": None, "email_verified": False}, True),
])  # fmt: skip
def test_a_teacher_has_an_address_that_is_listed_and_verified_or_a_subject_that_is_listed(said, teacher, monkeypatch):
    monkeypatch.setenv("CNNVIZ_TEACHERS", "Grace@example.org, sub:Two,,")
    claims = {"is_logged_in": True, "iss": "school", "sub": "1", "email": "Grace@example.org", **said}
    monkeypatch.setattr(access.st, "user", claims)
    assert access.me().teacher == teacher


@pytest.fixture
def private(finished):
    """A finished run of TOKEN's that nobody else may see."""
    runs.write(finished.folder / "settings.json", runs.replace(finished, owner=OWNER, published=False).settings())
    return runs.find(finished.id)


def table(app):
    """The names of the runs in the table of the Runs page."""
    app.switch_page("pages/runs.py").run()
    return list(app.dataframe[0].value["name"]) if app.dataframe else []


def test_others_do_not_see_a_run_until_its_owner_publishes_it(private):
    stranger, owner = opened(sample="two", model=f"run-{private.id}"), opened_by(TOKEN)
    assert stranger.session_state["model"] == "lenet5"
    assert [info.value for info in stranger.info] == [f"{runs.GONE} What you see is lenet5."]
    assert table(stranger) == []
    assert table(owner) == [private.title]
    stranger.query_params["run"] = private.id
    stranger.switch_page("pages/training.py").run()
    assert runs.GONE in [info.value for info in stranger.info]
    assert not stranger.exception

    private.publish(True)
    assert table(stranger) == [private.title]
    stranger.query_params["run"] = private.id
    stranger.switch_page("pages/training.py").run()
    assert private.title.split()[0] in stranger.subheader[0].value

    private.publish(False)
    assert table(stranger) == []


def chosen(app, run):
    """The Runs page with its only run chosen."""
    app.session_state[f"table-1-{run.id}"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    return app.switch_page("pages/runs.py").run()


def keys(app):
    return {button.key for button in app.button}


def test_the_owner_has_the_buttons_and_a_stranger_none(private):
    private.publish(True)
    owner, stranger = chosen(opened_by(TOKEN), private), chosen(opened(), private)
    assert {"publish", "rename", "delete"} <= keys(owner)
    assert not {"publish", "rename", "delete"} & keys(stranger)
    owner.button(key="publish").click().run()
    assert not runs.find(private.id).published
    refused = ["A name needs a letter or a figure at least: the run keeps the one that it has."]
    for typed, title, errors in ((" \n", private.title, refused), ("mine", "mine", [])):
        owner.text_input(key=f"title-{private.id}").set_value(typed)
        owner.button(key="rename").click().run()
        assert runs.find(private.id).title == title
        assert [error.value for error in owner.error] == errors


@pytest.mark.parametrize("change", ["publish", "rename", "delete"])
def test_a_stranger_who_forges_a_button_changes_nothing(private, change):
    # The page's own functions, as Streamlit calls them for a button.
    more = ", True" if change == "publish" else ""
    forged = AppTest.from_string(f"""
import runpy, streamlit as st
page = runpy.run_path("pages/runs.py")
st.session_state["title-{private.id}"] = "stolen"
page["{change}"]("{private.id}"{more})
""", default_timeout=60)  # fmt: skip
    forged.session_state["model"] = "lenet5"
    assert not forged.run().exception
    assert runs.find(private.id) == private


def test_only_the_owner_stops_a_run_that_goes_on(running, monkeypatch):
    run = running.own(OWNER)
    owner, stranger = opened_by(TOKEN), opened()
    for app in owner, stranger:
        app.query_params["run"] = run.id
        app.switch_page("pages/training.py").run()
        assert "is learning" in app.subheader[0].value
    assert "stop-run" in keys(owner)
    assert "stop-run" not in keys(stranger)
    # The function behind the button, as if the stranger's browser said that it was pressed.
    with monkeypatch.context() as pressed:
        pressed.setattr(run_view.st, "button", lambda *_, **__: True)
        forged = AppTest.from_string(f"""
from cnnviz import run_view
from cnnviz.training import runs
run = runs.find("{run.id}")
run_view.stop_button(run, runs.story(run), "stop-run")
""")  # fmt: skip
        assert not forged.run().exception
    assert not run.stopping
    owner.button(key="stop-run").click().run()
    assert run.stopping


def test_as_many_runs_a_day_as_the_bound_says_and_no_more(private, monkeypatch):
    monkeypatch.setattr(access, "me", lambda: access.Visitor(OWNER))
    monkeypatch.setenv(settings.RUNS.variable, "2")
    access.check_bounds()
    runs.create(CONFIG, owner=OWNER)
    runs.create(CONFIG, owner="another")
    with pytest.raises(runs.RunError, match="2 runs a day"):
        access.check_bounds()
    tomorrow = time.time() + access.DAY
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    access.check_bounds()


def test_as_many_runs_wait_as_the_bound_says_and_no_more(private, monkeypatch):
    monkeypatch.setattr(access, "me", lambda: access.Visitor(OWNER))
    monkeypatch.setenv(settings.QUEUE.variable, "1")
    access.check_bounds()
    monkeypatch.setattr(TRAINERS, "_waiting", [private])
    with pytest.raises(runs.RunError, match="holds 1 at most"):
        access.check_bounds()


def test_a_full_disk_is_told_and_the_oldest_unpublished_run_offered(private, monkeypatch):
    monkeypatch.setattr(access, "me", lambda: access.Visitor(OWNER))
    access.check_bounds()
    published = runs.create(CONFIG)
    with (private.folder / "model.keras").open("wb") as file:
        file.truncate(10**9 - runs.disk_bytes() - 1)  # a hole: it takes no room
    monkeypatch.setenv(settings.DISK.variable, "1")
    access.check_bounds()
    with (private.folder / "model.keras").open("ab") as file:
        file.write(b"\0")
    runs.forget()
    with pytest.raises(runs.RunError, match="1 GB"):
        access.check_bounds()
    assert access.offered() == [private]
    monkeypatch.undo()
    monkeypatch.setenv(settings.DISK.variable, "1")
    monkeypatch.setenv("CNNVIZ_RUNS", str(private.folder.parent))

    def silent_for(seconds):
        os.utime(private.folder / "events.jsonl", (time.time() - seconds,) * 2)

    silent_for(access.ABANDONED - 60)
    stranger = opened()
    stranger.switch_page("pages/runs.py").run()
    assert settings.DISK.sentence in [warning.value for warning in stranger.warning]
    assert f"room-{private.id}" not in keys(stranger)
    owner = opened_by(TOKEN)
    owner.switch_page("pages/runs.py").run()
    assert f"room-{private.id}" in keys(owner)
    # Whoever started it may never come back.
    silent_for(access.ABANDONED + 1)
    stranger.run()
    assert "another visitor's" in " ".join(text.value for text in stranger.markdown)
    assert "ours" not in " ".join(text.value for text in stranger.markdown), "the name of a run that is not published"
    stranger.button(key=f"room-{private.id}").click().run()
    assert runs.all_runs() == [published]
    assert not stranger.warning


def test_who_looks_is_found_out_once_and_not_for_every_run(private, monkeypatch):
    for _ in range(3):
        runs.create(CONFIG, owner="another")
    looked = []
    monkeypatch.setattr(access, "me", lambda: looked.append(1) or access.Visitor(OWNER))
    for ask in access.visible_runs, sidebar.own_run, access.check_bounds, access.offered:
        looked.clear()
        ask()
        assert len(looked) == 1, ask


def test_a_cleared_queue_says_so_in_every_run(private):
    trainers = Trainers()
    trainers._waiting = [run := runs.create(CONFIG, owner=OWNER)]
    assert trainers.clear() == 1
    assert trainers.waiting() == 0
    assert "teacher" in runs.story(run).message
    assert runs.story(run).state == "stopped"


def test_strokes_up_to_the_bound_are_answered_at_once_and_one_more_waits(monkeypatch):
    monkeypatch.setenv(settings.STROKES.variable, "3")
    slept, told, state = [], [], {}
    monkeypatch.setattr(session.st, "session_state", state)
    monkeypatch.setattr(session.time, "sleep", lambda seconds: (slept.append(seconds), clock.append(seconds)))
    clock = [0.0]
    monkeypatch.setattr(session.time, "monotonic", lambda: sum(clock))
    place = SimpleNamespace(info=lambda text, icon: told.append(text), empty=lambda: None)
    slot = SimpleNamespace(empty=lambda: place)
    for _ in range(3):
        session.keep_pace(slot)
    assert not told
    session.keep_pace(slot)
    assert told == [settings.STROKES.sentence]
    assert slept == [1.0]


@pytest.mark.parametrize("bound", settings.BOUNDS, ids=lambda bound: bound.variable)
def test_a_bound_takes_whole_numbers_from_one_to_its_most(bound, monkeypatch):
    for text in "1", str(bound.most), "":
        monkeypatch.setenv(bound.variable, text)
        assert settings.wrong() == ""
        assert str(bound.value) in bound.sentence
    for text in "0", str(bound.most + 1), "many", "-1", "1.5", "nan":
        monkeypatch.setenv(bound.variable, text)
        assert bound.variable in settings.wrong()


def test_a_server_with_a_wrong_bound_says_so_instead_of_a_traceback(monkeypatch):
    monkeypatch.setenv(settings.QUEUE.variable, "lots")
    app = opened()
    assert app.error[0].value == settings.wrong()
    assert settings.QUEUE.variable in app.error[0].value

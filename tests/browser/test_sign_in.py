"""Signing in at a real OpenID Connect provider, and what a teacher may do then."""

import pytest
from playwright.sync_api import expect
from provider import running_provider
from walking import READY, start_training

from cnnviz import settings
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig

STUDENT = {"sub": "1", "name": "Ada *L*", "email": "ada@example.org", "email_verified": True}
TEACHER = {"sub": "2", "name": "Grace", "email": "Grace@Example.org", "email_verified": True}


@pytest.fixture(scope="module")
def school(running_app, tmp_path_factory):
    """(provider, app, folder of runs) where Grace teaches."""
    folder = tmp_path_factory.mktemp("school")
    secrets, kept = folder / "secrets.toml", folder / "runs"
    with running_provider() as provider, running_app(
        folder / "log.txt", "app.py", "--secrets.files", str(secrets), CNNVIZ_RUNS=str(kept),
        CNNVIZ_TEACHERS="someone@example.org, grace@example.org, sub:Three",
    ) as app:  # fmt: skip
        secrets.write_text(provider.secrets(app.url))
        yield provider, app, kept


def signed_in(school, new_page, claims, path="/runs"):
    """A page of somebody who has just signed in."""
    provider, app, _ = school
    provider.claims = claims
    page = new_page(base_url=app.url)
    page.goto("/")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto(path)
    return page


def test_a_teacher_sees_and_publishes_but_a_student_does_not(school, new_page, monkeypatch):
    provider, app, folder = school
    monkeypatch.setenv("CNNVIZ_RUNS", str(folder))
    run = runs.create(TrainingConfig(preset="small-digits", dataset="digits"), "secret run", owner="somebody")

    student = signed_in(school, new_page, STUDENT)
    expect(student.locator(".st-key-signed-in")).to_contain_text("Ada *L*")
    expect(student.locator(".st-key-signed-in")).not_to_contain_text("teacher")
    expect(student.locator(".st-key-runs")).to_contain_text("There are no runs yet")

    teacher = signed_in(school, new_page, TEACHER)
    expect(teacher.locator(".st-key-signed-in")).to_contain_text("Grace, teacher")
    expect(teacher.locator(".st-key-runs").get_by_test_id("stDataFrame")).to_be_visible()
    box = teacher.locator(".st-key-runs").get_by_test_id("stDataFrame").bounding_box()
    teacher.mouse.click(box["x"] + 15, box["y"] + 55)  # the first row's box
    teacher.locator(".st-key-publish button").first.click()
    expect(teacher.locator(".st-key-publish")).to_contain_text("Unpublish")
    assert runs.find(run.id).published
    expect(teacher.locator(".st-key-rename")).to_have_count(0)
    student.reload()
    expect(student.locator(".st-key-runs").get_by_test_id("stDataFrame")).to_be_visible()

    teacher.get_by_role("button", name="Sign out").click()
    expect(teacher.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_teacher_clears_the_queue_and_a_student_can_not(school, new_page, monkeypatch):
    _, app, folder = school
    monkeypatch.setenv("CNNVIZ_RUNS", str(folder))
    student = signed_in(school, new_page, STUDENT)
    start_training(student, 100)
    started = student.locator(".st-key-train-progress")
    expect(started.get_by_role("button", name="Stop")).to_be_visible(timeout=READY)
    guest = new_page(base_url=app.url)
    guest.goto("/runs")
    start_training(guest, 100)
    waiting = guest.locator(".st-key-train-progress")
    expect(waiting).to_contain_text("Waiting: 1 run is before it.", timeout=READY)
    student.goto("/runs")
    expect(student.locator(".st-key-runs").get_by_test_id("stDataFrame")).to_be_visible()
    expect(student.locator(".st-key-clear-queue")).to_have_count(0)

    teacher = signed_in(school, new_page, {"sub": "Three", "name": "Hedy"})
    teacher.get_by_role("button", name="Clear the queue (1)").click()
    expect(teacher.locator(".st-key-clear-queue")).to_have_count(0)
    expect(waiting).to_contain_text(runs.CLEARED)
    gone, going = runs.all_runs()[:2]
    assert runs.story(gone).state == "stopped"
    assert runs.story(going).state in ("waiting", "running"), "what has begun goes on"
    going.stop()


def test_an_address_that_is_not_verified_makes_no_teacher(school, new_page):
    silent = {name: claim for name, claim in TEACHER.items() if name != "email_verified"}
    page = signed_in(school, new_page, silent, "/")
    expect(page.locator(".st-key-signed-in")).to_contain_text("Grace")
    expect(page.locator(".st-key-signed-in")).not_to_contain_text("teacher")


def test_without_a_provider_there_is_no_sign_in(page):
    page.goto("/")
    expect(page.locator(".st-key-train-form")).to_be_visible()
    expect(page.locator(".st-key-sign-in")).to_have_count(0)
    assert settings.teachers() == frozenset()

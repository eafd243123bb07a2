"""Training in the app: started from the form, watched, stopped, looked at, renamed, deleted."""

import re
import time

from playwright.sync_api import expect
from walking import answered, at_epoch, choose, still, until

from cnnviz.training import runs

SEVEN = [[(0.3, 0.25), (0.5, 0.24), (0.7, 0.26), (0.6, 0.5), (0.5, 0.8)]]
SOON = 30_000


def test_a_run_from_the_form_to_its_deletion(new_page, running_app, draw, tmp_path):
    page = new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    with running_app(tmp_path / "log.txt") as server:
        page.goto(f"{server.url}/training", wait_until="commit")
        until(page.get_by_text("There are no runs yet"))
        page.locator(".st-key-train-form summary").click()
        until(page.locator(".st-key-t_dataset"))
        choose(page, "t_dataset", "Optical digits")
        expect(page.locator(".st-key-train-layers")).to_contain_text("8×8×16")
        choose(page, "t_preset", "blocks of your own")
        expect(page.locator(".st-key-train-layers")).to_contain_text("conv2")
        choose(page, "t_preset", "small-digits")
        expect(page.locator(".st-key-t_blocks")).to_have_count(0)
        epochs = page.locator(".st-key-t_epochs input")
        epochs.fill("100")
        epochs.press("Enter")
        still(page.locator(".st-key-t_start button")).click()
        at_epoch(page, 1)
        progress = page.locator(".st-key-train-progress")
        expect(progress).to_contain_text("images/s")
        expect(progress).to_contain_text("Keras on")
        until(progress.locator(".js-plotly-plot .lines"))
        until(progress.locator(".st-key-first-kernels canvas"))
        # The kernels and the answer to the input are those of this moment.
        expect(progress.locator(".st-key-live-answer h3")).to_have_text(re.compile(r"^\d, .*%$"))
        picture = "canvas => canvas.toDataURL()"
        kernels = progress.locator(".st-key-first-kernels figure").last.locator("canvas").first
        first, deadline = kernels.evaluate(picture), time.monotonic() + 30
        while first == kernels.evaluate(picture):
            assert time.monotonic() < deadline, "the kernels do not change while it learns"
            page.wait_for_timeout(100)
        link = page.url
        (run,) = runs.all_runs()
        assert run.id in link
        # Meanwhile somebody draws, and is answered.
        page.get_by_role("link", name="Draw").click()
        draw(page, SEVEN)
        answered(page, r"^\s*7")
        assert runs.story(run).state == "running"
        page.goto(link, wait_until="commit")
        at_epoch(page, 2)
        page.locator(".st-key-stop-run button").first.click()
        expect(page.locator(".st-key-train-progress")).to_contain_text("was stopped", timeout=SOON)
        # The test images are asked once: when nobody wants it to go on any more.
        expect(page.get_by_test_id("stMetric").first).to_contain_text("Best validation")
        assert "test_accuracy" not in runs.story(run).end
        page.locator(".st-key-finish button").first.click()
        expect(page.get_by_test_id("stMetric").first).to_contain_text("Test accuracy", timeout=SOON)
        told = runs.story(run)
        assert told.state == "done"
        expect(page.get_by_test_id("stMetric").first).to_contain_text(f"{told.end['test_accuracy']:.2%}")
        # The time machine: before training it is no better than chance.
        until(page.locator(".st-key-time-answer"))
        slider = page.locator(f".st-key-time-{run.id} [type=range], .st-key-time-{run.id} [role=slider]").first
        slider.focus()
        slider.press("Home")
        expect(page.locator(".st-key-time-answer")).to_contain_text("after epoch 0", timeout=SOON)
        expect(page.locator(".st-key-time-network")).to_contain_text("after epoch 0", timeout=SOON)
        # So are the kernel's numbers.
        expect(page.locator(".st-key-time-network .detail .figure p").first).to_have_text("bias 0")
        # A cell of the confusion matrix opens its images.
        cell = page.locator(".st-key-confusion .annotation").first
        cell.scroll_into_view_if_needed()
        box = cell.bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.locator(".st-key-mistakes")).to_contain_text(re.compile(r"\d taken for \d: \d+ of"), timeout=SOON)
        # A mistake is one click from its sums, in this run's network.
        page.locator(".st-key-mistakes button[aria-label*='taken for']").first.click()
        until(page.locator("[data-role=formula] math"))
        assert f"model=run-{run.id}" in page.url
        assert "sample=digits%3A" in page.url or "sample=digits:" in page.url
        # On the page of all runs: choose it, name it, delete it.
        page.get_by_role("link", name="Runs").click()
        table = page.locator(".st-key-runs [data-testid=stDataFrame]")
        until(table)
        page.wait_for_timeout(500)  # the table is a canvas: it has nothing to wait for
        box = table.bounding_box()
        page.mouse.click(box["x"] + 16, box["y"] + 52)
        page.locator(".st-key-run-actions").get_by_role("button", name="Rename").click()
        page.get_by_label("New name").fill("mine <b>now</b>")
        page.get_by_label("New name").press("Enter")
        page.locator(".st-key-rename button").click()
        deadline = time.monotonic() + 10
        while runs.find(run.id).title != "mine <b>now</b>" and time.monotonic() < deadline:
            page.wait_for_timeout(50)
        assert runs.find(run.id).title == "mine <b>now</b>"
        until(page.locator(".st-key-run-actions"))
        page.locator(".st-key-run-actions").get_by_role("button", name="Delete").click()
        page.locator(".st-key-delete button").click()
        until(page.get_by_text("There are no runs yet"))
        assert runs.all_runs() == []
        assert not errors
        assert page.locator(".stException").count() == 0

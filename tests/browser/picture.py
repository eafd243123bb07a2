"""Take the README's pictures: the Draw page after a crossed 7, one cell of conv2 on the page Step through, and a
network that learns."""

import re
import sys
import tempfile
from pathlib import Path

from find_browser import ARGUMENTS, MISSING, find_browser
from playwright.sync_api import expect, sync_playwright
from walking import at_epoch, start_training

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from conftest import ROOT, running_app

PLACE = "sample=crossed-seven&layer=conv2&filter=4"


def main() -> None:
    path = find_browser() or sys.exit(MISSING)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(Path(folder) / "log.txt") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{server.url}/?{PLACE}")
        expect(page.locator(".st-key-prediction")).to_have_text(re.compile("^7"), timeout=60_000)
        expect(page.get_by_text("centred in 28×28")).to_be_visible()
        page.wait_for_timeout(1000)  # the chart fades in
        page.screenshot(path=ROOT / "assets" / "screenshot.png")
        page.goto(f"{server.url}/step?{PLACE}&cell=3,2")
        page.locator('[data-map="input 5"]').click()
        expect(page.get_by_text("Map 5 (0 to 5)")).to_be_visible()
        page.mouse.move(5, 5)
        page.screenshot(path=ROOT / "assets" / "step.png")
        page.goto(f"{server.url}/training?sample=crossed-seven")
        start_training(page, 40)
        at_epoch(page, 24)
        page.screenshot(path=ROOT / "assets" / "training.png")
        browser.close()


if __name__ == "__main__":
    main()

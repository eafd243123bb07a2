"""The Chromium or Chrome that the tests drive. With --install, get one where there is none; prints its path."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
MISSING = (
    "The tests need a browser: install Chromium or Chrome (on Debian: sudo apt-get install chromium), "
    "or name one: CHROMIUM=/path/to/chrome make test"
)
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP cnnviz.example.org 127.0.0.1",  # for test_proxy.py
]
if hasattr(os, "geteuid") and os.geteuid() == 0:
    ARGUMENTS.append("--no-sandbox")  # Chromium refuses to start as root without it


def runs(path: str | None) -> bool:
    """Whether a browser starts: Ubuntu's chromium-browser may be a note about a snap, a download may lack libraries."""
    try:
        return bool(path) and subprocess.run([path, "--version"], capture_output=True, timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def playwrights_own() -> str:
    """Where Playwright puts its download, whether it is there or not."""
    # In a process of its own: within one that drives a browser already, Playwright can't be started a second time.
    code = "from playwright.sync_api import sync_playwright as p\nwith p() as q: print(q.chromium.executable_path)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def find_browser() -> str | None:
    """The path of a browser that runs; None where there is none. $CHROMIUM, if set, is the only one tried."""
    if chosen := os.environ.get("CHROMIUM"):
        return chosen if runs(chosen) else None
    for candidate in [*map(shutil.which, NAMES), MAC]:
        if runs(candidate):
            return candidate
    own = playwrights_own()
    return own if runs(own) else None


def install() -> None:
    """Playwright's download, else Debian's package. The headless shell, Chromium without its windows, opens a page in
    half the time; where there is none, the whole."""
    print("There is no Chromium or Chrome here: trying Playwright's download", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], stdout=sys.stderr)
    if not runs(playwrights_own()):
        debian("chromium-headless-shell", "fonts-liberation")
        if not find_browser():
            debian("chromium", "fonts-liberation")


def debian(*packages: str) -> None:
    """Install Debian's packages, where that can be done without asking anybody."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return
    print(f"Trying apt-get install {' '.join(packages)}", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ["update"], ["install", "-y", "--no-install-recommends", *packages]:
        subprocess.run(["apt-get", "-q", *command], stdout=sys.stderr, stdin=subprocess.DEVNULL, env=environment)


if __name__ == "__main__":
    path = find_browser()
    if not path and "--install" in sys.argv and not os.environ.get("CHROMIUM"):
        install()
        path = find_browser()
    if not path:
        sys.exit(MISSING)
    print(Path(path))

"""What every kind of test shares: a real server, and what it said when a test fails."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
# What tests train is kept apart from what the user of this computer has trained.
os.environ["CNNVIZ_RUNS"] = tempfile.mkdtemp(prefix="cnnviz-runs-")


@dataclass(frozen=True)
class Server:
    """A running app: its address, its web process and the file that holds what it prints."""

    url: str
    pid: int
    log: Path


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def healthy(url: str) -> bool:
    try:
        return urllib.request.urlopen(f"{url}/_stcore/health", timeout=1).status == 200
    except OSError:
        return False


def kill_tree(pid: int) -> None:
    """End a process and all its descendants: the workers would outlive a server that is merely terminated."""
    server = psutil.Process(pid)
    family = [*server.children(recursive=True), server]
    server.terminate()
    psutil.wait_procs([server], timeout=1)
    for process in family:
        if process.is_running():
            process.kill()
    psutil.wait_procs(family, timeout=5)


@contextlib.contextmanager
def running_app(log: Path, script: str = "app.py") -> Iterator[Server]:
    """A real server for a script, ended with all its workers. It finds its data as always: in $CNNVIZ_DATA, else in
    the app's folder."""
    port = free_port()
    url = f"http://localhost:{port}"
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    command += ["--server.headless", "true"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while not healthy(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The server did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield Server(url, process.pid, log)
    finally:
        if process.poll() is None:
            kill_tree(process.pid)
        process.wait()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The real app, one for the whole run."""
    with running_app(tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


@pytest.fixture(scope="session")
def random_server(tmp_path_factory):
    """The stepper and the network view of any preset, with random weights: browser/random_app.py."""
    with running_app(tmp_path_factory.mktemp("random") / "log.txt", "tests/browser/random_app.py") as running:
        yield running


@pytest.fixture(name="running_app")
def app_runner():
    """running_app(log): a server that a test starts, and may kill."""
    return running_app


@pytest.fixture
def fresh_server(tmp_path):
    """A server that nobody has visited yet."""
    with running_app(tmp_path / "log.txt") as running:
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With a failed test, show the last of what the server said."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and server:
        lines = server.log.read_text(errors="replace").splitlines()
        report.sections.append(("server", os.linesep.join(lines[-60:])))
    return report

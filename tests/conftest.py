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
pytest_plugins = ("windows",)
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
def running_app(
    log: Path, script: str = "app.py", *options: str, port: int = 0, **environment: str
) -> Iterator[Server]:
    """A real server for a script, ended with all its workers. It finds its data as always: in $CNNVIZ_DATA, else in
    the app's folder. Options are Streamlit's; without a port it takes a free one."""
    port = port or free_port()
    url = f"http://localhost:{port}"
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.port", str(port)]
    command += ["--server.headless", "true", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                   env=os.environ | environment)  # fmt: skip
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
    # Tests draw faster than people.
    with running_app(tmp_path_factory.mktemp("server") / "log.txt", CNNVIZ_MAX_STROKES="1000") as running:
        yield running


@pytest.fixture(scope="session")
def random_server(tmp_path_factory):
    """The stepper and the network view of any preset, with random weights: browser/random_app.py."""
    with running_app(tmp_path_factory.mktemp("random") / "log.txt", "tests/browser/random_app.py") as running:
        yield running


@pytest.fixture(name="running_app", scope="session")
def app_runner():
    """running_app(log): a server that a test starts, and may kill."""
    return running_app


@pytest.fixture(name="free_port", scope="session")
def port_finder():
    """free_port(): a port that nothing listens on."""
    return free_port


@pytest.fixture
def fresh_server(tmp_path):
    """A server that nobody has visited yet."""
    with running_app(tmp_path / "log.txt") as running:
        yield running


def pytest_configure():
    # Tests wait for trainers, while other tests take all that the machine has. Not at import: benchmarks do that too.
    os.environ["CNNVIZ_NICE"] = "1"


def pytest_unconfigure(config):
    """After everything else: how many faults were survived, and which were not, or not tried. Here and not beside the
    faults, because with several processes the one that prints reads the first of the conftest files only."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not reporter or hasattr(config, "workerinput"):
        return
    found = {outcome: {report.nodeid.partition("::")[2] for report in reporter.stats.get(outcome, ())
                       if "test_faults.py::" in getattr(report, "nodeid", "")}
             for outcome in ("passed", "skipped", "failed", "error")}  # fmt: skip
    if every := set().union(*found.values()):
        survived = found.pop("passed") - set().union(*found.values())
        for outcome, names in found.items():
            for name in sorted(names):
                reporter.write_line(f"{name}: {outcome}")
        reporter.write_line(f"faults survived: {len(survived)} of {len(every)}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """With a failed test, show the last of what the server said."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and server:
        lines = server.log.read_text(errors="replace").splitlines()
        report.sections.append(("server", os.linesep.join(lines[-60:])))
    return report

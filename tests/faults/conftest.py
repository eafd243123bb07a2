"""One server with everything that can break about it, for all faults; what a visitor does at it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from mirror import mirror

ROOT = Path(__file__).resolve().parents[2]
DISK = "64m"
CLOCK = """
import time
real_time = time.time
def told():
    try:
        with open({clock!r}) as ahead:
            return real_time() + float(ahead.read())
    except (OSError, ValueError):
        return real_time()
time.time = told
"""


def mounted(*options: str) -> bool:
    """Whether this process may mount, and has."""
    if not sys.platform.startswith("linux"):
        return False
    return subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0


class Site:
    """A server in a copy of the app, with a data folder and a small disk of its own.

    Attributes:
        app: the copy, whose weights may be damaged.
        runs: its run folder, the whole of a disk of DISK bytes where `own_disk` says so.
        data: its data folder; empty at first.
        files: what it can download, by name.
        clock: a file that need not be there, with the seconds by which the clock of its Python is ahead.
    """

    def __init__(self, folder: Path, start, port: int) -> None:
        self.app, self.runs, self.data = (folder / name for name in ("app", "runs", "data"))
        for name in "cnnviz", "pages", "assets":
            shutil.copytree(ROOT / name, self.app / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "app.py", self.app)
        self.runs.mkdir()
        self.data.mkdir()
        self.own_disk = mounted("-t", "tmpfs", "-o", f"size={DISK}", "faults", str(self.runs))
        self.folder, self.start, self.port, self.starts = folder, start, port, 0
        self.stack = contextlib.ExitStack()
        self.files, self.environment, self.clock = {}, {}, folder / "clock"

    def __enter__(self) -> "Site":
        self.mirror = contextlib.ExitStack()
        self.files, environment = self.mirror.enter_context(mirror(self.folder / "site"))
        with (self.folder / "site" / "sitecustomize.py").open("a") as first:
            first.write(CLOCK.format(clock=str(self.clock)))
        self.environment = environment | {"CNNVIZ_RUNS": str(self.runs), "CNNVIZ_DATA": str(self.data)}
        self.up()
        return self

    def __exit__(self, *_) -> None:
        self.stack.close()
        self.mirror.close()
        if self.own_disk:
            subprocess.run(["umount", "--lazy", self.runs], check=False)

    def another(self, port: int = 0):
        """A server like this one on another port, in a `with`."""
        self.starts += 1
        log = self.folder / f"log-{self.starts}.txt"
        return self.start(log, str(self.app / "app.py"), port=port, **self.environment)

    def up(self) -> None:
        """Start it, on the same port each time."""
        server = self.stack.enter_context(self.another(self.port))
        self.url, self.pid, self.log = server.url, server.pid, server.log

    def kill(self) -> None:
        """Kill the web process; wait until its workers have noticed."""
        family = [psutil.Process(self.pid), *psutil.Process(self.pid).children(recursive=True)]
        os.kill(self.pid, signal.SIGKILL)
        self.stack.close()
        _, left = psutil.wait_procs(family, timeout=20)
        assert not left, "workers outlive their server"

    def worker(self, trains: bool) -> psutil.Process:
        """The process that traces, or the one that trains: it lets others go first."""
        for child in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                nice = child.nice() > psutil.Process().nice()
                takes_steps = nice and child.environ().get("CUDA_VISIBLE_DEVICES") == "-1"
                if "popen_loky" in " ".join(child.cmdline()) and nice == trains and not takes_steps:
                    return child
        raise AssertionError("there is no such worker")


@pytest.fixture(scope="module")
def server(running_app, free_port, tmp_path_factory) -> Iterator[Site]:
    """The server that all faults befall."""
    site = Site(tmp_path_factory.mktemp("faults"), running_app, free_port())
    with site, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNVIZ_RUNS", str(site.runs))
        patch.setenv("CNNVIZ_DATA", str(site.data))
        yield site

"""What goes wrong in a class, one test a fault, on real processes, files and connections. After each of them the page
has said one sentence, what was reported as saved is there, and another visitor's stroke is answered.

A clock that is set back an hour is tried as what the server's and the trainers' Python is told, and as the files that
were written before, with times an hour ahead: the clock of a machine is everybody's, and with libfaketime 0.9.10 every
`time.sleep` of theirs raises OSError from then on.
"""

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import mounted
from mirror import CUT
from playwright.sync_api import Page, expect
from walking import answered, at_epoch, still, until

from cnnviz import data
from cnnviz.nets.blocks import Block
from cnnviz.nets.weights import read_weights
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig
from cnnviz.training.recipes import RECIPES

pytestmark = pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="faults are tried on Linux")

SEVEN = [[(0.3, 0.25), (0.5, 0.24), (0.7, 0.26), (0.6, 0.5), (0.5, 0.8)]]
CROSSBAR = [[(0.4, 0.52), (0.66, 0.5)]]
LONG = replace(RECIPES["small-digits"], epochs=100, batch_size=8)
SHORT = replace(RECIPES["small-digits"], epochs=2)
ALERT = ".stMain [data-testid=stAlert]"
HOUR = 3600


@pytest.fixture(scope="module")
def windows(browser, server):
    """(the visitor's whom the fault befalls, another visitor's)"""
    with contextlib.ExitStack() as stack:
        yield tuple(
            stack.enter_context(
                browser.new_context(base_url=server.url, viewport={"width": 1400, "height": 900})
            ).new_page()
            for _ in range(2)
        )


@pytest.fixture
def page(windows) -> Page:
    return windows[0]


@pytest.fixture(autouse=True)
def goes_on(windows, server, draw):
    """goes_on(): another visitor draws, and is answered. A test whose end undoes its fault calls it before that; after
    all others it is called here. Nobody has seen a traceback."""
    page, neighbour = windows
    if neighbour.url == "about:blank":
        neighbour.goto("/")
        draw(neighbour, SEVEN)
        answered(neighbour, r"^\s*7")
    drawn = 0

    def draws() -> None:
        nonlocal drawn
        drawn += 1
        clear(neighbour)
        draw(neighbour, SEVEN)
        answered(neighbour, r"^\s*7")
        assert neighbour.locator(ALERT).count() == 0

    yield draws
    if not drawn:
        draws()
    for window in windows:
        assert window.locator(".stException").count() == 0
        assert "Traceback" not in window.locator("body").inner_text()
    page.goto("about:blank")


def clear(page: Page) -> None:
    page.locator('.st-key-sketchpad [data-action="clear"]').click()
    answered(page, "the answer appears here")


def says(page: Page, words: str) -> None:
    """Wait for a sentence; it must be the only one."""
    # An invisible joiner stands behind signs that could make a link.
    pattern = "".join(re.escape(sign) + "\u2060?" * (sign in ".:/@") for sign in words)
    until(page.locator(ALERT).filter(has_text=re.compile(pattern)))
    expect(page.locator(ALERT)).to_have_count(1)


def waiting(config: TrainingConfig) -> runs.Run:
    """A run on which nobody works: the page offers to go on with it."""
    run = runs.create(config)
    abandon(run)
    return run


def abandon(run: runs.Run, when: float = 0) -> None:
    os.utime(run.folder / "alive", (when, when))


def go_on(page: Page, run: runs.Run) -> None:
    """Open a run on which nobody works, and have it go on."""
    page.goto(f"/training?run={run.id}", wait_until="commit")
    until(page.locator(".st-key-go-on button"))
    page.locator(".st-key-go-on button").first.click()


def learning(page: Page, config: TrainingConfig = LONG) -> runs.Run:
    """A run in progress, in the window."""
    run = waiting(config)
    go_on(page, run)
    at_epoch(page, 2)
    return run


def reached(run: runs.Run, *states: str) -> runs.Story:
    """Wait for a run's state."""
    deadline = time.monotonic() + 60
    while (told := runs.story(run)).state not in states:
        assert time.monotonic() < deadline, told
        time.sleep(0.05)
    return told


def ended(run: runs.Run) -> None:
    """Stop it, and let the next one begin."""
    run.stop()
    reached(run, "stopped", "done")


def copied(run: runs.Run, created: float = 0) -> runs.Run:
    """A copy of a run's folder, on which nobody works."""
    name = time.strftime("%Y%m%d-%H%M%S-", time.gmtime(created)) + run.id[-4:]
    copy = replace(run, id=name, folder=run.folder.with_name(name), created=created)
    shutil.copytree(run.folder, copy.folder)
    (copy.folder / "settings.json").write_bytes(copy.settings())
    abandon(copy, created)
    return copy


class Saved:
    """What a run has reported as saved up to now."""

    def __init__(self, run: runs.Run) -> None:
        self.run, self.epochs = run, runs.story(run).epochs
        self.weights = {epoch["epoch"]: self.kernel(epoch["epoch"]) for epoch in self.epochs}
        assert self.epochs

    def kernel(self, epoch: int) -> np.ndarray:
        return read_weights(self.run.network, self.run.weights(epoch))["conv1"][0]

    def is_there(self) -> None:
        assert runs.story(self.run).epochs[: len(self.epochs)] == self.epochs
        for epoch, kernel in self.weights.items():
            np.testing.assert_array_equal(self.kernel(epoch), kernel)

    def goes_on(self, page: Page) -> None:
        """It is all there, the run goes on behind it, and ends as any other."""
        at_epoch(page, len(self.epochs))
        assert runs.story(self.run).started["from_epoch"] >= len(self.epochs)
        ended(self.run)
        self.is_there()


def done(page: Page) -> runs.Run:
    """A run that has reached its end."""
    run = waiting(SHORT)
    go_on(page, run)
    reached(run, "done")
    return run


@pytest.fixture(scope="module")
def finished(windows) -> runs.Run:
    """The same, once for all that only look at it."""
    return done(windows[0])


@contextlib.contextmanager
def flipped(file: Path, at: float = 0.5):
    """Three bits of a file are wrong."""
    good = file.read_bytes()
    place = int(len(good) * at)
    file.write_bytes(good[:place] + bytes(byte ^ 1 for byte in good[place : place + 3]) + good[place + 3 :])
    try:
        yield
    finally:
        file.write_bytes(good)


def test_tracer_killed(windows, server, draw):
    page = windows[1]
    clear(page)
    tracer = server.worker(trains=False)
    tracer.kill()
    draw(page, SEVEN + CROSSBAR)
    answered(page, r"TensorFlow is warming up: \d+ s, usually about \d+\. Your drawing is kept\.")
    answered(page, r"^\s*7")
    assert page.locator(ALERT).count() == 0
    assert server.worker(trains=False).pid != tracer.pid


def test_trainer_killed(page, server):
    run = learning(page)
    server.worker(trains=True).kill()
    says(page, "nobody works on it any more. Go on from its last finished epoch.")
    saved = Saved(run)
    page.locator(".st-key-go-on button").first.click()
    saved.goes_on(page)


def test_last_line_of_the_events_half_written(page, finished):
    run = copied(finished)
    events = run.folder / "events.jsonl"
    lines = events.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"event":"epoch"' in line)
    events.write_bytes(b"".join(lines[:last]) + lines[last][:40])
    saved = Saved(run)
    page.goto(f"/training?run={run.id}", wait_until="commit")
    says(page, "nobody works on it any more. Go on from its last finished epoch.")
    page.locator(".st-key-go-on button").first.click()
    told = reached(run, "done")
    saved.is_there()
    assert told.epochs[-1]["val_loss"] == runs.story(finished).epochs[-1]["val_loss"]
    assert told.end["test_accuracy"] == runs.story(finished).end["test_accuracy"]


def test_run_folder_deleted_while_its_page_is_open(page):
    run = learning(page)
    shutil.rmtree(run.folder)
    says(page, "There is no such run: it may have been deleted, or is not published.")


def test_gpu_named_but_absent(page):
    run = waiting(replace(SHORT, device="gpu:7"))
    go_on(page, run)
    says(page, "gpu:7 is not here (GPUs: none): choose another device and start again.")


def test_worker_out_of_memory(page, server, finished, goes_on):
    trainer = server.worker(trains=True)
    trainer.rlimit(psutil.RLIMIT_AS, (trainer.memory_info().vms + 200 * 2**20, -1))
    try:
        run = waiting(TrainingConfig("digits", preset="", blocks=(Block(256, 3, pool="none"),), batch_size=2048))
        go_on(page, run)
        says(page, "There is not enough memory: choose a smaller batch size or network.")
        goes_on()
    finally:
        trainer.rlimit(psutil.RLIMIT_AS, (-1, -1))
    done(page)


@pytest.mark.parametrize(("served", "words"), [
    ("cut", "Fashion-MNIST could not be downloaded: this computer is offline or the server does not answer. "
            "Connect and try again, or put fashion_mnist.npz into"),
    ("other", "MNIST could not be downloaded: it was damaged on the way. Try again, or put mnist.npz into"),
], ids=["cut_in_the_middle", "wrong_hash"])  # fmt: skip
def test_download(page, server, tmp_path, served, words):
    if served == "cut":
        server.files["train-labels-idx1-ubyte.gz"] = CUT
        config = replace(RECIPES["small-fashion"], epochs=1)
    else:  # a whole and sound file; only its hash tells that it is another one
        images, labels = np.zeros((100, 28, 28), np.uint8), np.zeros(100, np.uint8)
        np.savez(tmp_path / "x.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
        server.files["mnist.npz"] = (tmp_path / "x.npz").read_bytes()
        config = replace(RECIPES["quick-mnist"], epochs=1)
    go_on(page, waiting(config))
    says(page, words)
    assert list(server.data.iterdir()) == [], "nothing half-written is left"


def test_cached_data_set_with_flipped_bytes(page, server, goes_on):
    images, labels = np.random.default_rng(0).integers(0, 256, (400, 28, 28), np.uint8), np.arange(400) % 10
    np.savez(server.data / "mnist.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    try:
        data.load("mnist")
        with flipped(server.data / "mnist.npz"):
            go_on(page, waiting(replace(RECIPES["quick-mnist"], epochs=1)))
            says(page, f"{server.data / 'mnist.npz'} is damaged: delete it and run python -m cnnviz datasets mnist.")
            page.goto("/learning", wait_until="commit")
            says(page, f"{server.data / 'mnist.npz'} is damaged: delete it and run python -m cnnviz datasets mnist.")
            goes_on()
    finally:
        (server.data / "mnist.npz").unlink()


def test_weights_with_flipped_bytes(page, server, finished, draw, goes_on):
    with flipped(server.app / "assets" / "weights" / "quick-mnist.npz"):
        page.goto("/?model=quick-mnist", wait_until="commit")
        says(page, "The weights file quick-mnist.npz is damaged")
        goes_on()
    page.goto("/?model=quick-mnist", wait_until="commit")
    draw(page, SEVEN)
    answered(page, r"^\s*7")
    with flipped(finished.folder / "epochs" / "001.npz"):
        page.goto(f"/?model=run-{finished.id}&epoch=1", wait_until="commit")
        says(page, "The weights file 001.npz is damaged")
        page.goto(f"/?model=run-{finished.id}&epoch=2&sample=crossed-seven", wait_until="commit")
        answered(page, r"^\s*\d")
        goes_on()
    with flipped(finished.folder / "predictions.npz"):
        page.goto(f"/training?run={finished.id}", wait_until="commit")
        says(page, "The answers to the test images are damaged.")
        goes_on()
    # What going on needs is damaged: it begins again, and says so.
    run = waiting(SHORT)
    shutil.copy(finished.folder / "checkpoint.npz", run.folder)
    with flipped(run.folder / "checkpoint.npz"):
        go_on(page, run)
        told = reached(run, "done")
        goes_on()
    assert told.notes == ["Its checkpoint was damaged: it began again with the first epoch."]
    assert told.started["from_epoch"] == 0


@contextlib.contextmanager
def full(folder: Path):
    """The disk that holds a folder has not a byte left. Gives a function that fills it again."""
    file = folder / ".filler"

    def fill() -> None:
        with file.open("ab", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(b"x" * 2**16):
                pass

    fill()
    try:
        yield fill
    finally:
        file.unlink()


def test_disk_full(page, server, goes_on):
    if not server.own_disk:
        pytest.skip("mounting a small tmpfs takes a privileged user; test_training_job.py tries RLIMIT_FSIZE instead")
    run, other = learning(page), waiting(SHORT)
    log = runs.Log(other.folder)
    log.say("note", text="there is still room")
    with full(server.runs) as fill:
        says(page, f"{run.folder} can't be written (No space left on device): make room, then go on from the last "
                   "finished epoch.")  # fmt: skip
        saved = Saved(run)
        assert not list(run.folder.rglob(".*.npz")), "nothing half-written is left"
        fill()
        page.locator(".st-key-go-on button").first.click()
        until(page.locator(ALERT).filter(has_text="The run can't go on: No space left on device."))
        # A line of which only a part had room does not take the last words with it.
        with pytest.raises(OSError, match="No space"):
            all(log.say("note", text="x" * 100) for _ in itertools.count())
        log.say("failed", message="The disk is full.")
        assert runs.story(other).message == "The disk is full."
        fill()
        # A new one can't begin, and leaves nothing.
        before = sorted(server.runs.iterdir())
        start = open_form(page)
        refused = page.get_by_text(f"The run can't be kept in {server.runs} (No space left on device): make room")
        start.click()
        until(refused)
        assert sorted(server.runs.iterdir()) == before
        goes_on()
    go_on(page, run)
    saved.goes_on(page)


def open_form(page: Page):
    """Open the form with the settings of a short run; its button."""
    page.locator(".st-key-fill button").first.click()
    return still(page.locator(".st-key-t_start button"))


@contextlib.contextmanager
def read_only(folder: Path):
    """Nothing in a folder can be written, except through a file that is open already."""
    root = os.geteuid() == 0
    folders = [folder, *(below for below in folder.rglob("*") if below.is_dir())]
    if not root:
        for one in folders:
            one.chmod(0o500)
    elif not (mounted("--bind", str(folder), str(folder)) and mounted("-o", "remount,bind,ro", str(folder))):
        subprocess.run(["umount", folder], capture_output=True, check=False)
        pytest.skip("permissions do not bind root, and mounting is not allowed here")
    try:
        yield
    finally:
        if root:
            subprocess.run(["umount", folder], check=True)
        else:
            for one in folders:
                one.chmod(0o700)


def test_run_folder_read_only(page, goes_on):
    run = learning(page)
    with read_only(run.folder):
        says(page, ": let it be written, then go on from the last finished epoch.")
        saved = Saved(run)
        page.locator(".st-key-go-on button").first.click()
        until(page.locator(ALERT).filter(has_text="The run can't go on: "))
        for change in (lambda: run.rename("another"), run.stop):
            with pytest.raises(runs.RunError, match="can't be written"):
                change()
        goes_on()
    go_on(page, run)
    saved.goes_on(page)


def test_clock_set_back_an_hour(page, server, goes_on):
    run = learning(page)
    ahead = time.time() + HOUR
    dead = copied(run, ahead)
    for folder in run.folder, dead.folder:
        for file in folder.rglob("*.*"):
            os.utime(file, (ahead, ahead))
        os.utime(folder / "alive", (ahead, ahead))
    server.clock.write_text(f"-{HOUR}")
    try:
        # The one that goes on goes on.
        at_epoch(page, len(runs.story(run).epochs) + 1)
        assert page.locator(ALERT).count() == 0
        goes_on()
        ended(run)
        # The other one does not seem alive for an hour.
        saved = Saved(dead)
        page.goto(f"/training?run={dead.id}", wait_until="commit")
        says(page, "nobody works on it any more. Go on from its last finished epoch.")
        page.locator(".st-key-go-on button").first.click()
        saved.goes_on(page)
        # One that is started by the new clock is of an hour ago, and learns; its visitor is still its owner.
        open_form(page).click()
        page.wait_for_url(lambda url: dead.id not in url)
        new = runs.find(page.url.partition("run=")[2])
        assert -60 < new.created + HOUR - time.time() < 0
        at_epoch(page, 1)
        assert new.owner == runs.find(run.id).owner != ""
        ended(new)
    finally:
        server.clock.unlink()
    dead.delete()


@contextlib.contextmanager
def asleep(*processes: psutil.Process):
    """Nothing is heard of some processes, as of a computer that sleeps; they keep what they hold."""
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def test_two_servers_on_one_run_folder(page, server):
    run = learning(page)
    saved = Saved(run)
    with server.another() as second:
        other = page.context.new_page()  # of the same visitor: their run
        try:
            # Nothing is heard of the first one, and the visitor goes on at the second. Two do not work on it.
            with asleep(psutil.Process(server.pid), server.worker(trains=True)):
                abandon(run)
                other.goto(f"{second.url}/training?run={run.id}", wait_until="commit")
                says(other, "nobody works on it any more. Go on from its last finished epoch.")
                other.locator(".st-key-go-on button").first.click()
                until(other.locator(ALERT).filter(has_text="The run goes on already: another process works on it."))
                saved.is_there()
                runs.beat(run.folder)  # else the page may look before the sign of life of those that wake up
            other.reload(wait_until="commit")
            at_epoch(other, len(saved.epochs))
            before = runs.story(run).epochs[-1]["epoch"]
            os.kill(second.pid, signal.SIGKILL)
            at_epoch(page, before)
        finally:
            other.close()
    ended(run)
    saved.is_there()
    numbers = [epoch["epoch"] for epoch in runs.story(run).epochs]
    assert numbers == sorted(set(numbers))


class Relay:
    """A way to a server that can be cut: all connections are reset, and new ones refused until it is mended."""

    def __init__(self, port: int) -> None:
        self.to, self.ends, self.cut_off = port, [], False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                here, _ = self.listener.accept()
                if self.cut_off:
                    here.close()
                    continue
                there = socket.create_connection(("127.0.0.1", self.to))
                self.ends += [here, there]
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while got := one.recv(2**16):
                other.sendall(got)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self.cut_off = True
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.cut_off = False


LOST = "The server does not answer. What you drew and your runs are kept"


def tells_that_it_is_away(page: Page) -> None:
    """Wait for the sentence about a lost connection, which a style sheet puts in the place of Streamlit's."""
    until(page.locator(".stDialog section"))
    shown = page.locator(".stDialog section > div").evaluate("box => getComputedStyle(box, '::after').content")
    assert LOST in shown
    assert page.locator(".stDialog section > div").inner_text() == ""


def test_websocket_dropped_and_reconnected(browser, server, draw):
    relay = Relay(server.port)
    page = browser.new_page(base_url=relay.url, viewport={"width": 1400, "height": 900})
    try:
        page.goto("/")
        draw(page, SEVEN[:1])
        answered(page, r"^\s*7")
        logits = page.locator(".st-key-network section[aria-label^=logits]")
        before = logits.inner_text()
        assert re.search(r"\d\.\d", before)
        relay.cut()
        until(page.get_by_test_id("stConnectionStatus"))
        draw(page, CROSSBAR)  # in the dark
        tells_that_it_is_away(page)
        relay.mend()
        expect(page.locator(".stDialog")).to_have_count(0, timeout=60_000)
        answered(page, r"^\s*7")
        deadline = time.monotonic() + 30
        while logits.inner_text() == before:
            assert time.monotonic() < deadline, "the stroke in the dark is not answered"
            page.wait_for_timeout(50)
        assert page.locator(ALERT).count() == 0
    finally:
        page.close()


def test_server_killed_and_started_again(page, windows, server, finished, draw):
    neighbour = windows[1]
    run = learning(page)
    accuracy = f"{runs.story(finished).end['test_accuracy']:.2%}"
    # A stroke is being drawn when it happens, and ends when nobody listens.
    canvas = neighbour.locator(".st-key-sketchpad canvas").bounding_box()
    start, end = ((canvas["x"] + x * canvas["width"], canvas["y"] + y * canvas["height"]) for x, y in CROSSBAR[0])
    neighbour.mouse.move(*start)
    neighbour.mouse.down()
    server.kill()
    neighbour.mouse.move(*end, steps=4)
    neighbour.mouse.up()
    for window in windows:
        tells_that_it_is_away(window)
    abandon(run)
    saved = Saved(run)
    server.up()
    for window in windows:
        expect(window.locator(".stDialog")).to_have_count(0, timeout=60_000)
    says(page, "nobody works on it any more. Go on from its last finished epoch.")
    page.locator(".st-key-go-on button").first.click()
    saved.goes_on(page)
    page.goto(f"/training?run={finished.id}", wait_until="commit")
    until(page.get_by_test_id("stMetric").filter(has_text=accuracy))
    # The drawing is whole: in the window, in its address, and after a reload.
    answered(neighbour, r"^\s*7")
    neighbour.wait_for_url(lambda url: "drawing=" in url)
    strokes = "drawing => atob(drawing.replaceAll('-', '+').replaceAll('_', '/')).length"
    assert neighbour.evaluate(strokes, neighbour.url.partition("drawing=")[2]) > 20
    neighbour.reload()
    answered(neighbour, r"^\s*7")

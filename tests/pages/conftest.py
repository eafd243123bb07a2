"""Runs that are there already."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from cnnviz.nets.weights import SHIPPED
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig

ROOT = Path(__file__).resolve().parents[2]


def files() -> dict[Path, int]:
    """All that the server could write over or beside, and when it was written: what the app is made of, and the runs.
    Not what tests and tools leave, nor `.clock`, which the server asks for the time, nor what a run that another test
    has left writes into its own folder."""
    runs_folder = Path(os.environ["CNNVIZ_RUNS"])
    found = {path: 0 for path in runs_folder.iterdir() if not path.name.startswith(".")}
    for top, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        found |= {(path := Path(top, name)): path.stat().st_mtime_ns for name in names}
        found |= {Path(top, name): 0 for name in folders}
    return found


@pytest.fixture(scope="module")
def nothing_written(server):
    """Whatever the tests of a file send to the server, afterwards there are the same files as before."""
    before = files()
    yield
    assert files() == before


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A run as it lies on the disk when it is done; its weights are a preset's."""
    monkeypatch.setenv("CNNVIZ_RUNS", str(tmp_path))
    run = runs.create(TrainingConfig(preset="quick-mnist", epochs=2), "ours *<b>")
    for name in ("weights.npz", "epochs/000.npz", "epochs/001.npz", "epochs/002.npz"):
        shutil.copy(SHIPPED / "quick-mnist.npz", run.folder / name)
    log = runs.Log(run.folder)
    log.say(
        "started", device="CPU", backend="tensorflow", versions={}, batches=10, batch_size=128, epochs=2, from_epoch=0
    )
    for epoch in 1, 2:
        log.say("batch", epoch=epoch, batch=10, loss=0.5, accuracy=0.8, images_per_second=1000.0)
        log.say("epoch", epoch=epoch, loss=0.2, accuracy=0.9 + epoch / 20, val_loss=0.3, val_accuracy=0.9, seconds=1.0)
    log.say("done", epoch=1, test_accuracy=0.91, test_loss=0.3, message="")
    return run


@pytest.fixture
def running(finished):
    """A run that goes on: it has said so, and gives signs of life."""
    (finished.folder / "events.jsonl").unlink()
    log = runs.Log(finished.folder)
    log.say("started", device="CPU", backend="tensorflow", batches=10, batch_size=128, epochs=2, from_epoch=0)
    log.say("batch", epoch=1, batch=5, loss=0.5, accuracy=0.8, images_per_second=1000.0)
    over = threading.Event()

    def beat():
        while not over.wait(runs.BEAT):
            runs.beat_if_there(finished.folder)

    runs.beat(finished.folder)
    worker = threading.Thread(target=beat)
    worker.start()
    yield finished
    over.set()
    worker.join()

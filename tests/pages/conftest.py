"""Runs that are there already."""

import shutil
import threading

import pytest

from cnnviz.nets.weights import SHIPPED
from cnnviz.training import runs
from cnnviz.training.config import TrainingConfig


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

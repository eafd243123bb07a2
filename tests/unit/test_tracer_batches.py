"""The tracer's process under many requests at once, and under a kill."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from cnnviz.nets.presets import PRESETS
from cnnviz.nets.weights import shipped
from cnnviz.trace import tracer
from cnnviz.workers import BATCH, Tracer, WorkerError

MODELS = [shipped(PRESETS[name]) for name in ("lenet5", "lenet5-1998")]


@pytest.fixture(scope="module")
def worker():
    one = Tracer()
    one.trace(MODELS[0], np.zeros((28, 28, 1), np.float32))
    yield one
    one.start().shutdown(kill_workers=True)


def ask_together(worker, requests):
    """All at the same moment, each from a thread of its own."""
    gate = threading.Barrier(len(requests))

    def ask(request):
        gate.wait()
        return worker.trace(*request)

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(ask, requests))


def test_everybody_gets_the_numbers_of_the_own_image_and_network(worker, monkeypatch):
    images = np.random.default_rng(1).random((2 * BATCH + 9, 28, 28, 1), np.float32)
    requests = [(MODELS[number % 3 == 0], image) for number, image in enumerate(images)]
    sizes = []
    send = worker._send
    monkeypatch.setattr(worker, "_send", lambda *args: (sizes.append(len(args[2])), send(*args))[1])
    answers = ask_together(worker, requests)
    for (model, image), answer in zip(requests, answers, strict=True):
        assert np.abs(answer - tracer.trace(model, image[None])[0]).max() < 1e-5
    assert sum(sizes) == len(images)
    assert 1 < max(sizes) <= BATCH  # those that waited together went together


def test_a_kill_under_many_requests_is_noticed_by_nobody(worker):
    image = np.ones((28, 28, 1), np.float32)
    expected = worker.trace(MODELS[0], image)
    for child in psutil.Process().children():
        if "popen_loky" in " ".join(child.cmdline()):
            child.kill()
    for answer in ask_together(worker, [(MODELS[0], image)] * 12):
        assert np.array_equal(answer, expected) or np.abs(answer - expected).max() < 1e-5


def test_one_models_damaged_weights_are_its_own_trouble(worker, tmp_path):
    broken = type(MODELS[0])(PRESETS["lenet5"], tmp_path / "none.npz")
    image = np.ones((28, 28, 1), np.float32)
    with ThreadPoolExecutor(2) as pool:
        bad, good = pool.submit(worker.trace, broken, image), pool.submit(worker.trace, MODELS[0], image)
        with pytest.raises(WorkerError):
            bad.result()
        assert good.result().shape == worker.trace(MODELS[0], image).shape


def test_a_worker_that_cannot_be_started_keeps_nobody_waiting(monkeypatch):
    one = Tracer()

    def no_process():
        raise OSError("no process left")

    monkeypatch.setattr(one, "start", no_process)
    for _ in range(2):  # the second one finds no queue that waits for ever
        with pytest.raises(WorkerError, match="no process left"):
            one.trace(MODELS[0], np.zeros((28, 28, 1), np.float32))

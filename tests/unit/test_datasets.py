"""Data sets: the table, reading what is there, and downloads that work, fail or break off, against a local server."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from mirror import SLOW, mirror

from cnnviz import data
from cnnviz.data.datasets import LEFT

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def idx(array: np.ndarray) -> bytes:
    """The format that Fashion-MNIST is distributed in."""
    head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(head + array.tobytes())


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of its own for Keras's downloads; returns the dictionary of its files."""
    with mirror(tmp_path / "site") as (files, environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield files


def test_the_table_and_the_digits_agree():
    for name, dataset in data.DATASETS.items():
        assert (dataset.name, len(dataset.classes)) == (name, 10)
        assert "icence" in dataset.source
    (x_train, y_train), (x_test, y_test) = data.load("digits")
    dataset = data.find("digits")
    assert (len(x_train), len(x_test)) == (dataset.train, dataset.test) == (len(y_train), len(y_test))
    assert x_train.shape[1:] == dataset.image_shape
    assert x_train.dtype == y_test.dtype == np.uint8
    assert (x_train.min(), x_train.max()) == (0, 255)
    assert data.is_here("digits")


@pytest.mark.parametrize("name", ["mnist"])
def test_what_is_here_fits_the_table(name):
    if not data.is_here(name):
        pytest.fail(f"This test needs {name}: run `python -m cnnviz datasets {name}`, or `make test`.")
    dataset = data.find(name)
    for (images, labels), count in zip(data.load(name), (dataset.train, dataset.test), strict=True):
        assert images.shape == (count, *dataset.image_shape)
        assert labels.shape == (count,)
        assert sorted(set(labels.tolist())) == list(range(10))


def test_the_folder_is_chosen_or_the_users(folder, monkeypatch):
    assert data.path("mnist") == folder / "mnist.npz"
    monkeypatch.setenv("CNNVIZ_DATA", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    assert data.data_folder().name == "cnnviz"


def test_unknown_missing_and_damaged(folder):
    for use in (data.load, data.path, data.is_here, data.download):
        with pytest.raises(data.DataError, match=r"'nist'; there are mnist, fashion_mnist, cifar10, digits\."):
            use("nist")
    assert not data.is_here("mnist")
    with pytest.raises(data.DataError, match="python -m cnnviz datasets mnist"):
        data.load("mnist")
    folder.mkdir()
    image, label = np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8)
    good = {"x_train": image, "y_train": label, "x_test": image, "y_test": label}
    np.savez(folder / "mnist.npz", **good)
    assert len(data.load("mnist")[0][0]) == 3
    whole = (folder / "mnist.npz").read_bytes()
    for broken in (b"", b"PK\3\4 no", whole[: len(whole) // 2], whole[:300] + b"??????" + whole[306:]):
        (folder / "mnist.npz").write_bytes(broken)
        with pytest.raises(data.DataError, match="damaged: delete it"):
            data.load("mnist")
    for change in ({"x_test": image[:, 1:]}, {"y_train": label[1:]}, {"x_train": np.array([{}], object)}):
        np.savez(folder / "mnist.npz", **(good | change))
        with pytest.raises(data.DataError, match="damaged: delete it"):
            data.load("mnist")


def test_a_download_that_works(folder, server):
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (5000, 28, 28)).astype(np.uint8), np.arange(5000).astype(np.uint8) % 10
    for part in ("train", "t10k"):
        server[f"{part}-images-idx3-ubyte.gz"], server[f"{part}-labels-idx1-ubyte.gz"] = idx(images), idx(labels)
    seen = []
    assert data.download("fashion_mnist", lambda done, total: seen.append((done, total))) == data.path("fashion_mnist")
    total = data.find("fashion_mnist").bytes
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert [file.name for file in folder.iterdir()] == ["fashion_mnist.npz"]
    (x_train, y_train), (x_test, _) = data.load("fashion_mnist")
    np.testing.assert_array_equal(x_train, images)
    np.testing.assert_array_equal(x_test, images)
    np.testing.assert_array_equal(y_train, labels)
    server.clear()
    data.download("fashion_mnist")  # it is here: nobody is asked


def test_a_folder_that_cannot_be(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CNNVIZ_DATA", str(tmp_path / "file" / "below"))
    with pytest.raises(data.DataError, match="choose another folder with CNNVIZ_DATA"):
        data.download("mnist")


def stop(*_):
    raise KeyboardInterrupt


def test_an_interrupted_download_leaves_nothing(folder):
    with pytest.raises(KeyboardInterrupt):
        data.download("mnist", stop)
    assert list(folder.iterdir()) == []


def test_a_download_ends_with_the_process_that_asked_for_it(folder, server):
    server["mnist.npz"] = SLOW
    asking = subprocess.Popen([sys.executable, "-c", "from cnnviz import data; data.download('mnist')"], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not any(file.is_file() and file.stat().st_size for file in folder.rglob("*")):
        assert time.monotonic() < deadline, "nothing arrives"
        time.sleep(0.05)
    loading = psutil.Process(asking.pid).children()
    assert loading
    asking.kill()
    asking.wait()
    assert not psutil.wait_procs(loading, timeout=20)[1]
    # What it leaves goes with a download on another day.
    (left,) = folder.glob(".mnist-*")
    for age, remains in ((LEFT - 60, [left]), (LEFT + 60, [])):
        os.utime(left, (time.time() - age,) * 2)
        with pytest.raises(KeyboardInterrupt):
            data.download("mnist", stop)
        assert list(folder.iterdir()) == remains


def test_reading_needs_neither_keras_nor_scikit_learn():
    code = ("import sys; import cnnviz.data, cnnviz.inputs.pictures; "
            "sys.exit(any(name in sys.modules for name in ('keras', 'tensorflow', 'sklearn')))")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0

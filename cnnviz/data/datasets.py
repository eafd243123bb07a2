"""Data sets: which there are, where they lie on this computer, and how they get there.

Reading one takes NumPy alone. Only `download` needs Keras, which it starts in a process of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs

Split = tuple[np.ndarray, np.ndarray]
"""Images, uint8 (n, height, width) or (n, height, width, 3 RGB), and their labels, uint8 (n,)."""


class DataError(ValueError):
    """A data set that is unknown, missing, damaged or can't be downloaded; the message says so in one sentence."""


@dataclass(frozen=True)
class Dataset:
    """One data set as a row of the table. `bytes` is what is downloaded: 0 if it comes with scikit-learn."""

    name: str
    title: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    train: int
    test: int
    bytes: int
    source: str


DIGITS = tuple("0123456789")

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset("mnist", "MNIST", DIGITS, (28, 28), 60_000, 10_000, 11_490_434,
                "Handwritten digits of American clerks and pupils: Y. LeCun, C. Cortes, C. J. C. Burges (1998), from "
                "NIST's Special Databases 1 and 3. Licence: CC BY-SA 3.0."),
        Dataset("fashion_mnist", "Fashion-MNIST",
                ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                 "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"), (28, 28), 60_000, 10_000, 30_878_645,
                "Photos of clothes from Zalando's shop: H. Xiao, K. Rasul, R. Vollgraf (2017). Licence: MIT."),
        Dataset("cifar10", "CIFAR-10",
                ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
                (32, 32, 3), 50_000, 10_000, 170_498_071,
                "Small colour photos: A. Krizhevsky, “Learning Multiple Layers of Features from Tiny Images” (2009). "
                "No licence is stated; its author asks to be cited."),
        Dataset("digits", "Optical digits", DIGITS, (8, 8), 1_437, 360, 0,
                "Handwritten digits of 13 people: E. Alpaydin, C. Kaynak, UCI Machine Learning Repository "
                "(1998); its test part, as it comes with scikit-learn. Licence: CC BY 4.0."),
    )
}  # fmt: skip


def find(name: str) -> Dataset:
    """The table's row of that name.

    Raises:
        DataError: there is none; the message lists those there are.
    """
    try:
        return DATASETS[name]
    except KeyError:
        raise DataError(f"There is no data set {name!r}; there are {', '.join(DATASETS)}.") from None


def data_folder() -> Path:
    """Where data sets are kept: $CNNVIZ_DATA, else the place that this system has for a user's data."""
    chosen = os.environ.get("CNNVIZ_DATA")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("cnnviz", appauthor=False)


def path(name: str) -> Path:
    """The file of a data set, whether it is there or not. ("digits" needs none.) Raises DataError: unknown name."""
    return data_folder() / f"{find(name).name}.npz"


def is_here(name: str) -> bool:
    """Whether a data set can be loaded without a download. Raises DataError: unknown name."""
    return not find(name).bytes or path(name).is_file()


def load(name: str) -> tuple[Split, Split]:
    """Read a data set: ((x_train, y_train), (x_test, y_test)).

    "digits" has no split of its own: its last fifth is the test part; its 17 levels are spread over 0 to 255.

    Raises:
        DataError: unknown, not downloaded yet, or damaged.
    """
    dataset = find(name)
    if not dataset.bytes:
        return _bundled_digits(dataset)
    file = path(name)
    try:
        with np.load(file, allow_pickle=False) as packed:
            arrays = {key: packed[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    except FileNotFoundError:
        raise DataError(f"{dataset.title} is not on this computer yet: run python -m cnnviz datasets {name}.") from None
    except PermissionError:
        raise DataError(f"{file} may not be read: change its permissions.") from None
    except Exception as error:  # a damaged zip or array raises almost anything
        raise _damaged(file, name) from error
    splits = []
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"].reshape(-1)
        if images.shape[1:] != dataset.image_shape or images.dtype != np.uint8 or len(images) != len(labels):
            raise _damaged(file, name)
        splits.append((images, labels.astype(np.uint8)))
    return splits[0], splits[1]


def _damaged(file: Path, name: str) -> DataError:
    return DataError(f"{file} is damaged: delete it and run python -m cnnviz datasets {name}.")


def _bundled_digits(dataset: Dataset) -> tuple[Split, Split]:
    from sklearn.datasets import load_digits  # 1 s, and only this one data set needs it

    images, labels = load_digits(return_X_y=True)
    images = np.round(images.reshape(-1, *dataset.image_shape) * (255 / 16)).astype(np.uint8)
    labels = labels.astype(np.uint8)
    return (images[: dataset.train], labels[: dataset.train]), (images[dataset.train :], labels[dataset.train :])


TIMEOUT = 30
"""Seconds without an answer after which a server counts as gone."""
LEFT = 86_400
"""Seconds after which a folder that was downloaded into is nobody's any more."""
POLL = 0.2
"""Seconds between two looks at how much has arrived."""
NO_ANSWER, DAMAGED, NO_ROOM = 3, 4, 5
"""How the downloading process says what went wrong."""


def download(name: str, progress: Callable[[int, int], None] | None = None) -> Path:
    """Fetch a data set through `keras.datasets` and keep it as `<name>.npz` in the data folder.

    Keras can be told where to put its files only before it is imported, and its download knows no time limit and
    prints; so it runs in a process of its own, in a folder that is removed afterwards, and this one watches that
    folder grow. It takes as long as the download: call it from a worker or from the command line.

    Args:
        progress: called with (bytes so far, bytes in all) some times a second.

    Returns:
        The file. If it is there already, nothing is done.

    Raises:
        DataError: unknown name, offline, damaged on the way, no room. Nothing half-written is left.
    """
    dataset, file = find(name), path(name)
    if is_here(name):
        return file
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        for left in file.parent.glob(f".{name}-*"):  # by a process that was killed
            with contextlib.suppress(FileNotFoundError):  # it ends this moment
                if time.time() - left.stat().st_mtime > LEFT:
                    shutil.rmtree(left, ignore_errors=True)
        workplace = tempfile.TemporaryDirectory(prefix=f".{name}-", dir=file.parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise DataError(f"{dataset.title} can't be kept in {file.parent} ({error.strerror}): choose another folder "
                        "with CNNVIZ_DATA.") from error  # fmt: skip
    with workplace as folder:
        arrived = Path(folder, file.name)
        root = str(Path(__file__).resolve().parents[2])
        environment = os.environ | {
            "KERAS_HOME": folder,
            "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        }
        command = [sys.executable, "-c", "from cnnviz.data.datasets import _fetch; import sys; _fetch(*sys.argv[1:])"]
        child = subprocess.Popen([*command, name, str(arrived)], env=environment, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            while True:
                try:
                    code = child.wait(POLL)
                    break
                except subprocess.TimeoutExpired:
                    if progress:
                        progress(min(_size(Path(folder, "datasets")), dataset.bytes), dataset.bytes)
        finally:
            child.kill()
            child.wait()
        if code:
            reason, advice = {
                NO_ANSWER: ("this computer is offline or the server does not answer", "Connect and try again"),
                DAMAGED: ("it was damaged on the way", "Try again"),
                NO_ROOM: (f"there is no room for it in {file.parent}", "Make room and try again"),
            }.get(code, (f"Keras failed (exit {code})", "Install requirements.txt again"))
            raise DataError(f"{dataset.title} could not be downloaded: {reason}. {advice}, "
                            f"or put {file.name} into {file.parent}.")  # fmt: skip
        arrived.replace(file)
    if progress:
        progress(dataset.bytes, dataset.bytes)
    return file


def _size(folder: Path) -> int:
    """Bytes of all files in a folder that is being written."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:  # renamed or removed meanwhile
            continue
    return total


def _fetch(name: str, target: str) -> None:
    """The downloading process: Keras's own loader, then one uncompressed .npz. Ends it with a code of the above."""
    import errno
    import socket

    socket.setdefaulttimeout(TIMEOUT)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    try:
        import keras

        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
        np.savez(target, x_train=x_train, y_train=y_train.reshape(-1), x_test=x_test, y_test=y_test.reshape(-1))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            sys.exit(NO_ROOM)
        if "URL fetch failure" in str(error) or (isinstance(error, OSError) and not _is_damage(error)):
            sys.exit(NO_ANSWER)
        sys.exit(DAMAGED if _is_damage(error) else 1)


def _end_with(parent: int) -> None:
    """End this process when the one that has started it is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(NO_ANSWER)


def _is_damage(error: Exception) -> bool:
    """Whether a file came, but not the right one: a wrong check sum, a broken archive, too few bytes."""
    import gzip
    import tarfile

    return isinstance(error, (ValueError, EOFError, zipfile.BadZipFile, gzip.BadGzipFile, tarfile.TarError))

"""Keras without TensorFlow's notices, and sooner. Imports Keras when called: never used by the web process."""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

LOOKED_FOR = "pandas", "sklearn"
BACKENDS = "tensorflow", "jax"
"""What Keras or its backend imports where it is installed, and does without where it is not: a third of their start and
memory. The backends but the one that is set are such, too."""


@contextmanager
def sooner() -> Iterator[None]:
    """Have what is LOOKED_FOR not found, unless it is there already or may be the backend; later it can be imported.
    And collect no garbage: of thousands of modules none is, and looking for it takes an eighth of the time."""
    backend = os.environ.get("KERAS_BACKEND")  # where it is not set, Keras's own settings say which
    others = [name for name in BACKENDS if name != backend] if backend else []
    left = [name for name in (*LOOKED_FOR, *others) if name not in sys.modules]
    sys.modules.update(dict.fromkeys(left))
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in left:
            del sys.modules[name]
        if collects:
            gc.enable()


def import_keras() -> ModuleType:
    """Import Keras and its backend with TensorFlow's start-up notices kept from the terminal.

    TensorFlow prints some of them from C++ before it reads TF_CPP_MIN_LOG_LEVEL, so file descriptor 2 is turned away
    while it is imported. If the import fails, what was said meanwhile is said after all, and the error goes on.

    Returns:
        The module `keras`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Each run compiles functions of its own: TensorFlow would warn of it from the fifth run of a process on.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        stderr = os.dup(2)
    except OSError:  # no standard error, no notices
        with sooner():
            return _imported()
    with tempfile.TemporaryFile() as said, sooner():
        os.dup2(said.fileno(), 2)
        try:
            return _imported()
        except BaseException:
            said.seek(0)
            os.write(stderr, said.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _imported() -> ModuleType:
    import keras

    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        keras.utils.set_random_seed(0)  # which looks for TensorFlow, and here once for all does not find it
    return keras

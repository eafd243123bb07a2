"""Keras without TensorFlow's notices, and sooner. Imports Keras when called: never used by the web process."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

LOOKED_FOR = "pandas", "sklearn"
"""What Keras imports where it is installed, and does without where it is not: a third of its start and memory."""


@contextmanager
def left_out() -> Iterator[None]:
    """Have what is LOOKED_FOR not found, unless it is there already; later it can be imported."""
    left = [name for name in LOOKED_FOR if name not in sys.modules]
    sys.modules.update(dict.fromkeys(left))
    try:
        yield
    finally:
        for name in left:
            del sys.modules[name]


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
        with left_out():
            import keras

        return keras
    with tempfile.TemporaryFile() as said, left_out():
        os.dup2(said.fileno(), 2)
        try:
            import keras
        except BaseException:
            said.seek(0)
            os.write(stderr, said.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    return keras

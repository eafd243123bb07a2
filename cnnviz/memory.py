"""What the web process does so that the memory of those who have left goes back to the machine."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
import time
from functools import cache, partial
from typing import Any

import cv2
from streamlit import runtime

EVERY = 5
"""Seconds between two looks at what can be given back, at least."""
SHARE = 0.02
"""Of the time goes into these looks, at most: hardly anybody else runs meanwhile."""
ARENAS = 1
"""Heaps of the C library's, at most: it would make eight a core, and every rerun has a thread of its own."""
MAPPED = 128 * 1024
"""Bytes from which memory is asked of the system itself, and goes back there when it is freed. The C library begins
with that too, but its limit rises with the largest message; freed ones would then leave holes in the heap. With a lower
one a stroke takes 5 % more time."""
M_ARENA_MAX, M_MMAP_THRESHOLD = -8, -3
NAME = "picture.png"
"""Of every upload, whatever it holds."""


@cache
def tidy() -> None:
    """Collect and give back from now on. Once a process; further calls do nothing.

    A session that has left is a ring of objects, which only the collector's rare, complete rounds find; and freed
    memory between what is still in use stays with the process until the C library is asked for it.
    """
    # OpenCV keeps a kilobyte for ever of each thread that has shared work out, and every rerun has a thread of its own:
    # https://github.com/opencv/opencv/issues/9745
    cv2.setNumThreads(1)
    if runtime.exists():
        manager = runtime.get_instance().uploaded_file_mgr
        manager.add_file = partial(keep, manager, manager.add_file)
    gc.freeze()  # modules and caches are never garbage: a round looks at sessions only, and takes milliseconds
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "malloc_trim"):  # it is glibc's own
        libc = None
    else:
        libc.mallopt(M_ARENA_MAX, ARENAS)
        libc.mallopt(M_MMAP_THRESHOLD, MAPPED)

    def work() -> None:
        took = 0.0
        while True:
            time.sleep(max(EVERY, took / SHARE))
            began = time.monotonic()
            gc.collect()
            if libc:
                libc.malloc_trim(0)
            took = time.monotonic() - began

    threading.Thread(target=work, name="tidy", daemon=True).start()


def keep(manager: Any, add: Any, session_id: str, file: Any) -> None:
    """In place of `add`, the method of Streamlit's manager of uploads: keep a visitor's last file only. Streamlit would
    keep all until the visitor leaves, those of uploaders on other pages too, and those that no page has asked for.

    Its name is forgotten: one that the browser's part would not have sent, Streamlit refuses before any page runs, with
    words of its own. The pages look at what the file holds.
    """
    manager.remove_session_files(session_id)
    add(session_id, file._replace(name=NAME))
